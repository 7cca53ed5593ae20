"""Outcomes other than a binary one: classes, quantities, times to event, and outlines."""
