"""Ranks of scores from one sort, and the AUROC with its variance."""
