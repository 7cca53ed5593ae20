"""De-identification: the only maker of what may be sent for prediction."""
