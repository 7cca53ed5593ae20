"""Contracts: wire shapes (pydantic), closed and strict."""
