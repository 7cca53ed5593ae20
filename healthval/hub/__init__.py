"""The platform: access, models, predictions and results behind one API; no patient row is kept."""
