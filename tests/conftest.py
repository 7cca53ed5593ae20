"""One profile for all property tests: a busy machine is no failure, and CI repeats what it finds."""

import os

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("house")
