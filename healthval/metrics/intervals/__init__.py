"""Confidence intervals: analytic and by resampling."""
