"""The platform: receives aggregates and de-identified cases only."""
