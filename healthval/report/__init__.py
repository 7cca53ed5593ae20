"""Figures, tables, HTML and PDF from released numbers only."""
