"""A client can be forged: whatever the wire accepts, pooling gives finite numbers."""

import json
import random

import pytest
from pydantic import ValidationError

from healthval.aggregate import pool
from healthval.contracts.base import canonical_json
from healthval.contracts.submission import Submission

FLOATS = [0.0, 1.0, -1.0, 0.5, 1e-308, -1e-308, 1e-160, 1e160, 1e308, -1e308, 5e-324, 3.0]
COUNTS = [0, 1, 10**12, "suppressed", 11]


def forge(plain, rng, share):
    """Replace some numbers anywhere in the payload by extreme ones."""
    if isinstance(plain, dict):
        return {k: v if k == "schema_version" else forge(v, rng, share) for k, v in plain.items()}
    if isinstance(plain, list | tuple):
        return tuple(forge(v, rng, share) for v in plain)
    if isinstance(plain, bool) or rng.random() > share:
        return plain
    if isinstance(plain, int) or plain == "suppressed":
        return rng.choice(COUNTS)
    if isinstance(plain, float) or plain is None:
        return rng.choice([*FLOATS, None])
    return plain


def forged(submission, rng, share):
    while True:
        try:
            return Submission.model_validate(forge(submission.model_dump(), rng, share))
        except ValidationError:
            share *= 0.7


@pytest.mark.parametrize("seed", [*range(40), 118, 139])  # the last ones: more events than cases
def test_whatever_the_wire_accepts_is_pooled_or_left_out_and_every_number_is_finite(network, seed):
    rng = random.Random(seed)
    few, share = rng.choice([1, 2, len(network)]), rng.choice([0.02, 0.2, 0.8])
    sites = [(site, forged(s, rng, share) if i < few else s) for i, (site, s) in enumerate(network)]
    plain = pool(sites, bivariate="normal" if seed % 2 else "none").to_dict()
    assert json.loads(canonical_json(plain)) == plain
