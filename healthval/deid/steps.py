"""Which step the engine takes for a tag under a policy: the table, then our own rules."""

from functools import lru_cache
from typing import Final

from pydicom.datadict import dictionary_has_tag, dictionary_VR, repeater_has_tag

from healthval.deid.policy import Option, Policy
from healthval.deid.profile import resolve, rules_by_tag

KEEP, DROP, RETAIN, SEQUENCE, PATIENT = "keep", "X", "K", "sequence", "patient"
OVERLAY, CURVE, PRIVATE, NUMBER = "overlay", "curve", "private", "number"
_LENGTH_TO_END: Final = 0x00080001


class Steps(dict[int, str]):
    """What to do with each tag under one policy; unknown tags are settled when first met."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy

    def __missing__(self, tag: int) -> str:
        step = self[tag] = self._settle(tag)
        return step

    def _settle(self, tag: int) -> str:
        group, element = tag >> 16, tag & 0xFFFF
        if element == 0 or group in (0x0000, 0x0002, 0xFFFE) or tag == _LENGTH_TO_END:
            return DROP
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


@lru_cache(maxsize=8)
def steps_of(policy: Policy) -> Steps:
    """Return the steps of a policy; they are worked out once."""
    return Steps(policy)
