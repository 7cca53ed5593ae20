"""The engine: applies a policy to a data set, at every depth, without editing its input.

Elements that stay are passed on as the bytes they are; only what the policy touches is decoded.
"""

from collections import Counter
from typing import Any, Final

from pydicom.datadict import dictionary_has_tag, dictionary_keyword, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from healthval.deid.dicom import marks, values
from healthval.deid.dicom.attributes import (
    CHARSETS,
    CURVE,
    DROP,
    FIXED,
    KEEP,
    NUMBER,
    OVERLAY,
    PATIENT,
    PRIVATE,
    RETAIN,
    SEQUENCE,
    is_fixed,
    steps_of,
)
from healthval.deid.dicom.cleaned import Cleaned
from healthval.deid.dicom.deidentified import SEAL, Deidentified, flags_of
from healthval.deid.dicom.graphics import keeps_curve, keeps_overlay
from healthval.deid.dicom.private import kept_private
from healthval.deid.dicom.profile import Rule, attribute_type, choose, rules_by_tag
from healthval.deid.dicom.reader import items_of
from healthval.deid.dicom.refuse import Reason, Refused, check_object
from healthval.deid.dicom.text import clean_text, own_words
from healthval.deid.dicom.values import Element
from healthval.deid.pixels.risk import PIXELS, check_pixels, clean_pixels, trim_pixels
from healthval.deid.policy import Option, Policy
from healthval.deid.secret import Secret, date_offset, is_registered_uid, pseudonym, uid, uids
from healthval.errors import UsageError

_PLAIN: Final = frozenset(
    {None, "AE", "AS", "AT", "CS", "DS", "FD", "FL", "IS", "LO", "OB", "OD", "OF", "OL", "OV"}
    | {"OW", "SH", "SL", "SS", "SV", "UI", "UL", "US", "UV", "DA", "TM", "DT"}
)
_FREE_TEXT: Final = frozenset({"LT", "ST", "UC", "UR", "UT"})
_TEXT: Final = _FREE_TEXT | {"LO", "SH"}
_DIGITS: Final = b"0123456789+-.eE\\ \0"
_UNDEFINED: Final = 0xFFFFFFFF
_STRAY: Final = 2
_ITEM = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_GRAPHICS: Final = {OVERLAY: keeps_overlay, CURVE: keeps_curve}
_UNSEEN: Final[Any] = object()


def check_means(policy: Policy, secret: Secret) -> None:
    """Refuse anything but a policy and a secret, before a file is touched."""
    if not isinstance(policy, Policy):
        raise UsageError("the policy must be a healthval.deid.Policy")
    if not isinstance(secret, Secret):
        raise UsageError(
            "the secret must be a healthval.deid.Secret; read it with Secret.from_file"
        )


def apply(dataset: Dataset, policy: Policy, secret: Secret) -> Deidentified:
    """Do what `deidentify` does, without a file meta; a batch writes its own."""
    try:
        check_object(dataset, policy)
        signed_off = check_pixels(dataset, policy.pixels)
        walk = _Walk(dataset, policy, secret)
        output = walk.run()
        blanked = clean_pixels(dataset, output, policy.pixels)
        if not blanked:
            trim_pixels(dataset, output)
    except RecursionError:
        raise Refused(Reason.UNPARSEABLE) from None
    for mark in marks.marks_of(policy, walk.encoding, blanked=blanked):
        output._dict[mark.tag] = mark
    if blanked:
        output.SOPInstanceUID = uid(secret, values.text_of(dataset, 0x00080018))
    flags = flags_of(dataset, policy, signed_off=signed_off, blanked=blanked)
    return Deidentified(output, walk.actions, flags, seal=SEAL)


class _Walk:
    """One pass over one object."""

    def __init__(self, dataset: Dataset, policy: Policy, secret: Secret) -> None:
        self.source, self.policy, self.secret = dataset, policy, secret
        self.steps = steps_of(policy)
        self.actions: Counter[str] = Counter()
        implicit, little = marks.encoding_of(dataset)
        self.encoding = (implicit, little)
        sop_class = values.text_of(dataset, 0x00080016)
        self.sop_class = sop_class if is_registered_uid(sop_class) else ""
        self._days: int | None = None
        self._words: frozenset[str] | None = None
        self._cleaning: list[Option] = []

    def run(self) -> Cleaned:
        return self._like(self.source, self._elements(self.source, ""), Cleaned)

    def _elements(self, source: Dataset, within: str) -> dict[Any, Any]:
        steps, kept, n_kept = self.steps, dict[Any, Any](), 0
        element: Element
        same = steps.results[self.sop_class, within, self.encoding]
        for tag, element in source.items():
            step = steps[int(tag)]  # comparing BaseTag with BaseTag costs more than all the rest
            if (
                step == KEEP
                and element.VR in _PLAIN
                and element.is_raw
                and element.length != _UNDEFINED
            ):
                kept[tag] = element
                n_kept += 1
            elif step == NUMBER and element.is_raw and element.VR in _PLAIN:
                if len((element.value or b"").translate(None, _DIGITS)) > _STRAY:
                    continue  # words where a number should be
                kept[tag] = element
                n_kept += 1
            elif step != DROP:
                done = same.get(int(tag), _UNSEEN) if step in FIXED else _UNSEEN
                if done is _UNSEEN:
                    done = self._element(source, tag, element, step, within)
                    if step in FIXED and is_fixed(tag):
                        same[int(tag)] = done
                elif done is not None:
                    self.actions["replaced" if done.value else "emptied"] += 1
                if done is not None:
                    kept[tag] = done
        self.actions["kept"] += n_kept
        self.actions["removed"] += len(source) - len(kept)
        return kept

    def _like(
        self, source: Dataset, elements: dict[Any, Any], kind: type[values.Kind]
    ) -> values.Kind:
        output = values.dataset_of(kind, elements)
        implicit, little = source.original_encoding
        vars(output).update(
            _read_implicit=implicit,
            _read_little=little,
            _read_charset=source.original_character_set,
            _parent_encoding=source._parent_encoding,
            is_undefined_length_sequence_item=source.is_undefined_length_sequence_item,
        )
        return output

    def _element(  # noqa: PLR0911  one line per kind of step
        self, source: Dataset, tag: int, element: Element, step: str, within: str
    ) -> Element | None:
        if step == KEEP or (step == NUMBER and _is_number(element)):
            return self._keep(element)
        if step == NUMBER:
            return None  # words where a number should be
        if step in (SEQUENCE, "X/Z/U*"):
            return self._sequence(element)
        if step == CHARSETS:
            return self._charsets(element)
        if step == PRIVATE:
            return self._private(source, tag, element)
        if step in _GRAPHICS:
            cleaned = Option.CLEAN_GRAPHICS in self.policy.options
            return _copied(element) if cleaned and _GRAPHICS[step](source, tag) else None
        return self._ruled(element, rules_by_tag()[tag], step, within)

    def _ruled(self, element: Element, rule: Rule, step: str, within: str) -> Element | None:
        vr = rule.vr or (element.VR if element.VR not in (None, "UN") else "LO")
        if step == "U":
            return self._uids(element)
        if step == PATIENT:
            return self._patient_id(element)
        if step == RETAIN:
            done = self._retain(element, rule, vr)
        elif step == "C":
            done = self._clean(element, rule, vr)
        else:
            return self._basic(element, rule, vr, step, within)
        return self._basic(element, rule, vr, rule.action, within) if done is None else done

    def _basic(
        self, element: Element, rule: Rule, vr: str, action: str, within: str
    ) -> Element | None:
        if "/" in action:
            action = choose(action, attribute_type(rule.keyword, within, self.sop_class))
        if action == "X":
            return None
        if action == "U":
            return self._uids(element)
        if action == "X/Z/U*":
            return self._sequence(element)
        self.actions["emptied" if action == "Z" else "replaced"] += 1
        if vr == "SQ":
            return self._dummy_sequence(element, rule, action)
        if vr == "UI" and action == "D":
            return self._uids(element)
        return self._raw(element, vr, b"" if action == "Z" else values.dummy(vr))

    def _raw(self, element: Element, vr: str, value: bytes) -> RawDataElement:
        return values.raw(element, vr, value, self.encoding)

    def _dummy_sequence(self, element: Element, rule: Rule, action: str) -> Element | None:
        if action == "Z":
            return self._raw(element, "SQ", b"")
        if rule.keyword.startswith("Referenced"):
            return self._sequence(element)
        item = Dataset()
        if rule.keyword.endswith("CodeSequence"):
            item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "0", "99REMOVED", "REMOVED"  # fmt: skip
        return DataElement(element.tag, "SQ", Sequence([item]))

    def _uids(self, element: Element) -> Element:
        self.actions["uids replaced"] += 1
        return self._raw(
            element, "UI", uids(self.secret, values.ascii_text(element)).encode("ascii")
        )

    def _patient_id(self, element: Element) -> Element:
        self.actions["pseudonyms"] += 1
        patient = self._decoded(element)
        name = pseudonym(self.secret, "patient", patient) if patient.strip(" \0") else ""
        return self._raw(element, "LO", name.encode("ascii"))

    def _decoded(self, element: Element) -> str:
        return values.decoded_text(element, values.charsets(self.source))

    @property
    def days(self) -> int:
        """Offset of this patient; an object without a patient id cannot be shifted."""
        if self._days is None:
            found = values.find(self.source, 0x00100020)
            text = "" if found is None else self._decoded(found)
            if not text.strip(" \0"):
                raise Refused(Reason.NO_PATIENT_ID)
            self._days = date_offset(self.secret, text)
        return self._days

    def _retain(self, element: Element, rule: Rule, vr: str) -> Element | None:
        if vr == "SQ":
            return self._sequence(element)
        if vr in ("DA", "TM", "DT") and not values.is_temporal(values.ascii_text(element), vr):
            return None
        if rule.keyword == "PatientAge" and values.is_over_89(values.ascii_text(element)):
            return self._raw(element, "AS", b"090Y")
        return self._keep(element)

    def _clean(self, element: Element, rule: Rule, vr: str) -> Element | None:
        if Option.RETAIN_MODIFIED_DATES in self.policy.options and _is_longitudinal(rule):
            return self._shift(element, vr)
        if vr == "SQ":
            return self._clean_sequence(element, rule)
        if vr not in _TEXT and vr not in ("AE", "CS"):
            return None
        cleaned = clean_text(self._decoded(element), self.words)
        if not cleaned:
            return None
        self.actions["cleaned"] += 1
        return self._raw(element, vr, cleaned.encode("ascii"))

    def _shift(self, element: Element, vr: str) -> Element | None:
        text = values.ascii_text(element)
        moved = values.shifted(text, vr, self.days) if text else ""
        if moved is None:
            return None
        self.actions["shifted"] += 1
        return self._raw(element, vr, moved.encode("ascii"))

    @property
    def words(self) -> frozenset[str]:
        """Words that name this patient or a person around them; never kept in a text."""
        if self._words is None:
            self._words = own_words(self.source, values.charsets(self.source))
        return self._words

    def _keep(self, element: Element) -> Element | None:
        vr = element.VR
        if vr in ("SQ", "UN") or vr == "PN":
            return self._odd_keep(element)
        if vr in _FREE_TEXT and not _is_text(element.tag):
            return None  # an attribute that should hold a number or a code holds prose
        length = element.length if element.is_raw else element.is_undefined_length and _UNDEFINED
        if length == _UNDEFINED and element.tag not in PIXELS:
            return None  # only pixels may be encapsulated
        self.actions["kept"] += 1
        return _copied(element)

    def _odd_keep(self, element: Element) -> Element | None:
        if element.VR == "PN":
            return None  # a person's name, whatever the attribute
        if element.VR == "SQ" or (element.value or b"")[:4] in _ITEM:
            return self._sequence(element)
        self.actions["kept"] += 1
        return _copied(element)

    def _sequence(self, element: Element) -> Element | None:
        try:
            items = items_of(element, self.source)
        except Exception:
            raise Refused(Reason.UNPARSEABLE) from None
        if items is None:
            return None
        within = dictionary_keyword(element.tag) if dictionary_has_tag(element.tag) else "?"
        done = Sequence([self._like(item, self._elements(item, within), Dataset) for item in items])
        self.actions["kept"] += 1
        undefined = not element.is_raw and element.is_undefined_length
        return DataElement(element.tag, "SQ", done, is_undefined_length=undefined)

    def _clean_sequence(self, element: Element, rule: Rule) -> Element | None:
        done = self._sequence(element)
        if done is not None:
            marks.clean_codes(done.value, lambda text: clean_text(text, self.words))
            if rule.keyword == "GraphicAnnotationSequence":
                for item in done.value:
                    item.pop(0x00700008, None)
            self.actions["cleaned"] += 1
        return done

    def _charsets(self, element: Element) -> Element | None:
        terms = values.ascii_text(element)
        if not values.are_charsets(terms):
            return None
        return element if element.is_raw else self._raw(element, "CS", terms.encode("ascii"))

    def _private(self, source: Dataset, tag: int, element: Element) -> Element | None:
        return _copied(element) if kept_private(source, tag, element, self.policy) else None


def _is_longitudinal(rule: Rule) -> bool:
    return any(option is Option.RETAIN_MODIFIED_DATES for option, _ in rule.options)


def _copied(element: Element) -> Element:
    """Give an element that can be edited without the source noticing; raw ones cannot be."""
    if element.is_raw:
        return element
    return DataElement(element.tag, element.VR, element.value, is_undefined_length=element.is_undefined_length, already_converted=True)  # fmt: skip


def _is_number(element: Element) -> bool:
    if element.VR == "SQ":
        return False
    return len(values.ascii_text(element).encode("utf-8", "replace").translate(None, _DIGITS)) <= _STRAY  # fmt: skip


def _is_text(tag: int) -> bool:
    return not dictionary_has_tag(tag) or dictionary_VR(tag) in _TEXT
