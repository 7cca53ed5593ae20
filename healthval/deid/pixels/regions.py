"""Region rules: rectangles that are blanked in images of a device, read from a YAML file.

::

    - name: acme-ultrasound
      when: {Manufacturer: ACME, ManufacturerModelName: Echo 5, Rows: 600, Columns: 800}
      blank: [[0, 0, 800, 48]]
    - name: any-ultrasound-with-regions
      when: {Modality: US}
      ultrasound_regions: true
"""

from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydicom.datadict import tag_for_keyword

from healthval.contracts.images import RegionChoice
from healthval.deid.policy import RegionRule
from healthval.errors import UsageError, counted
from healthval.files import read_yaml_list

_MAX_RULES: Final = 1000


def read_region_rules(path: str | Path) -> tuple[RegionRule, ...]:
    """Read region rules, in the order in which they are tried.

    Raises
    ------
    UsageError
        If the file is not a list of rules, a keyword is not in the DICOM dictionary, or a rule has
        rectangles without the Rows and Columns for which they were drawn.
    """
    what, remedy = "the file of region rules", "compare it with docs/deidentification.md"
    given = read_yaml_list(path, what=what, remedy=remedy)
    if len(given) > _MAX_RULES:
        raise UsageError(
            f"the file of region rules has {counted(len(given), 'rule')}; at most {_MAX_RULES} are read"
        )
    return tuple(_rule(position, rule) for position, rule in enumerate(given))


def _rule(position: int, given: Any) -> RegionRule:
    try:
        rule = RegionChoice.model_validate(given)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        raise UsageError(
            f"region rule {position}: {first['type']} at {'.'.join(map(str, first['loc']))}"
        ) from None
    return region_rule(position, rule)


def region_rule(position: int, rule: RegionChoice) -> RegionRule:
    """Return a declared rule for use; `position` is its place in the list, for errors.

    Raises
    ------
    UsageError
        As `read_region_rules`.
    """
    _check(position, rule)
    when = tuple((keyword, str(value)) for keyword, value in rule.when.items())
    return RegionRule(
        rule.name,
        when,
        blank=rule.blank,
        keep=rule.keep,
        ultrasound_regions=rule.ultrasound_regions,
    )


def _check(position: int, rule: RegionChoice) -> None:
    unknown = sum(tag_for_keyword(keyword) is None for keyword in rule.when)
    if unknown:
        many = counted(unknown, "keyword is", "keywords are")
        raise UsageError(f"region rule {position}: {many} not in the DICOM dictionary")
    drawn = bool(rule.blank or rule.keep)
    if not (drawn or rule.ultrasound_regions):
        raise UsageError(f"region rule {position}: give blank, keep or ultrasound_regions")
    if drawn and not {"Rows", "Columns"} <= set(rule.when):
        raise UsageError(f"region rule {position}: rectangles need Rows and Columns in `when`")
    for left, top, right, bottom in (*rule.blank, *([rule.keep] if rule.keep else [])):
        if left >= right or top >= bottom:
            raise UsageError(f"region rule {position}: a rectangle is empty")
