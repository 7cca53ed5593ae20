"""DICOMweb: find studies (QIDO-RS) and copy them into a folder (WADO-RS)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydicom import dcmread

from healthval.cohort.dicom.folder import Instance, Study, index_file
from healthval.cohort.dicom.multipart import CutError, boundary_of, parts_of
from healthval.cohort.dicom.probes import INCOMPLETE, check_complete
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

_PAGE: Final = 200
_MAX_REPEATED: Final = 3  # pages in a row without a new study
# Any transfer syntax: the PACS sends the stored bytes without transcoding.
_AS_STORED: Final = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_CHUNK: Final = 1 << 20
_UID: Final = re.compile(r"[0-9.]{1,64}")
_DATE, _TIME = "00080020", "00080030"


class WebPacs:
    """A DICOMweb origin server.

    Parameters
    ----------
    url : base address of QIDO-RS and WADO-RS
    session : requests.Session with the site's authentication and certificates, if any
    timeout : seconds to wait for an answer of the PACS

    Raises
    ------
    CohortError
        If dicomweb-client is not installed, or the address is not a web address.
    """

    def __init__(self, url: str, session: Any = None, *, timeout: float = 60) -> None:
        try:
            import requests
            from dicomweb_client.api import DICOMwebClient
        except ImportError:
            raise CohortError(
                f"DICOMweb needs dicomweb-client: {install_command('dicom')}"
            ) from None
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise CohortError(
                "the address of the PACS is not a web address; "
                "write it with its scheme, for example https://pacs.example/dicom-web"
            )
        self._warned = False
        self._url, self._timeout = url.rstrip("/"), timeout
        self._session = requests.Session() if session is None else session
        self._client = DICOMwebClient(
            url=url, session=self._session, timeout=timeout, callback=self._note_warning
        )
        # Waits of 2 and 4 s; with five attempts a wrong address would be reported after 30 s.
        self._client.set_http_retry_params(max_attempts=3)

    def _note_warning(self, response: Any, *_: Any, **__: Any) -> Any:
        """Remember whether the PACS announced further results (Warning 299, PS3.18 8.3.4.4)."""
        self._warned = "299" in response.headers.get("Warning", "")
        return response

    def search(self, filters: Mapping[str, str]) -> Iterator[Study]:
        """Yield the studies that match, each once; filters are keywords such as StudyDate.

        Pages are requested until one is empty, because a PACS may send fewer than requested.

        Raises
        ------
        CohortError
            If a filter is not a keyword, or the list is not complete: the PACS repeats a page, or a
            narrower search returns further studies.
        """
        check_filters(filters)
        seen: set[str] = set()
        moments: list[tuple[str, str]] = []
        for answer in self._answers(filters):
            study = _study(answer)
            if study.study not in seen:
                seen.add(study.study)
                moments.append((_text(answer, _DATE), _text(answer, _TIME)))
                yield study
        check_complete(filters, moments, seen, self._names)

    def _names(self, filters: Mapping[str, str]) -> list[str]:
        return [_study(answer).study for answer in self._answers(filters)]

    def _answers(self, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Answers of all pages."""
        seen: set[str] = set()
        before, offset, n_repeated = list[str](), 0, 0
        while found := self._page(filters, offset):
            keys = [_study(answer).study for answer in found]
            n_repeated = 0 if set(keys) - seen else n_repeated + 1
            if keys == before or n_repeated > _MAX_REPEATED:
                raise CohortError(INCOMPLETE)
            yield from found
            seen |= set(keys)
            if "StudyInstanceUID" in filters:
                return
            before, offset = keys, offset + len(found)
        if self._warned:
            raise CohortError(INCOMPLETE)

    def _page(self, filters: Mapping[str, str], offset: int) -> list[dict[str, Any]]:
        try:
            with quiet_pacs():
                found = list(
                    self._client.search_for_studies(
                        search_filters=dict(filters), limit=_PAGE, offset=offset
                    )
                )
            for answer in found:
                _study(answer)  # before one of them is used
        except Exception:
            raise CohortError(
                "the PACS did not answer the search, or not with studies in DICOM JSON; "
                "check its address, rights and the filters"
            ) from None
        return found

    def retrieve(self, studies: Iterable[str], folder: str | Path) -> Iterator[Instance]:
        """Copy studies into `folder`, one file at a time, as the PACS sends them.

        A study that an earlier call copied completely is not requested again.

        Raises
        ------
        CohortError
            If the PACS ends the transfer early, sends fewer instances than it announces, or sends a
            damaged one. Received instances stay, and the next call continues.
        """
        target = staging_folder(folder)
        for number, study in enumerate(studies):
            yield from self._copied(number, study, target)

    def _copied(self, number: int, study: str, folder: Path) -> Iterator[Instance]:
        if not _UID.fullmatch(study):
            raise RetrieveError(
                "the PACS names a study by a text that is not a UID", f"study {number}"
            )
        announced = self._announced(study)
        known = complete_study(folder, study, announced)
        if known is not None:
            yield from known
            return
        received: dict[str, Instance] = {}
        for content in self._contents(number, study):
            with quiet_pacs():
                found = _staged(content, folder, study, received)
            if found is None:
                raise RetrieveError(
                    "the PACS sent a damaged instance",
                    f"study {number}; run again, or ask the operator of the PACS",
                )
            received[found.instance] = found
            yield found
        if len(received) < max(announced, 1):
            raise RetrieveError(
                "the PACS sent fewer instances than it announced",
                f"study {number}: {len(received)} of {announced}; "
                "run again, or ask the operator of the PACS",
            )
        mark_complete(folder, study, received.values())

    def _contents(self, number: int, study: str) -> Iterator[bytes]:
        """Encoded instances of a study, in a multipart message or as a single part."""
        try:
            with self._answer(study) as answer:
                boundary = boundary_of(answer.headers.get("Content-Type", ""))
                if boundary is None:
                    yield answer.content
                else:
                    yield from parts_of(answer.iter_content(_CHUNK), boundary)
        except (CutError, OSError):  # `requests` derives its errors from OSError
            raise RetrieveError(
                "the PACS did not send a study or ended its transfer early",
                f"study {number}; check rights and network, and run again to continue",
            ) from None

    def _answer(self, study: str) -> Any:
        with quiet_pacs():
            answer = self._session.get(
                f"{self._url}/studies/{study}",
                headers={"Accept": _AS_STORED},
                stream=True,
                timeout=self._timeout,
            )
            answer.raise_for_status()
        # 206 and Warning 299: some instances are withheld (PS3.18 10.4.3)
        if answer.status_code != HTTPStatus.OK or "299" in answer.headers.get("Warning", ""):
            raise CutError
        return answer

    def _announced(self, study: str) -> int:
        """Number of instances that the PACS announces for a study, 0 if it does not.

        A PACS may ignore the filter and return other studies, too.
        """
        found = self.search({"StudyInstanceUID": study})
        return next((one.n_instances or 0 for one in found if one.study == study), 0)


def _staged(
    content: bytes, folder: Path, study: str, received: Mapping[str, Instance]
) -> Instance | None:
    """Write an instance of the study; None if its bytes are not a complete instance of it.

    Also None if an instance of this UID was received before with other bytes.
    """
    try:
        dataset = dcmread(BytesIO(content))
        is_asked = str(dataset.get("StudyInstanceUID", "")) == study
        instance = str(dataset.get("SOPInstanceUID", ""))
        if not (instance and is_asked and is_whole(dataset, content)):
            return None
    except Exception:
        return None
    if instance in received and received[instance].path.read_bytes() != content:
        return None
    found = index_file(stage(folder, instance, content))
    return found if isinstance(found, Instance) else None


def _study(answer: Mapping[str, Any]) -> Study:
    """Study of an answer in DICOM JSON; an answer without a UID is a `ValueError`."""
    count, study = _first(answer, "00201208"), _text(answer, "0020000D")
    if not _UID.fullmatch(study):
        raise ValueError
    return Study(
        _text(answer, "00100020"),
        study,
        int(count) if count is not None else None,
        _text(answer, "00080050"),
    )


def _text(answer: Mapping[str, Any], tag: str) -> str:
    return str(_first(answer, tag) or "")


def _first(answer: Mapping[str, Any], tag: str) -> Any:
    values = answer.get(tag, {}).get("Value") or [None]
    if not isinstance(values, list):
        raise ValueError  # noqa: TRY004  the PACS's, not the caller's
    return values[0]
