"""Performance by subgroup: levels, heterogeneity and gaps."""
