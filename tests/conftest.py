"""Profiles of the property tests: a busy machine is no failure, and CI repeats what it finds.

`HYPOTHESIS_PROFILE=thorough` tries many more examples than every run can afford; CI does so weekly.
"""

import os

from hypothesis import settings

settings.register_profile("house", deadline=None, max_examples=30, derandomize="CI" in os.environ)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))
