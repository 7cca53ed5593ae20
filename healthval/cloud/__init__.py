"""Costs of evaluations and of an idle hub on AWS."""
