"""Secure sum: the pooled table of several sites, from which no reader learns one site's table (pure).

Each site masks its table, so that the masks cancel in the sum over all sites. Randomness arrives as a
seed that the site keeps: a message that is made again has the same bytes.

References
----------
Bonawitz et al. 2017, CCS '17:1175, doi 10.1145/3133956.3133982 (double masks, dropouts); Shamir 1979,
CACM 22:612. Different from the paper, the shares are sealed for the sites instead of the hub: the sites
open the sum and judge it, so that the hub has no total below the floor.
"""
