"""The hub's ports on one machine and on AWS."""
