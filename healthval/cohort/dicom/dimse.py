"""DIMSE: find studies (C-FIND) and get them (C-GET) into a folder, as the PACS stored them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from healthval.cohort.dicom.folder import Instance, index_file, silenced, stage
from healthval.cohort.dicom.web import Study
from healthval.errors import CohortError

_PENDING: Final = (0xFF00, 0xFF01)
_SUCCESS, _REFUSED = 0x0000, 0xA700
_MAX_CONTEXTS: Final = 127
# Uncompressed, deflated, JPEG, JPEG-LS, JPEG 2000, RLE, HTJ2K, MPEG-4
_SYNTAXES: Final = tuple(
    f"1.2.840.10008.1.2{suffix}"
    for suffix in [
        *(".1", "", ".1.99", ".4.50", ".4.51", ".4.57", ".4.70", ".4.80", ".4.81"),
        *(".4.90", ".4.91", ".5", ".4.201", ".4.203", ".4.102"),
    ]
)


@dataclass(frozen=True, slots=True)
class DimsePacs:
    """A PACS that answers C-FIND and C-GET, study root.

    Parameters
    ----------
    host, port, ae_title : the PACS
    calling : our own AE title, which the PACS must know
    """

    host: str
    port: int
    ae_title: str
    calling: str = "HEALTHVAL"

    def search(self, filters: Mapping[str, str]) -> Iterator[Study]:
        """Yield the studies that fit; filters are keywords such as StudyDate or PatientID."""
        yield from (_study(answer) for answer in self._answers(filters))

    def _answers(self, filters: Mapping[str, str]) -> list[Dataset]:
        net = _pynetdicom()
        model = net.sop_class.StudyRootQueryRetrieveInformationModelFind
        found = []
        with silenced(), self._association([net.build_context(model)]) as association:
            for status, answer in association.send_c_find(_query(filters), model):
                if not status or status.Status not in (*_PENDING, _SUCCESS):
                    raise CohortError(
                        "the PACS did not answer the search; check rights and filters"
                    )
                if status.Status in _PENDING and answer is not None:
                    found.append(answer)
        return found

    def _contexts(self, study: str) -> list[Any]:
        """One context per class and transfer syntax, so that nothing need be transcoded.

        A PACS that does not tell a study's classes is offered all of them, and picks one
        syntax for each.
        """
        net = _pynetdicom()
        answers = self._answers({"StudyInstanceUID": study, "SOPClassesInStudy": ""})
        told = [a.get("SOPClassesInStudy") or [] for a in answers]
        classes = sorted({str(c) for t in told for c in ([t] if isinstance(t, str) else t)})
        pairs = [(c, s) for s in _SYNTAXES for c in classes]
        if not classes or len(pairs) > _MAX_CONTEXTS:
            known = [c.abstract_syntax for c in net.StoragePresentationContexts][:_MAX_CONTEXTS]
            return [net.build_context(c, net.ALL_TRANSFER_SYNTAXES) for c in classes or known]
        return [net.build_context(c, s) for c, s in pairs]

    def retrieve(self, studies: Iterable[str], folder: str | Path) -> Iterator[Instance]:
        """Get studies into `folder`; every file is written as it arrives, without decoding.

        Raises
        ------
        CohortError
            If the PACS refuses, breaks off or could not send every instance.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number, study in enumerate(studies):
            yield from self._got(number, study, target)

    def _got(self, number: int, study: str, folder: Path) -> list[Instance]:
        net = _pynetdicom()
        model = net.sop_class.StudyRootQueryRetrieveInformationModelGet
        contexts = self._contexts(study)
        classes = {str(context.abstract_syntax) for context in contexts}
        roles = [net.build_role(c, scp_role=True) for c in sorted(classes)]
        arrived: list[Path] = []

        def store(event: Any) -> int:
            try:
                arrived.append(stage(folder, event.request.AffectedSOPInstanceUID, event.encoded_dataset()))  # fmt: skip
            except OSError:
                return _REFUSED
            return _SUCCESS

        identifier = Dataset()
        identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", study
        handlers = [(net.evt.EVT_C_STORE, store)]
        with silenced(), self._association([net.build_context(model), *contexts], roles, handlers) as association:  # fmt: skip
            answers = [status for status, _ in association.send_c_get(identifier, model)]
        last = answers[-1] if answers else None
        if not last or last.Status != _SUCCESS:
            lost = getattr(last, "NumberOfFailedSuboperations", None) or "some"
            raise CohortError(
                f"the PACS did not send study {number} whole: {lost} instances are missing, "
                f"{len(arrived)} arrived; check its rights for this AE title and run again"
            )
        found = [index_file(path) for path in arrived]
        return [one for one in found if isinstance(one, Instance)]

    @contextmanager
    def _association(self, contexts: list[Any], roles: Any = (), handlers: Any = ()) -> Iterator[Any]:  # fmt: skip
        net = _pynetdicom()
        entity = net.AE(ae_title=self.calling)
        entity.requested_contexts = contexts
        association = entity.associate(self.host, self.port, ae_title=self.ae_title, ext_neg=list(roles), evt_handlers=list(handlers))  # fmt: skip
        if not association.is_established:
            raise CohortError(
                "the PACS did not accept the association; check host, port and both AE titles"
            )
        try:
            yield association
        finally:
            association.release()


def _pynetdicom() -> Any:
    try:
        import pynetdicom
        from pynetdicom import sop_class
    except ImportError:
        raise CohortError("DIMSE needs the extra healthval[dicom]") from None
    del sop_class  # imported so that `pynetdicom.sop_class` is there
    return pynetdicom


def _query(filters: Mapping[str, str]) -> Dataset:
    unknown = sum(tag_for_keyword(keyword) is None for keyword in filters)
    if unknown:
        raise CohortError(f"{unknown} filters are no DICOM keywords; see StudyDate, Modality ...")
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.PatientID = query.StudyInstanceUID = ""
    query.NumberOfStudyRelatedInstances = None
    for keyword, value in filters.items():
        setattr(query, keyword, value)
    return query


def _study(answer: Dataset) -> Study:
    count = answer.get("NumberOfStudyRelatedInstances")
    return Study(
        str(answer.get("PatientID", "")),
        str(answer.get("StudyInstanceUID", "")),
        int(count) if count is not None else None,
    )
