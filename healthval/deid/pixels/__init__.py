"""Text in pixels: which images are at risk, and what is blanked."""
