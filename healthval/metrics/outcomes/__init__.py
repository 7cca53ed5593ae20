"""Outcomes other than one binary one: classes, quantities, times and outlines."""
