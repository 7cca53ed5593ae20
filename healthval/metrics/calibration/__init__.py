"""Calibration: measures, curves and recalibration."""
