"""FHIRPath over plain JSON: parser, compiler, functions and operators."""
