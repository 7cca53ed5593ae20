"""A value that `healthval init` writes on one line of YAML is read back with its type."""

from hypothesis import given
from hypothesis import strategies as st

from healthval.files import parse_yaml, yaml_line

ODD = [
    "060", "1:30", "no", "on", "y", "1e3", "0x1F", "0o17", "1_000", "null", "~", "", "<<", "=", "2024-01-01", ".5",
    "+1", "-", "...", "---", "a...", "- a", "a: b", "a #b", "'", '"', "a\nb", " a ", "\t", "{", "[", "!x", "&a", "*a",
    "%x", "@x", "? x", "| x", ".nan", "inf", "True",
]  # fmt: skip
TEXT = st.sampled_from(ODD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALAR = TEXT | st.integers() | st.booleans() | st.floats(allow_nan=False) | st.none()
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
)


def types(value):
    """A value with the type of each part, for 1, 1.0 and True are equal."""
    if isinstance(value, list):
        return [types(part) for part in value]
    if isinstance(value, dict):
        return {key: types(part) for key, part in value.items()}
    return type(value), value


@given(TEXT, VALUE)
def test_a_value_and_its_key_come_back_unchanged(key, value):
    line = f"  {yaml_line(key)}: {yaml_line(value)}\n"
    assert line.count("\n") == 1
    read = parse_yaml(line, what="a line", remedy="-")
    assert types(read) == types({key: value})
