"""DIMSE: find studies (C-FIND) and copy them (C-GET) into a folder, as the PACS stored them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset

from healthval.cohort.dicom.folder import (
    Instance,
    Study,
    check_filters,
    index_file,
    quiet_pacs,
    stage,
    staging_folder,
)
from healthval.errors import CohortError, counted

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
    """A PACS with C-FIND and C-GET, study root.

    Parameters
    ----------
    host, port, ae_title : the PACS
    calling : our own AE title, which must be registered at the PACS
    """

    host: str
    port: int
    ae_title: str
    calling: str = "HEALTHVAL"

    def search(self, filters: Mapping[str, str]) -> Iterator[Study]:
        """Yield the studies that match; filters are keywords such as StudyDate or PatientID."""
        yield from (_study(answer) for answer in self._found(filters))

    def _found(self, filters: Mapping[str, str]) -> list[Dataset]:
        net = _pynetdicom()
        model = net.sop_class.StudyRootQueryRetrieveInformationModelFind
        found = []
        with quiet_pacs(), self._association([net.build_context(model)]) as association:
            for status, answer in association.send_c_find(_query(filters), model):
                if not status or status.Status not in (*_PENDING, _SUCCESS):
                    raise CohortError(
                        "the PACS did not answer the search; check rights and filters"
                    )
                if status.Status in _PENDING and answer is not None:
                    found.append(answer)
        return found

    def _contexts(self, study: str) -> list[Any]:
        """One context per class and transfer syntax, so that the PACS transcodes no file.

        If the PACS does not report the classes of a study, all classes are offered and the PACS
        chooses one syntax for each.
        """
        net = _pynetdicom()
        answers = self._found({"StudyInstanceUID": study, "SOPClassesInStudy": ""})
        reported = [a.get("SOPClassesInStudy") or [] for a in answers]
        classes = sorted({str(c) for r in reported for c in ([r] if isinstance(r, str) else r)})
        pairs = [(c, s) for s in _SYNTAXES for c in classes]
        if not classes or len(pairs) > _MAX_CONTEXTS:
            known = [c.abstract_syntax for c in net.StoragePresentationContexts][:_MAX_CONTEXTS]
            return [net.build_context(c, net.ALL_TRANSFER_SYNTAXES) for c in classes or known]
        return [net.build_context(c, s) for c, s in pairs]

    def retrieve(self, studies: Iterable[str], folder: str | Path) -> Iterator[Instance]:
        """Copy studies into `folder`; every file is written when it arrives, without decoding.

        Raises
        ------
        CohortError
            If the PACS refuses, ends the transfer early or cannot send every instance.
        """
        target = staging_folder(folder)
        for number, study in enumerate(studies):
            yield from self._copied(number, study, target)

    def _copied(self, number: int, study: str, folder: Path) -> list[Instance]:
        arrived: list[Path] = []

        def store(event: Any) -> int:
            uid = event.request.AffectedSOPInstanceUID
            try:
                arrived.append(stage(folder, uid, event.encoded_dataset()))
            except OSError:
                return _REFUSED
            return _SUCCESS

        last = self._get(study, store)
        if not last or last.Status != _SUCCESS:
            n_failed = getattr(last, "NumberOfFailedSuboperations", None)
            missing = counted(n_failed, "instance") if n_failed else "some instances"
            raise CohortError(
                f"the PACS did not send study {number} completely: missing {missing}, received "
                f"{len(arrived)}; check its rights for this AE title and run again"
            )
        with quiet_pacs():
            found = [index_file(path) for path in arrived]
        return [one for one in found if isinstance(one, Instance)]

    def _get(self, study: str, store: Any) -> Any:
        """C-GET of one study; return the last status, or None without an answer."""
        net = _pynetdicom()
        model = net.sop_class.StudyRootQueryRetrieveInformationModelGet
        storage = self._contexts(study)
        classes = sorted({str(context.abstract_syntax) for context in storage})
        roles = [net.build_role(c, scp_role=True) for c in classes]
        identifier = Dataset()
        identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", study
        contexts = [net.build_context(model), *storage]
        handlers = [(net.evt.EVT_C_STORE, store)]
        with quiet_pacs(), self._association(contexts, roles, handlers) as association:
            statuses = [status for status, _ in association.send_c_get(identifier, model)]
        return statuses[-1] if statuses else None

    @contextmanager
    def _association(
        self, contexts: list[Any], roles: Sequence[Any] = (), handlers: Sequence[Any] = ()
    ) -> Iterator[Any]:
        entity = _pynetdicom().AE(ae_title=self.calling)
        entity.requested_contexts = contexts
        association = entity.associate(
            self.host,
            self.port,
            ae_title=self.ae_title,
            ext_neg=list(roles),
            evt_handlers=list(handlers),
        )
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
        raise CohortError("DIMSE needs the extra healthval[dicom]; install it") from None
    del sop_class  # imported because `pynetdicom.sop_class` exists only then
    return pynetdicom


def _query(filters: Mapping[str, str]) -> Dataset:
    check_filters(filters)
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
