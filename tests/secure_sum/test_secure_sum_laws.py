"""Laws of shares and masks: any enough shares give the secret, fewer give none, masks cancel."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.errors import IntegrityError
from healthval.secure_sum.masks import (
    MODULUS,
    Secrets,
    added,
    agreed,
    mask,
    public_text,
    sealed,
    to_text,
    unsealed,
)
from healthval.secure_sum.messages import MAX_SITES
from healthval.secure_sum.shamir import PRIME, join, split, threshold_of

SECRET = st.binary(min_size=32, max_size=32)
NUMBER = st.integers(0, PRIME - 1)


def is_prime(n):
    """Miller-Rabin test with the first 40 primes."""
    bases = [p for p in range(2, 174) if all(p % q for q in range(2, p))]
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in bases:
        x = pow(base, odd, n)
        seen = [x] + [x := x * x % n for _ in range(twos - 1)]
        if seen[0] != 1 and n - 1 not in seen:
            return False
    return True


def test_the_field_of_the_shares_is_a_prime_field_that_holds_every_secret():
    assert PRIME > 2**256
    assert is_prime(PRIME)
    assert not is_prime(PRIME - 2)


@given(SECRET, st.integers(3, 9), st.data())
def test_any_set_of_enough_shares_gives_the_secret_back(secret, n, data):
    needed = threshold_of(n)
    coefficients = data.draw(st.lists(NUMBER, min_size=needed - 1, max_size=needed - 1))
    shares = split(secret, coefficients, n)
    for chosen in itertools.combinations(shares, needed):
        assert join({x: shares[x] for x in chosen}) == secret


@given(SECRET, SECRET, st.integers(3, 9), st.data())
def test_one_share_too_few_is_as_likely_under_any_other_secret(secret, other, n, data):
    """For each other secret there is a polynomial with the same shares: they say nothing about it."""
    needed = threshold_of(n)
    coefficients = data.draw(st.lists(NUMBER, min_size=needed - 1, max_size=needed - 1))
    shares = split(secret, coefficients, n)
    few = {x: shares[x] for x in list(shares)[: needed - 1]}
    points = {0: int.from_bytes(other, "big"), **few}

    def at(x):
        total = 0
        for i, y in points.items():
            top = bottom = 1
            for j in points:
                if j != i:
                    top, bottom = top * (x - j) % PRIME, bottom * (i - j) % PRIME
            total += y * top * pow(bottom, -1, PRIME)
        return total % PRIME

    completed = {**few, n + 1: at(n + 1)}
    assert join(completed) == other


@given(SECRET, st.integers(1, 5))
def test_a_wrong_share_gives_another_secret(secret, at):
    shares = split(secret, [5, 6, 7], 5)
    wrong = {**shares, at: (shares[at] + 1) % PRIME}
    assert join({x: wrong[x] for x in (at, *[x for x in shares if x != at][:3])}) != secret


@pytest.mark.parametrize("n", range(3, MAX_SITES + 1))
def test_two_sets_of_enough_sites_share_more_than_a_third(n):
    needed = threshold_of(n)
    assert needed <= n
    assert 2 * needed - n > n / 3


@given(st.lists(st.integers(0, MODULUS - 1), min_size=4, max_size=4), SECRET)
def test_a_mask_is_removed_exactly_and_differs_by_key(cells, key):
    there = added(cells, mask(key, 4))
    assert added(there, mask(key, 4), -1) == cells
    assert mask(key, 4) != mask(bytes(31) + b"x", 4) or key == bytes(31) + b"x"


@given(SECRET, SECRET)
@settings(max_examples=25)
def test_two_sites_agree_on_a_key_that_depends_on_its_purpose(one, other):
    for purpose in ("pair mask", "shares"):
        mine = agreed(one, public_text(other), purpose)
        assert mine == agreed(other, public_text(one), purpose)
    assert agreed(one, public_text(other), "a") != agreed(one, public_text(other), "b")


def test_a_public_key_of_low_order_is_refused():
    with pytest.raises(IntegrityError, match="unusable"):
        agreed(b"k" * 32, to_text(bytes(32)), "pair mask")


def test_a_seal_opens_under_its_key_only_and_unchanged():
    text = sealed(b"k" * 32, b"two shares")
    assert unsealed(b"k" * 32, text) == b"two shares"
    assert unsealed(b"j" * 32, text) is None
    changed = ("B" if text[0] == "A" else "A") + text[1:]
    assert unsealed(b"k" * 32, changed) is None


def test_secrets_are_in_no_representation_and_differ_by_purpose():
    s = Secrets(b"\x07" * 32)
    assert "07" not in repr(s)
    assert "x07" not in repr(s)
    assert len({s.seed, s.mask_secret, s.share_secret, s.self_mask}) == 4
    assert s.coefficients("a", "c", 3) != s.coefficients("b", "c", 3)
