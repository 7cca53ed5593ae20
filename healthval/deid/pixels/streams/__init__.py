"""Compressed frames: text beside the image is removed, the coded image stays bit for bit."""
