"""Figures of the report, drawn by matplotlib as SVG from released numbers."""
