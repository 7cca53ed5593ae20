"""Region rules: which rectangles of which device's images are blanked, from a small YAML file.

::

    - name: acme-ultrasound
      when: {Manufacturer: ACME, ManufacturerModelName: Echo 5, Rows: 600, Columns: 800}
      blank: [[0, 0, 800, 48]]
    - name: any-ultrasound-with-regions
      when: {Modality: US}
      ultrasound_regions: true
"""

from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from healthval.deid.dicom import values
from healthval.deid.policy import RegionRule
from healthval.errors import UsageError

_Pixel = Annotated[int, Field(ge=0, le=65535)]
_Rectangle = tuple[_Pixel, _Pixel, _Pixel, _Pixel]
_MAX_RULES: Final = 1000


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    when: Annotated[dict[str, str | int], Field(min_length=1, max_length=20)]
    blank: Annotated[list[_Rectangle], Field(max_length=100)] = []
    keep: _Rectangle | None = None
    ultrasound_regions: bool = False


def read_region_rules(path: str | Path) -> tuple[RegionRule, ...]:
    """Read rules, in the order in which they are tried.

    Raises
    ------
    UsageError
        If the file is no list of rules, names an unknown attribute, or gives rectangles without
        the Rows and Columns they were drawn for.
    """
    try:
        given = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError):
        raise UsageError("the region rules cannot be read as YAML") from None
    if not isinstance(given, list) or len(given) > _MAX_RULES:
        raise UsageError(f"the region rules must be a list of at most {_MAX_RULES} rules")
    return tuple(_rule(position, rule) for position, rule in enumerate(given))


def _rule(position: int, given: Any) -> RegionRule:
    try:
        rule = _Rule.model_validate(given)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        raise UsageError(
            f"region rule {position}: {first['type']} at {'.'.join(map(str, first['loc']))}"
        ) from None
    _check(position, rule)
    when = tuple((keyword, str(value)) for keyword, value in rule.when.items())
    return RegionRule(rule.name, when, tuple(rule.blank), rule.keep, rule.ultrasound_regions)


def _check(position: int, rule: _Rule) -> None:
    unknown = sum(tag_for_keyword(keyword) is None for keyword in rule.when)
    if unknown:
        raise UsageError(f"region rule {position}: {unknown} keywords are not in the dictionary")
    drawn = bool(rule.blank or rule.keep)
    if not (drawn or rule.ultrasound_regions):
        raise UsageError(f"region rule {position}: give blank, keep or ultrasound_regions")
    if drawn and not {"Rows", "Columns"} <= set(rule.when):
        raise UsageError(f"region rule {position}: rectangles need Rows and Columns in `when`")
    for left, top, right, bottom in (*rule.blank, *([rule.keep] if rule.keep else [])):
        if left >= right or top >= bottom:
            raise UsageError(f"region rule {position}: a rectangle is empty")


def matching(dataset: Dataset, rules: tuple[RegionRule, ...]) -> RegionRule | None:
    """First rule whose predicates all hold."""
    return next((rule for rule in rules if _holds(dataset, rule)), None)


def _holds(dataset: Dataset, rule: RegionRule) -> bool:
    return all(_shown(dataset, keyword) == value.casefold() for keyword, value in rule.when)


def _shown(dataset: Dataset, keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in dataset:
        return ""
    if keyword in ("Rows", "Columns"):
        return str(values.number_of(dataset, tag))
    return values.text_of(dataset, tag).casefold()
