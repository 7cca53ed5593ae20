"""Resources that count: without errors and replaced patients; references that name no patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from healthval.cohort.fhir.references import is_open, owner
from healthval.cohort.fhirpath.functions import PatientKey

if TYPE_CHECKING:
    import pandas as pd

_ERROR = "entered-in-error"


@dataclass(kw_only=True)
class CurrentResources:
    """Filter of a stream, with counts; complete when the stream has ended.

    Attributes
    ----------
    read : resource types that a view reads
    superseded : resources entered in error, and patients replaced by another one of the stream
    """

    read: Collection[str]
    superseded: int = 0
    _open: int = 0
    _patients: set[str] = field(default_factory=set)
    _named: Counter[str] = field(default_factory=Counter)
    _replacing: dict[str, str] = field(default_factory=dict)

    def filtered(self, resources: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Yield what counts; patients with a replacement come last, if it is not in the stream."""
        replaced: list[Mapping[str, Any]] = []
        for resource in resources:
            kind = resource.get("resourceType")
            if kind in self.read and _is_error(resource):
                self.superseded += 1
            elif kind == "Patient" and (target := _replacement(resource)):
                self._replacing[str(resource.get("id"))] = target
                replaced.append(resource)
            else:
                if kind in self.read or kind == "Patient":
                    self._note(resource)
                yield resource
        for patient in replaced:
            if self.current(str(patient.get("id"))) == patient.get("id"):
                self._note(patient)
                yield patient
            else:
                self.superseded += 1

    def current(self, patient: str) -> str:
        """Id of the patient who replaces `patient`, or `patient` itself."""
        found, seen = patient, {patient}
        while (following := self._replacing.get(found)) is not None and following not in seen:
            seen.add(following)
            found = following
        return found if found in self._patients else patient

    def with_current_keys(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a view with keys of replaced patients changed to the current ones."""
        if not self._replacing:
            return frame
        new = {old: self.current(old) for old in self._replacing}

        def key(value: Any) -> Any:
            return new.get(value, value) if type(value) is PatientKey else value

        return frame.apply(lambda column: column.map(key)) if len(frame) else frame

    @property
    def unresolved(self) -> int:
        """Resources whose reference to a patient names none of the stream."""
        if not self._patients:
            return self._open
        known = self._patients | self._replacing.keys()
        return self._open + sum(n for key, n in self._named.items() if key not in known)

    def _note(self, resource: Mapping[str, Any]) -> None:
        if resource.get("resourceType") == "Patient":
            self._patients.add(str(resource.get("id")))
            return
        node = owner(resource)
        if node is None:
            return
        reference = node.get("reference")
        if is_open(node) or not isinstance(reference, str):
            self._open += 1
        elif (key := patient_key(reference)) is not None:
            self._named[key] += 1


def patient_key(reference: str) -> str | None:
    """Id in a reference to a Patient; None for another type."""
    kind, _, key = reference.partition("/_history/")[0].rpartition("/")
    return key if kind == "Patient" or kind.endswith("/Patient") else None


def _is_error(resource: Mapping[str, Any]) -> bool:
    if resource.get("status") == _ERROR:
        return True
    verification = resource.get("verificationStatus")
    codings = verification.get("coding") if isinstance(verification, dict) else None
    return any(isinstance(c, dict) and c.get("code") == _ERROR for c in codings or [])


def _replacement(patient: Mapping[str, Any]) -> str | None:
    for link in patient.get("link") or []:
        if isinstance(link, dict) and link.get("type") == "replaced-by":
            other = link.get("other")
            reference = other.get("reference") if isinstance(other, dict) else None
            if isinstance(reference, str) and (key := patient_key(reference)):
                return key
    return None
