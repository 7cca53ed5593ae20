"""Performance by subgroup: levels, heterogeneity, differences and gaps."""
