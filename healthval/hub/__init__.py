"""Hub, the platform: access, models, predictions and results behind one API; keeps no patient row."""
