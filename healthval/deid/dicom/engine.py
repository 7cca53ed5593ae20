"""Engine: applies a policy to the elements of a data set, at every depth.

The input is not edited. A kept element is passed on in its encoded form; only elements that the
policy changes are decoded.
"""

from collections import Counter
from typing import Any, Final

from pydicom.datadict import dictionary_has_tag, dictionary_keyword, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from healthval.deid import dicom_values as values
from healthval.deid.dicom.attributes import (
    CHARACTER_SET,
    CLEAN,
    CODES,
    CURVE,
    DROP,
    FIXED,
    FREE_TEXT_VRS,
    KEEP,
    KEEP_IF_NUMBER,
    KEEP_ITEMS,
    OVERLAY,
    PATIENT_ID,
    PRIVATE,
    REPLACE_UID,
    RETAIN,
    SEQUENCE,
    TEXT_VRS,
    TYPED,
    action_table,
    is_fixed,
    is_text,
    keeps_graphics,
    keeps_private,
    note_changes,
)
from healthval.deid.dicom.completeness import cut_waveform
from healthval.deid.dicom.elements import copied, dummy_item, has_undefined_length, items_of
from healthval.deid.dicom.profile import Rule, attribute_type, choose, rules_by_tag
from healthval.deid.dicom.text import clean_code, clean_text, identifying_words
from healthval.deid.dicom.writer import EncodedDataset
from healthval.deid.dicom_values import REMOVED, UNDEFINED_LENGTH, Element
from healthval.deid.pixels.risk import PIXELS
from healthval.deid.policy import Option, Policy
from healthval.deid.refuse import Reason, Refused
from healthval.deid.secret import (
    Secret,
    date_offset,
    identity,
    is_registered_uid,
    patient_pseudonym,
    uids,
)
from healthval.pydicom_internals import Kind, copy_encoding, dataset_of

# VRs that are kept in their encoded form: no sequence, name, free text or opaque bytes
_COPIED_VRS: Final = frozenset(
    {None, "AE", "AS", "AT", "CS", "DS", "FD", "FL", "IS", "LO", "SH", "SL", "SS", "SV", "UI"}
    | {"UL", "US", "UV", "DA", "TM", "DT"}
)
_DIGITS: Final = b"0123456789+-.eE\\ \0"
_MAX_OTHER: Final = 2  # other characters that a number may contain, for example a unit
_ITEM_TAGS: Final = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_SOP_CLASS, _PATIENT_ID_TAG, _ISSUER = 0x00080016, 0x00100020, 0x00100021
_GRAPHIC_TEXT: Final = 0x00700008
_NOT_CACHED: Final[Any] = object()


class Engine:
    """De-identification of one object; `run` returns the output.

    `actions` counts the changes by kind, `changes` by attribute and kind; `identity` has the
    pseudonyms of the patient's number and of its issuer.
    """

    def __init__(self, dataset: Dataset, policy: Policy, secret: Secret) -> None:
        self.source, self.policy, self.secret = dataset, policy, secret
        self.encoding = values.encoding_of(dataset)
        self.actions: Counter[str] = Counter()
        self.changes: Counter[tuple[int, str]] = Counter()
        self.identity = ("", "")
        self._table = action_table(policy)
        sop_class = values.text_of(dataset, _SOP_CLASS)
        self._sop_class = sop_class if is_registered_uid(sop_class) else ""
        self._days: int | None = None
        self._words: frozenset[str] | None = None

    def run(self) -> EncodedDataset:
        """Return the de-identified data set, without a file meta."""
        elements = self._elements(self.source, "")
        for tag in CODES:
            elements.pop(tag, None)
        return self._output(self.source, elements, EncodedDataset)

    def _elements(self, source: Dataset, within: str) -> dict[Any, Any]:
        """Elements of the output for a data set; `within` is the enclosing sequence's keyword."""
        table, kept, n_copied = self._table, dict[Any, Any](), 0
        cached = table.replacements[self._sop_class, within, self.encoding]
        element: Element
        for tag, element in source.items():
            action = table[int(tag)]  # comparing BaseTags would cost more than the whole loop
            if (
                action == KEEP
                and element.VR in _COPIED_VRS
                and element.is_raw
                and element.length != UNDEFINED_LENGTH
            ):
                kept[tag] = element
                n_copied += 1
            elif action == KEEP_IF_NUMBER and element.is_raw and element.VR in _COPIED_VRS:
                if len((element.value or b"").translate(None, _DIGITS)) <= _MAX_OTHER:
                    kept[tag] = element
                    n_copied += 1
            elif action != DROP:
                if action in FIXED:
                    done = self._fixed(element, action, within, cached)
                else:
                    done = self._element(source, element, action, within)
                if done is not None:
                    kept[tag] = done
        self.actions["kept"] += n_copied
        self.actions["removed"] += len(source) - len(kept)
        note_changes(source, kept, self.changes, table)
        return kept

    def _fixed(
        self, element: Element, action: str, within: str, cached: dict[int, Element | None]
    ) -> Element | None:
        """Replacement by an action whose result does not depend on the value."""
        tag = int(element.tag)
        done = cached.get(tag, _NOT_CACHED)
        if done is _NOT_CACHED:
            done = self._by_rule(element, rules_by_tag()[tag], action, within)
            if is_fixed(tag):
                cached[tag] = done
        elif done is not None:
            self.actions["replaced" if done.value else "emptied"] += 1
        return done

    def _output(self, source: Dataset, elements: dict[Any, Any], kind: type[Kind]) -> Kind:
        output = dataset_of(kind, elements)
        copy_encoding(source, output)
        return output

    def _element(  # noqa: PLR0911  one line for each kind of action
        self, source: Dataset, element: Element, action: str, within: str
    ) -> Element | None:
        if action == KEEP or (action == KEEP_IF_NUMBER and _is_number(element)):
            return self._keep(element)
        if action == KEEP_IF_NUMBER:
            return None  # words in place of a number or UID
        if action in (SEQUENCE, KEEP_ITEMS):
            return self._sequence(element)
        if action == TYPED:
            return self._typed(element, within)
        if action == CHARACTER_SET:
            return self._character_set(element)
        if action == PRIVATE:
            kept = keeps_private(source, element.tag, element, self.policy)
            return copied(element) if kept else None
        if action in (OVERLAY, CURVE):
            kept = keeps_graphics(source, element.tag, action, self.policy)
            return copied(element) if kept else None
        return self._by_rule(element, rules_by_tag()[element.tag], action, within)

    # --- attributes of the table ---------------------------------------------------------------

    def _by_rule(self, element: Element, rule: Rule, action: str, within: str) -> Element | None:
        if action == REPLACE_UID:
            return self._uids(element)
        if action == PATIENT_ID:
            return self._patient_id(element)
        if action not in (RETAIN, CLEAN):
            return self._basic(element, rule, action, within)
        option = self._retain if action == RETAIN else self._clean
        done = option(element, rule, _vr_of(element, rule))
        return self._basic(element, rule, rule.action, within) if done is None else done

    def _basic(self, element: Element, rule: Rule, action: str, within: str) -> Element | None:
        """Apply an action of the basic profile."""
        if "/" in action:
            action = choose(action, attribute_type(rule.keyword, within, self._sop_class))
        if action == DROP:
            return None
        if action == REPLACE_UID:
            return self._uids(element)
        if action == KEEP_ITEMS:
            return self._sequence(element)
        self.actions["emptied" if action == "Z" else "replaced"] += 1
        vr = _vr_of(element, rule)
        if vr == "SQ":
            return self._dummy_sequence(element, rule, action)
        if vr == "UI" and action == "D":
            return self._uids(element)
        return self._raw(element, vr, b"" if action == "Z" else values.dummy(vr))

    def _raw(self, element: Element, vr: str, value: bytes) -> RawDataElement:
        return values.raw_element(element.tag, vr, value, self.encoding)

    def _dummy_sequence(self, element: Element, rule: Rule, action: str) -> Element | None:
        if action == "Z":
            return self._raw(element, "SQ", b"")
        if rule.keyword.startswith("Referenced"):
            return self._sequence(element)
        return DataElement(element.tag, "SQ", Sequence([dummy_item(rule.keyword)]))

    def _uids(self, element: Element) -> Element:
        self.actions["uids replaced"] += 1
        replaced = uids(self.secret, values.ascii_text(element))
        return self._raw(element, "UI", replaced.encode("ascii"))

    def _patient_id(self, element: Element) -> Element:
        """Pseudonym of number and issuer: equal numbers of two issuers are two patients."""
        self.actions["pseudonyms"] += 1
        patient, found = self._decoded(element), values.find(self.source, _ISSUER)
        issuer = "" if found is None else self._decoded(found)
        self.identity = identity(self.secret, patient, issuer)
        name = patient_pseudonym(self.secret, patient, issuer)
        return self._raw(element, "LO", name.encode("ascii"))

    def _decoded(self, element: Element) -> str:
        return values.decoded_text(element, values.charsets(self.source))

    # --- options: retained, shifted, cleaned ----------------------------------------------------

    def _retain(self, element: Element, rule: Rule, vr: str) -> Element | None:
        if vr == "SQ":
            return self._sequence(element, keeps_codes=True)
        if vr in ("DA", "TM", "DT") and not values.is_temporal(values.ascii_text(element), vr):
            return None
        if rule.keyword == "PatientAge":
            age = values.safe_age(values.ascii_text(element))
            return None if age is None else self._raw(element, "AS", age.encode("ascii"))
        return self._keep(element)

    def _clean(self, element: Element, rule: Rule, vr: str) -> Element | None:
        if Option.RETAIN_MODIFIED_DATES in self.policy.options and rule.is_longitudinal:
            return self._shift(element, vr)
        if vr == "SQ":
            return self._clean_sequence(element, rule)
        if vr not in TEXT_VRS and vr not in ("AE", "CS"):
            return None
        cleaned = self._clean_text(self._decoded(element))
        if not cleaned:
            return None
        self.actions["cleaned"] += 1
        return self._raw(element, vr, cleaned.encode("ascii"))

    def _clean_text(self, text: str) -> str:
        if self._words is None:
            self._words = identifying_words(self.source, values.charsets(self.source))
        return clean_text(text, self._words)

    def _clean_sequence(self, element: Element, rule: Rule) -> Element | None:
        done = self._sequence(element)
        if done is not None:
            if rule.keyword == "GraphicAnnotationSequence":
                for item in done.value:
                    item.pop(_GRAPHIC_TEXT, None)
            self.actions["cleaned"] += 1
        return done

    def _typed(self, element: Element, within: str) -> Element | None:
        """Keep the vocabulary words of a text that a person may have typed."""
        if has_undefined_length(element):
            return None
        text = self._decoded(element)
        cleaned = "\\".join(map(self._clean_text, text.split("\\")))
        cleaned = cleaned if cleaned.strip("\\") else ""
        if cleaned == text:
            return self._keep(element)
        self.actions["cleaned"] += 1
        vr = dictionary_VR(element.tag)
        if not cleaned or vr == "UR":
            keyword = dictionary_keyword(element.tag)
            kind = attribute_type(keyword, within, self._sop_class)
            return self._raw(element, vr, REMOVED if kind == 1 else b"")
        return self._raw(element, vr, cleaned.encode("ascii"))

    def _shift(self, element: Element, vr: str) -> Element | None:
        text = values.ascii_text(element)
        moved = values.shifted(text, vr, self._offset()) if text else ""
        if moved is None:
            return None
        self.actions["shifted"] += 1
        return self._raw(element, vr, moved.encode("ascii"))

    def _offset(self) -> int:
        """Date offset of this patient in days; an object without a patient id is refused."""
        if self._days is None:
            found = values.find(self.source, _PATIENT_ID_TAG)
            text = "" if found is None else self._decoded(found)
            if not text.strip(" \0"):
                raise Refused(Reason.NO_PATIENT_ID)
            self._days = date_offset(self.secret, text)
        return self._days

    # --- kept elements --------------------------------------------------------------------------

    def _keep(self, element: Element) -> Element | None:
        """Keep an element, unless its VR or length contradicts its attribute."""
        vr = element.VR
        if vr == "PN":
            return None  # the name of a person, in any attribute
        if vr == "SQ" or (vr == "UN" and (element.value or b"")[:4] in _ITEM_TAGS):
            return self._sequence(element)
        if vr in FREE_TEXT_VRS and not is_text(element.tag):
            return None  # prose in place of a number or a code
        if vr in values.OPAQUE_VRS and not values.has_own_form(element):
            return None  # other bytes in place of a number or a code
        if has_undefined_length(element) and vr != "UN" and element.tag not in PIXELS:
            return None  # only pixels may be encapsulated
        self.actions["kept"] += 1
        return copied(element)

    def _sequence(self, element: Element, *, keeps_codes: bool = False) -> Element | None:
        try:
            items = items_of(element, self.source)
        except Exception:
            raise Refused(Reason.UNPARSEABLE) from None
        if items is None:
            return None
        within = dictionary_keyword(element.tag) if dictionary_has_tag(element.tag) else "?"
        done = [self._output(item, self._elements(item, within), Dataset) for item in items]
        for item in () if keeps_codes else done:
            clean_code(item, self._clean_text, self.encoding)
        for item in done if within == "WaveformSequence" else ():
            cut_waveform(item, self.encoding)
        self.actions["kept"] += 1
        undefined = not element.is_raw and element.is_undefined_length
        return DataElement(element.tag, "SQ", Sequence(done), is_undefined_length=undefined)

    def _character_set(self, element: Element) -> Element | None:
        terms = values.ascii_text(element)
        if not values.are_charsets(terms):
            return None
        return element if element.is_raw else self._raw(element, "CS", terms.encode("ascii"))


def _vr_of(element: Element, rule: Rule) -> str:
    return rule.vr or (element.VR if element.VR not in (None, "UN") else "LO")


def _is_number(element: Element) -> bool:
    if element.VR == "SQ":
        return False
    text = values.ascii_text(element).encode("utf-8", "replace")
    return len(text.translate(None, _DIGITS)) <= _MAX_OTHER
