"""Ranks of scores by one sort, and what the AUROC needs of them."""
