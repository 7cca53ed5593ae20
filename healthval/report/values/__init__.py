"""Values of each site, their means, differences and order: what the sections print."""
