import os

# The hub's processes need Linux or macOS.
collect_ignore_glob = (
    [] if os.name == "posix" else ["test_model_server.py", "test_child_process.py"]
)
