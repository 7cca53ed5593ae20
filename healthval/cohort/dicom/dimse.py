"""DIMSE: find studies (C-FIND) and copy them (C-GET or C-MOVE) into a folder, as the PACS stored them."""

import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Final

from pydicom.dataset import Dataset

from healthval.cohort.dicom.folder import Instance, Study, index_file
from healthval.cohort.dicom.probes import check_complete
from healthval.cohort.dicom.staging import (
    RetrieveError,
    check_filters,
    complete_study,
    is_whole,
    mark_complete,
    quiet_pacs,
    stage,
    staging_folder,
)
from healthval.errors import CohortError
from healthval.files import install_command

_PENDING: Final = (0xFF00, 0xFF01)
_SUCCESS, _OUT_OF_RESOURCES, _NOT_ASKED = 0x0000, 0xA700, 0xC000
_CANNOT_UNDERSTAND: Final = 0xC100
_STUDY: Final = 0x0020000D
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
    """A PACS with C-FIND and C-GET or C-MOVE, study root.

    Parameters
    ----------
    host, port, ae_title : the PACS
    calling : our own AE title, which must be registered at the PACS
    tls : context that verifies the PACS, and has our certificate if the PACS demands one
    listen : host and port at which the PACS delivers (C-MOVE); None for C-GET. The PACS must have
        them registered for our AE title.
    listen_tls : context with our certificate for deliveries; None without TLS
    timeout : seconds to wait for an answer of the PACS
    """

    host: str
    port: int
    ae_title: str
    calling: str = "HEALTHVAL"
    _: KW_ONLY
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    listen: tuple[str, int] | None = None
    listen_tls: ssl.SSLContext | None = field(default=None, repr=False)
    timeout: float = 60

    def search(self, filters: Mapping[str, str]) -> Iterator[Study]:
        """Yield the studies that match, each once; filters are keywords such as StudyDate.

        Raises
        ------
        CohortError
            If a filter is not a keyword, or the list is not complete.
        """
        found = self._found(filters)
        studies = {study.study: study for study in map(_study, found)}
        yield from studies.values()
        moments = [(_text(one, "StudyDate"), _text(one, "StudyTime")) for one in found]
        check_complete(filters, moments, studies, self._names)

    def _names(self, filters: Mapping[str, str]) -> list[str]:
        return [_study(answer).study for answer in self._found(filters)]

    def _found(self, filters: Mapping[str, str]) -> list[Dataset]:
        net = _pynetdicom()
        model = net.sop_class.StudyRootQueryRetrieveInformationModelFind
        found = []
        with quiet_pacs(), self._association([net.build_context(model)]) as association:
            for status, answer in association.send_c_find(_query(filters), model):
                if not status or status.Status not in (*_PENDING, _SUCCESS):
                    raise CohortError(
                        "the PACS did not answer the search, or ended the list of results early; "
                        "check rights and filters, or search for shorter periods"
                    )
                if status.Status in _PENDING and answer is not None:
                    found.append(_checked(answer))
        return found

    def retrieve(self, studies: Iterable[str], folder: str | Path) -> Iterator[Instance]:
        """Copy studies into `folder`; every file is written when it arrives, without decoding.

        A study that an earlier call copied completely is not requested again.

        Raises
        ------
        CohortError
            If the PACS refuses, ends the transfer early, sends fewer instances than it announces, or
            the local disk refuses a file.
        """
        target = staging_folder(folder)
        for number, study in enumerate(studies):
            answers = self._found({"StudyInstanceUID": study, "SOPClassesInStudy": ""})
            found = [one for one in answers if _study(one).study == study]
            announced = _study(found[0]).n_instances if found else None
            known = complete_study(target, study, announced)
            if known is None:
                known = self._copied(number, found, _Deliveries(study, target), announced or 1)
                mark_complete(target, study, known)
            yield from known

    def _copied(
        self, number: int, found: list[Dataset], deliveries: "_Deliveries", announced: int
    ) -> list[Instance]:
        fetch = self._get if self.listen is None else self._move
        last = fetch(deliveries, found)
        if deliveries.failed is not None:
            raise deliveries.failed
        n_failed = getattr(last, "NumberOfFailedSuboperations", 0)
        if not last or last.Status != _SUCCESS or n_failed:
            raise RetrieveError(
                "the PACS did not send a study completely",
                f"study {number}: missing {n_failed or 'some'},"
                f" received {len(deliveries.arrived)}; check its rights for this AE title and run"
                " again",
            )
        with quiet_pacs():
            indexed = [index_file(path) for path in dict.fromkeys(deliveries.arrived)]
        done = [one for one in indexed if isinstance(one, Instance)]
        if len(done) < announced:
            raise RetrieveError(
                "the PACS sent fewer instances than it announced",
                f"study {number}: {len(done)} of {announced}; run again, or ask the operator of the"
                " PACS",
            )
        return done

    # --- C-GET ----------------------------------------------------------------------------------

    def _get(self, deliveries: "_Deliveries", found: list[Dataset]) -> Any:
        """C-GET of one study; return the last status, or None without an answer."""
        net = _pynetdicom()
        model = net.sop_class.StudyRootQueryRetrieveInformationModelGet
        storage = _contexts(found)
        classes = sorted({str(context.abstract_syntax) for context in storage})
        roles = [net.build_role(c, scp_role=True) for c in classes]
        contexts = [net.build_context(model), *storage]
        handlers = [(net.evt.EVT_C_STORE, deliveries.store)]
        with quiet_pacs(), self._association(contexts, roles, handlers) as association:
            answers = association.send_c_get(_identifier(deliveries.study), model)
            statuses = [status for status, _ in answers]
        return statuses[-1] if statuses else None

    # --- C-MOVE ---------------------------------------------------------------------------------

    def _move(self, deliveries: "_Deliveries", found: list[Dataset]) -> Any:
        """C-MOVE of one study to our own port; return the last status, or None without an answer."""
        net = _pynetdicom()
        model = net.sop_class.StudyRootQueryRetrieveInformationModelMove
        contexts = [net.build_context(model)]
        with (
            quiet_pacs(),
            self._receiver(deliveries, found),
            self._association(contexts) as association,
        ):
            identifier = _identifier(deliveries.study)
            answers = association.send_c_move(identifier, self.calling, model)
            statuses = [status for status, _ in answers]
        return statuses[-1] if statuses else None

    @contextmanager
    def _receiver(self, deliveries: "_Deliveries", found: list[Dataset]) -> Iterator[None]:
        """Accept deliveries of this PACS, under our AE title, while one study is moved."""
        net = _pynetdicom()
        entity = self._entity()
        entity.require_called_aet = True
        entity.require_calling_aet = [self.ae_title]
        for context in _contexts(found, is_any_syntax=True):
            entity.add_supported_context(context.abstract_syntax, context.transfer_syntax)
        handlers = [(net.evt.EVT_C_STORE, deliveries.store)]
        try:
            server = entity.start_server(
                self.listen, block=False, evt_handlers=handlers, ssl_context=self.listen_tls
            )
        except OSError as failed:
            raise CohortError(
                f"the port for deliveries cannot be opened ({failed.strerror}); "
                "choose another one under 'listen'"
            ) from None
        try:
            yield
        finally:
            server.shutdown()

    # --- associations ---------------------------------------------------------------------------

    def _entity(self) -> Any:
        entity = _pynetdicom().AE(ae_title=self.calling)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self.timeout
        entity.connection_timeout = self.timeout
        return entity

    @contextmanager
    def _association(
        self, contexts: list[Any], roles: Sequence[Any] = (), handlers: Sequence[Any] = ()
    ) -> Iterator[Any]:
        entity = self._entity()
        entity.requested_contexts = contexts
        association = entity.associate(
            self.host,
            self.port,
            ae_title=self.ae_title,
            ext_neg=list(roles),
            evt_handlers=list(handlers),
            tls_args=None if self.tls is None else (self.tls, self.host),
        )
        if not association.is_established:
            raise CohortError(
                "the PACS did not accept the association; check host, port, both AE titles and TLS"
            )
        try:
            yield association
        finally:
            association.release()


class _Deliveries:
    """Instances of one study that the PACS delivers, and the first local failure."""

    def __init__(self, study: str, folder: Path) -> None:
        self.study, self.folder = study, folder
        self.arrived: list[Path] = []
        self.failed: RetrieveError | None = None

    def store(self, event: Any) -> int:
        """Write an instance as it arrives; instances of other studies are refused."""
        try:
            dataset, content = event.dataset, event.encoded_dataset()
            if str(dataset.get(_STUDY).value) != self.study:
                return _NOT_ASKED
            if not is_whole(dataset, content):
                self.failed = self.failed or RetrieveError(
                    "the PACS sent a damaged instance", "run again, or ask the operator of the PACS"
                )
                return _CANNOT_UNDERSTAND
            uid = event.request.AffectedSOPInstanceUID
            self.arrived.append(stage(self.folder, uid, content))
        except RetrieveError as failed:
            self.failed = self.failed or failed
            return _OUT_OF_RESOURCES
        except Exception:  # an instance that cannot be read
            return _NOT_ASKED
        return _SUCCESS


def _contexts(found: list[Dataset], *, is_any_syntax: bool = False) -> list[Any]:
    """One context per class and transfer syntax, so that the PACS transcodes no file.

    If the PACS does not report the classes of a study, all classes are offered and the PACS
    chooses one syntax for each.
    """
    net = _pynetdicom()
    reported = [answer.get("SOPClassesInStudy") or [] for answer in found]
    classes = sorted({str(c) for r in reported for c in ([r] if isinstance(r, str) else r)})
    pairs = [(c, s) for s in _SYNTAXES for c in classes]
    if is_any_syntax or not classes or len(pairs) > _MAX_CONTEXTS:
        known = [c.abstract_syntax for c in net.StoragePresentationContexts][:_MAX_CONTEXTS]
        return [net.build_context(c, net.ALL_TRANSFER_SYNTAXES) for c in classes or known]
    return [net.build_context(c, s) for c, s in pairs]


def _identifier(study: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", study
    return identifier


def _pynetdicom() -> Any:
    try:
        import pynetdicom
        from pynetdicom import sop_class
    except ImportError:
        raise CohortError(f"DIMSE needs pynetdicom: {install_command('dicom')}") from None
    del sop_class  # imported because `pynetdicom.sop_class` exists only then
    return pynetdicom


def _query(filters: Mapping[str, str]) -> Dataset:
    check_filters(filters)
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.PatientID = query.StudyInstanceUID = query.StudyDate = query.StudyTime = ""
    query.NumberOfStudyRelatedInstances = None
    for keyword, value in filters.items():
        setattr(query, keyword, value)
    return query


def _checked(answer: Dataset) -> Dataset:
    """An answer whose values can be read."""
    try:
        with_study = bool(_study(answer).study)
    except Exception:
        with_study = False
    if not with_study:
        raise CohortError(
            "the PACS answers the search with values that cannot be read; ask its operator"
        )
    return answer


def _study(answer: Dataset) -> Study:
    count = answer.get("NumberOfStudyRelatedInstances")
    return Study(
        _text(answer, "PatientID"),
        _text(answer, "StudyInstanceUID"),
        int(count) if count is not None else None,
        _text(answer, "AccessionNumber"),
    )


def _text(answer: Dataset, keyword: str) -> str:
    return str(answer.get(keyword) or "")
