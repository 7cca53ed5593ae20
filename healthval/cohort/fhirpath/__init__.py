"""FHIRPath over plain JSON."""
