"""Backends of the hub's ports: in memory, on one machine, on AWS."""
