"""Secondary analyses over sites: usefulness, differences, calibration, case mix, choice of method."""
