"""Presets without noise: what suppression alone does, number by number."""

from dataclasses import replace

from healthval.disclosure import load_policy


def exact(name="cms", **changes):
    """A preset whose counts are exact."""
    rules = {"noise_scale": None, "small_cells": False, "multiple": 1, "zero_is_sensitive": False}
    return replace(load_policy(name), **(rules | changes))
