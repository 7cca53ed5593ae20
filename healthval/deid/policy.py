"""`Policy`: confidentiality profile and options of a de-identification.

The default is the Basic Application Level Confidentiality Profile with dates removed. Every other
option is an explicit choice, recorded in the output and in the report (DICOM PS3.15 Annex E).
"""

import re
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from typing import Literal

from healthval.errors import UsageError, counted

Dates = Literal["remove", "shift", "keep"]


class Option(StrEnum):
    """Options of the profile (PS3.15 E.3), with codes in PS3.16 CID 7050."""

    CLEAN_PIXEL_DATA = "clean-pixel-data"
    CLEAN_GRAPHICS = "clean-graphics"
    CLEAN_STRUCTURED_CONTENT = "clean-structured-content"
    CLEAN_DESCRIPTORS = "clean-descriptors"
    RETAIN_FULL_DATES = "retain-full-dates"
    RETAIN_MODIFIED_DATES = "retain-modified-dates"
    RETAIN_PATIENT_CHARACTERISTICS = "retain-patient-characteristics"
    RETAIN_DEVICE_IDENTITY = "retain-device-identity"
    RETAIN_UIDS = "retain-uids"
    RETAIN_SAFE_PRIVATE = "retain-safe-private"
    RETAIN_INSTITUTION_IDENTITY = "retain-institution-identity"


_DATE_OPTION: dict[Dates, Option] = {
    "keep": Option.RETAIN_FULL_DATES,
    "shift": Option.RETAIN_MODIFIED_DATES,
}


@dataclass(frozen=True, slots=True)
class PixelPolicy:
    """Treatment of images that may contain burned-in text; by default they are refused.

    `rules` blank regions in images of known devices. With `text`, a detector searches every image,
    and detected text is refused or blanked. `sign_off` is the name of the person who inspected the
    images; the report contains it.
    """

    rules: tuple["RegionRule", ...] = ()
    text: Literal["ignore", "refuse", "blank"] = "ignore"
    sign_off: str | None = None

    def __post_init__(self) -> None:
        if self.sign_off is not None and not self.sign_off.strip():
            raise UsageError("pixels.sign_off is empty; name the person who inspected the images")
        if self.text not in ("ignore", "refuse", "blank"):
            raise UsageError("pixels.text must be 'ignore', 'refuse' or 'blank'")


@dataclass(frozen=True, slots=True)
class RegionRule:
    """Rectangles to blank in one kind of image; every `when` predicate must be true.

    `when` contains pairs of a keyword and its value (compared without case). Rectangles are
    (left, top, right, bottom) in pixels, right and bottom excluded. Everything outside `keep` is
    blanked; with `ultrasound_regions`, everything outside SequenceOfUltrasoundRegions.
    """

    name: str
    when: tuple[tuple[str, str], ...]
    _: KW_ONLY
    blank: tuple[tuple[int, int, int, int], ...] = ()
    keep: tuple[int, int, int, int] | None = None
    ultrasound_regions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Basic profile with dates removed, changed by options.

    Parameters
    ----------
    options : options of the profile, as `Option` or as its text
    dates : "remove", "shift" (one keyed offset per patient) or "keep"; the same choice as the two
        longitudinal options. Shifted dates are not HIPAA Safe Harbor.
    pixels : treatment of images that may contain burned-in text
    private_allowlist : (creator, group, element within the block) of private attributes without
        identity, which are kept; only with the Safe Private option
    public_allowlist : tags of standard attributes that are kept although the dictionary does not
        have them
    remove : tags of further attributes that are removed at every depth

    Raises
    ------
    UsageError
        If an option is unknown or two options contradict each other.

    Examples
    --------
    >>> Policy().dates
    'remove'
    >>> sorted(Policy(dates="shift").options)
    [<Option.RETAIN_MODIFIED_DATES: 'retain-modified-dates'>]
    """

    options: frozenset[Option] = frozenset()
    dates: Dates = "remove"
    pixels: PixelPolicy = field(default_factory=PixelPolicy)
    private_allowlist: frozenset[tuple[str, int, int]] = frozenset()
    public_allowlist: frozenset[int] = frozenset()
    remove: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        options = _checked_options(self.options)
        if self.dates not in ("remove", "shift", "keep"):
            raise UsageError("dates must be 'remove', 'shift' or 'keep'")
        if self.dates != "remove":
            options |= {_DATE_OPTION[self.dates]}
        if self.pixels.rules or self.pixels.text == "blank":
            options |= {Option.CLEAN_PIXEL_DATA}
        _check_contradictions(options, self)
        given = [dates for dates, option in _DATE_OPTION.items() if option in options]
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "dates", given[0] if given else "remove")
        object.__setattr__(self, "private_allowlist", frozenset(self.private_allowlist))
        object.__setattr__(self, "public_allowlist", frozenset(self.public_allowlist))
        object.__setattr__(self, "remove", frozenset(self.remove))


def _checked_options(given: Iterable[Option | str]) -> frozenset[Option]:
    if isinstance(given, str):
        raise UsageError("options must be a list of option names, not one text")
    names = {option.value for option in Option}
    folded = [_folded(str(option)) for option in given]
    unknown = [position for position, option in enumerate(folded) if option not in names]
    if unknown:
        many = counted(len(unknown), "de-identification option is", "de-identification options are")
        raise UsageError(
            f"{many} unknown (first at position {unknown[0]}); "
            f"the options are: {', '.join(sorted(names))}"
        )
    return frozenset(Option(option) for option in folded)


def _folded(name: str) -> str:
    """Option text of the standard's spelling, such as "Retain UIDs Option"."""
    omitted = ("option", "longitudinal", "temporal", "information")
    return "-".join(w for w in re.findall(r"[a-z]+", name.lower()) if w not in omitted)


def _check_contradictions(options: frozenset[Option], policy: Policy) -> None:
    if {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES} <= options:
        raise UsageError("dates cannot be both kept and shifted; choose one of the two")
    pixels = policy.pixels
    if Option.CLEAN_PIXEL_DATA in options and not (pixels.rules or pixels.text == "blank"):
        raise UsageError("clean-pixel-data needs region rules or pixels.text='blank'")
    if policy.private_allowlist and Option.RETAIN_SAFE_PRIVATE not in options:
        raise UsageError("private_allowlist has no effect without the retain-safe-private option")
