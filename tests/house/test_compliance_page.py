"""Evidence on the compliance page exists: every test by its name, every property in its template."""

import re
from pathlib import Path

import pytest

from healthval.cloud.audit.template import read_template

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "compliance.md").read_text(encoding="utf-8")
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}
NAMES = sorted(set(re.findall(r"`(test_\w+)`", PAGE)))
PROPERTIES = sorted(set(re.findall(r"`(core|model|hardened): (\w+)\.(\w+)`", PAGE)))
STANDARDS = [f"164.308(a)({i})" for i in range(1, 9)]
STANDARDS += ["164.308(b)(1)", "164.310", "164.312(a)(1)", "164.312(b)", "164.312(c)(1)"]
STANDARDS += ["164.312(d)", "164.312(e)(1)", "164.314", "164.316"]


def test_every_test_that_is_named_exists():
    assert len(NAMES) > 40
    assert not [name for name in NAMES if name not in TESTS]


@pytest.mark.parametrize(("template", "resource", "name"), PROPERTIES)
def test_every_property_that_is_named_is_set(template, resource, name):
    found = read_template(ROOT / "infra" / f"{template}.yaml")["Resources"]
    assert found[resource]["Properties"][name]


@pytest.mark.parametrize("standard", STANDARDS)
def test_every_standard_has_a_row(standard):
    assert f"| {standard}" in PAGE or f", {standard}" in PAGE


def test_every_row_has_evidence_or_an_owner():
    rows = [line for line in PAGE.splitlines() if line.startswith("| 164")]
    assert len(rows) > 20
    assert not [row for row in rows if "`" not in row.split("|")[3] and "yours" not in row]
