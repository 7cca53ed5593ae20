"""Rates over sites by a binomial model with random effects, from counts, noisy or withheld ones."""
