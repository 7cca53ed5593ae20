"""Text in pixels: images at risk, region rules, text detection and blanking."""
