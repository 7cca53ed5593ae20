"""Wire shapes: pydantic at the wall, closed and strict."""
