"""Discrimination: AUROC and its comparison, partial AUROC, average precision, ROC curve."""
