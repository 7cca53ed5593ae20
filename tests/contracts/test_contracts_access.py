"""Public keys of the contracts: raw bytes, and a refusal that quotes nothing."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthval.contracts.access import PublicKey, raw_public_key

CANARY = "Zebulon-Quartermaine-1931"


@given(st.binary(min_size=32, max_size=32))
def test_a_public_key_decodes_to_the_bytes_it_was_made_of(raw):
    assert raw_public_key(PublicKey(x=base64.urlsafe_b64encode(raw).decode().rstrip("="))) == raw


OTHERS = (CANARY, "", "é" * 43, "=" * 43, "A" * 42, "A" * 44, "A" * 40 + "\n" * 3)


@pytest.mark.parametrize("x", OTHERS)
def test_a_key_of_another_form_is_refused_and_not_quoted(x):
    with pytest.raises(ValueError, match="not an Ed25519 key of 32 bytes") as refused:
        raw_public_key(PublicKey.model_construct(x=x))
    assert not x or x not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
