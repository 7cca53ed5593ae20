"""Words of the report: its language, and the sentences and limitations of the first page."""
