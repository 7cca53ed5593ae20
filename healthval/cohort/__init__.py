"""The site's patients as cases, with counts at every step."""
