"""Confidence intervals: analytic, and by bootstrap."""
