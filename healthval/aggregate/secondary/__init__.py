"""Secondary analyses over sites: usefulness, calibration, case mix, choice of method."""
