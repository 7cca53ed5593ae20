"""Results shown to a reader: as a table of pandas, and as plots."""
