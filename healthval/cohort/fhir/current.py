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
_KEY = "healthval_patient_key"


@dataclass(kw_only=True)
class CurrentResources:
    """Filter of a stream, with counts; complete when the stream has ended.

    Attributes
    ----------
    read : resource types that a view reads
    errors : resources entered in error, and patients that were left out because another one replaces them
    """

    read: Collection[str]
    errors: int = 0
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
                self.errors += 1
            elif kind == "Patient" and (others := _links(resource, "replaced-by")):
                self._replacing[str(resource.get("id"))] = others[0]
                replaced.append(resource)
            else:
                if kind in self.read or kind == "Patient":
                    self._note(resource)
                if kind == "Patient":
                    news = dict.fromkeys(_links(resource, "replaces"), str(resource.get("id")))
                    self._replacing = news | self._replacing
                yield resource
        for patient in replaced:
            if self.current(str(patient.get("id"))) == patient.get("id"):
                self._note(patient)
                yield patient
            else:
                self.errors += 1

    def current(self, patient: str) -> str:
        """Id of the patient who replaces `patient`, or `patient` itself."""
        found, seen = patient, {patient}
        while (following := self._replacing.get(found)) is not None:
            if following in seen:  # a circle
                return min(seen & self._patients, default=patient)
            seen.add(following)
            found = following
        return found if found in self._patients else patient

    @property
    def superseded(self) -> int:
        """Resources entered in error, and patients replaced by another one of the stream."""
        return self.errors + sum(
            old != self.current(old) for old in self._replacing if old in self._patients
        )

    def current_rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a view for the current patients, whose keys replace the earlier ones.

        A view of `keyed` loses the rows of patients whom another one, read later, replaces.
        """
        if _KEY in frame.columns:
            keep = [key == self.current(key) for key in frame.pop(_KEY).astype(str)]
            frame = frame[keep].reset_index(drop=True)
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
        if node is None or _is_no_patient(node, resource):
            return
        reference = node.get("reference")
        if is_open(node) or not isinstance(reference, str) or _names_no_resource(reference):
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


def keyed(view: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a view of patients with a column of their ids, for `CurrentResources.current_rows`."""
    if view.get("resource") != "Patient":
        return view
    key = {"column": [{"name": _KEY, "path": "getResourceKey()"}]}
    return {**view, "select": [*view["select"], key]}


def _names_no_resource(reference: str) -> bool:
    """Whether a reference is to a contained resource, or an id without its type."""
    return "/" not in reference.partition("/_history/")[0]


def _is_no_patient(node: Mapping[str, Any], resource: Mapping[str, Any]) -> bool:
    """Whether an open or contained reference names its target as another type, such as a Group."""
    reference = node.get("reference")
    if isinstance(reference, str) and reference.startswith("#"):
        inside = [r for r in resource.get("contained") or [] if isinstance(r, dict)]
        kinds = [r.get("resourceType") for r in inside if r.get("id") == reference[1:]]
        return bool(kinds) and kinds[0] != "Patient"
    kind = node.get("type")
    is_typed = isinstance(kind, str) and kind.rpartition("/")[2] != "Patient"
    return is_typed and (is_open(node) or reference is None)


def _links(patient: Mapping[str, Any], kind: str) -> list[str]:
    """Ids of the patients of one type of link."""
    found = []
    for link in patient.get("link") or []:
        other = link.get("other") if isinstance(link, dict) and link.get("type") == kind else None
        reference = other.get("reference") if isinstance(other, dict) else None
        if isinstance(reference, str) and (key := patient_key(reference)):
            found.append(key)
    return found
