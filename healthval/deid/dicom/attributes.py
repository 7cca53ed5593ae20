"""Which step the engine takes for a tag under a policy: the table, then our own rules."""

from collections import defaultdict
from functools import lru_cache
from typing import Any, Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR, repeater_has_tag

from healthval.deid.dicom.profile import resolve, rules_by_tag
from healthval.deid.policy import Option, Policy

KEEP, DROP, RETAIN, SEQUENCE, PATIENT = "keep", "X", "K", "sequence", "patient"
OVERLAY, CURVE, PRIVATE, NUMBER = "overlay", "curve", "private", "number"
CHARSETS = "charsets"
_CHARSETS: Final = 0x00080005
# Steps whose result does not depend on the value
FIXED: Final = frozenset({"Z", "D", "X/Z", "X/D", "Z/D", "X/Z/D"})
_LENGTH_TO_END: Final = 0x00080001


class Steps(dict[int, str]):
    """What to do with each tag under one policy; unknown tags are settled when first met."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy
        # By SOP class, enclosing sequence and encoding: what a tag with a fixed result becomes.
        self.results: defaultdict[tuple[str, str, tuple[bool, bool]], dict[int, Any]] = defaultdict(dict)  # fmt: skip

    def __missing__(self, tag: int) -> str:
        step = self[tag] = self._settle(tag)
        return step

    def _settle(self, tag: int) -> str:  # noqa: PLR0911  one line per kind of tag
        group, element = tag >> 16, tag & 0xFFFF
        if element == 0 or group in (0x0000, 0x0002, 0xFFFE) or tag == _LENGTH_TO_END:
            return DROP
        if tag == _CHARSETS:
            return CHARSETS
        rule = rules_by_tag().get(tag)
        if rule is not None:
            return PATIENT if rule.keyword == "PatientID" else resolve(rule, self.policy)[0]
        if group % 2:
            return PRIVATE if Option.RETAIN_SAFE_PRIVATE in self.policy.options else DROP
        if group >> 8 == 0x50:
            return CURVE
        if group >> 8 == 0x60:
            return OVERLAY
        return self._unlisted(tag)

    def _unlisted(self, tag: int) -> str:
        if not (dictionary_has_tag(tag) or repeater_has_tag(tag)):
            return KEEP if tag in self.policy.public_allowlist else DROP
        vr = dictionary_VR(tag)
        return SEQUENCE if vr == "SQ" else NUMBER if vr in ("DS", "IS") else KEEP


def is_fixed(tag: int) -> bool:
    """Whether an element's replacement is the same for every object of one class."""
    rule = rules_by_tag()[tag]
    return rule.vr not in ("", "SQ") and not (rule.vr == "UI" and "D" in rule.action)


@lru_cache(maxsize=8)
def steps_of(policy: Policy) -> Steps:
    """Return the steps of a policy; they are worked out once."""
    return Steps(policy)
