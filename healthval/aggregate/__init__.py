"""Pooling and heterogeneity over sites, pure."""
