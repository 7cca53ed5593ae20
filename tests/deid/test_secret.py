"""Pseudonyms, UIDs and offsets follow from the secret alone, and the secret stays silent."""

import copy
import hashlib
import hmac
import json
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthval.deid import Secret, case_id, date_offset, pseudonym, uid
from healthval.deid.secret import is_registered_uid, pseudonym_uuid
from healthval.errors import HealthvalError, UsageError

KEY = bytes(range(32))
SECRET = Secret(KEY)
CANARY = b"CanaryKey-7f3a" * 3


@pytest.mark.parametrize(("length", "accepted"), [(31, False), (32, True), (33, True)])
def test_a_secret_has_at_least_32_bytes(length, accepted):
    if accepted:
        Secret(b"k" * length)
    else:
        with pytest.raises(UsageError, match="at least 32"):
            Secret(b"k" * length)


@pytest.mark.parametrize("wrong", [None, "x" * 40, bytearray(40), 5])
def test_a_secret_is_bytes(wrong):
    with pytest.raises(UsageError):
        Secret(wrong)


def test_the_secret_is_in_no_representation(tmp_path):
    secret = Secret(CANARY)
    shown = [repr(secret), str(secret), f"{secret}", f"{[secret]!r}"]
    with pytest.raises(UsageError) as refused:
        pickle.dumps(secret)
    with pytest.raises(TypeError) as unserialisable:
        json.dumps({"secret": secret})
    shown += ["".join(traceback.format_exception(e.value)) for e in (refused, unserialisable)]
    assert not any("Canary" in text for text in shown)
    assert copy.deepcopy(secret) is secret


def test_a_secret_by_reference_travels_as_its_reference(tmp_path, monkeypatch):
    path = tmp_path / "key"
    path.write_bytes(CANARY + b"\n")
    by_file = Secret.from_file(path)
    assert CANARY not in pickle.dumps(by_file)
    assert case_id(pickle.loads(pickle.dumps(by_file)), "1") == case_id(Secret(CANARY), "1")
    monkeypatch.setenv("SITE_SECRET", CANARY.decode())
    by_name = Secret.from_env("SITE_SECRET")
    assert CANARY not in pickle.dumps(by_name)
    assert case_id(by_name, "1") == case_id(Secret(CANARY), "1")


def test_a_missing_reference_is_refused(tmp_path):
    for make in (lambda: Secret.from_file(tmp_path / "none"), lambda: Secret.from_env("NOT_SET_x")):
        with pytest.raises(HealthvalError):
            make()


def test_a_pseudonym_is_hmac_sha256():
    expected = hmac.new(KEY, b"pseudonym/mrn\0A1", hashlib.sha256).hexdigest()[:32]
    spelled = expected.translate(str.maketrans("0123456789abcdef", "bcdfghjkmnpqrtvw"))
    assert pseudonym(SECRET, "mrn", "A1") == spelled
    assert pseudonym_uuid(SECRET, "mrn", "A1").hex == expected


@given(st.text(min_size=1))
def test_a_pseudonym_can_neither_spell_a_name_nor_hold_a_number(value):
    assert not set("aeiouy0123456789") & set(pseudonym(SECRET, "patient", value))


@given(st.text(), st.text(), st.sampled_from(["patient", "accession", "study"]))
def test_kinds_and_values_do_not_collide(a, b, kind):
    if a.strip() != b.strip():
        assert pseudonym(SECRET, "x", a) != pseudonym(SECRET, "x", b)
    assert pseudonym(SECRET, kind, a) != pseudonym(SECRET, kind + "2", a)


@given(st.text(min_size=1))
def test_an_offset_is_whole_days_within_a_year_and_never_zero(patient):
    days = date_offset(SECRET, patient)
    assert isinstance(days, int)
    assert 1 <= abs(days) <= 365
    assert days == date_offset(SECRET, f" {patient}\0")


def test_offsets_use_the_whole_range():
    seen = {date_offset(SECRET, str(i)) for i in range(20000)}
    assert seen == set(range(-365, 366)) - {0}


@given(st.from_regex(r"1\.2\.276(\.[1-9][0-9]{0,8}){1,5}", fullmatch=True))
def test_a_uid_becomes_a_valid_uuid_uid(original):
    new = uid(SECRET, original)
    assert new == uid(SECRET, original + "\0")
    assert new != uid(Secret(b"o" * 32), original)
    number = int(new.removeprefix("2.25."))
    assert len(new) <= 64
    assert (number >> 76) & 0xF == 8
    assert (number >> 62) & 0x3 == 2


@pytest.mark.parametrize("registered", ["1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2"])
def test_a_registered_uid_stays(registered):
    assert uid(SECRET, registered) == registered


@pytest.mark.parametrize(
    "disguised",
    ["1.2.840.10008.19620312", "1.2.840.10008.DOE", "1.2.840.100081.2", "1.2.840.10008"],
)
def test_a_number_hidden_under_the_registered_root_does_not_stay(disguised):
    assert not is_registered_uid(disguised)
    assert uid(SECRET, disguised).startswith("2.25.")


def test_a_case_id_has_the_form_the_contracts_ask_for():
    assert len(case_id(SECRET, "k")) == 21
    assert case_id(SECRET, "k").startswith("case-")
    int(case_id(SECRET, "k")[5:], 16)
