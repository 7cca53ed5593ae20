"""healthval and fhirpathpy agree on random expressions.

Left out are what fhirpathpy 2.2 gets wrong by the specification: the sign of `mod`, duplicates in a
union of computed and stored values, and primitives with extensions counted twice.
"""

import copy
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.cohort.fhirpath.compile import compile_path
from healthval.cohort.fhirpath.functions import Env
from healthval.errors import ViewError

fhirpathpy = pytest.importorskip("fhirpathpy")
MODEL = pytest.importorskip("fhirpathpy.models").models["r4"]
PATIENT = {
    "resourceType": "Patient",
    "id": "ada",
    "active": True,
    "gender": "female",
    "deceasedBoolean": False,
    "name": [
        {"use": "official", "family": "Berg", "given": ["Ada", "B"]},
        {"use": "nickname", "given": ["Addie"]},
    ],
    "telecom": [{"system": "phone", "rank": 1}, {"system": "email", "rank": 2}],
}

one_of = st.sampled_from
LISTS = one_of(
    [
        "name",
        "name.given",
        "telecom.rank",
        "telecom",
        "nothing",
        "{}",
        "active",
        "name.family",
        "deceased",
    ]
)
NUMBERS = one_of(["1", "2.5", "-3", "{}", "telecom.rank.first()", "telecom.count()"])
TEXTS = one_of(["'a'", "'Berg'", "{}", "id", "gender", "name.family", "name.given.first()"])
FACTS = one_of(["true", "false", "{}", "active", "deceased", "name.exists()", "nothing.empty()"])
FILTERS = one_of(
    ["use = 'official'", "given.exists()", "rank > 1", "system = 'email'", "$index = 0"]
)


def join(*parts):
    return st.builds(
        lambda *p: "".join(p), *[st.just(p) if isinstance(p, str) else p for p in parts]
    )


lists = st.recursive(
    LISTS,
    lambda inner: (
        join(
            inner, ".", one_of(["first()", "last()", "tail()", "skip(1)", "take(1)", "distinct()"])
        )
        | join(one_of(["name", "telecom"]), ".where(", FILTERS, ")")
        | join("name.select(", one_of(["given", "family", "given.count()"]), ")")
    ),
    max_leaves=3,
)
numbers = st.recursive(
    NUMBERS | join(lists, ".count()"),
    lambda inner: join("(", inner, one_of([" + ", " - ", " * ", " / ", " div "]), inner, ")"),
    max_leaves=4,
)
texts = st.recursive(
    TEXTS,
    lambda inner: (
        join("(", inner, " & ", inner, ")")
        | join("(", inner, ").", one_of(["upper()", "lower()", "substring(1)", "substring(0, 2)"]))
    ),
    max_leaves=4,
)
facts = st.recursive(
    FACTS
    | join("(", numbers, one_of([" = ", " != ", " < ", " >= "]), numbers, ")")
    | join("(", texts, one_of([" = ", " != ", " > ", " <= "]), texts, ")")
    | join(lists, one_of([".exists()", ".empty()"])),
    lambda inner: (
        join("(", inner, one_of([" and ", " or ", " xor ", " implies "]), inner, ")")
        | join("(", inner, ").not()")
    ),
    max_leaves=5,
)


def plain(values):
    return [float(v) if not isinstance(v, (bool, str, dict)) else v for v in values]


def same(ours, theirs):
    return len(ours) == len(theirs) and all(
        math.isclose(a, b) if isinstance(a, float) and isinstance(b, float) else a == b
        for a, b in zip(ours, theirs, strict=True)
    )


choices = join("iif(", facts, ", 'yes', 'no')")


@given(lists | numbers | texts | facts | choices)
@settings(max_examples=150, deadline=None)
def test_both_engines_give_the_same(path):
    try:
        theirs = plain(fhirpathpy.evaluate(copy.deepcopy(PATIENT), path, model=MODEL))
    except Exception:  # it raises plain exceptions
        theirs = None
    try:
        ours = plain(compile_path(path, {})([PATIENT], Env(PATIENT)))
    except ViewError:
        ours = None
    assert (ours is None) == (theirs is None)
    assert ours is None or same(ours, theirs)
