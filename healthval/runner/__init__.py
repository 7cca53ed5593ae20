"""Runs notebooks by papermill with typed parameters."""
