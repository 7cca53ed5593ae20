"""The demo: the whole path from patients to report, on this machine."""
