"""An embedded hub needs Linux or macOS."""

import os

collect_ignore_glob = [] if os.name == "posix" else ["test_dashboard_browser.py"]
