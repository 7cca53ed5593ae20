"""Attacks that a payload must withstand before it is released (pure)."""
