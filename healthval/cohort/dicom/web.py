"""DICOMweb: find studies (QIDO-RS) and copy them into a folder (WADO-RS)."""

from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from healthval.cohort.dicom.folder import (
    Instance,
    Study,
    check_filters,
    index_file,
    quiet_pacs,
    stage,
    staged_path,
    staging_folder,
)
from healthval.errors import CohortError, counted

_UNDEFINED: Final = 0xFFFFFFFF
_PAGE: Final = 200
_MAX_REPEATED: Final = 3  # pages in a row without a new study
_INCOMPLETE: Final = (
    "the PACS repeats a page of results or withholds some, so the list of studies is not complete; "
    "search for shorter periods, for example by StudyDate"
)
# Any transfer syntax: the PACS sends the stored bytes without transcoding.
_AS_STORED: Final = (("application/dicom", "*"),)


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
        If dicomweb-client is not installed, or the address is no web address.
    """

    def __init__(self, url: str, session: Any = None, *, timeout: float = 60) -> None:
        try:
            from dicomweb_client.api import DICOMwebClient
        except ImportError:
            raise CohortError("DICOMweb needs the extra healthval[dicom]; install it") from None
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise CohortError(
                "the address of the PACS is no web address; "
                "write it with its scheme, for example https://pacs.example/dicom-web"
            )
        self._warned = False
        self._client = DICOMwebClient(
            url=url, session=session, timeout=timeout, callback=self._note_warning
        )

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
            If a filter is no keyword, or the PACS repeats a page so that the list is not complete.
        """
        check_filters(filters)
        seen: set[str] = set()
        before, offset, n_repeated = list[str](), 0, 0
        while found := self._page(filters, offset):
            studies = [_study(answer) for answer in found]
            keys = [study.study for study in studies]
            n_repeated = 0 if set(keys) - seen else n_repeated + 1
            if keys == before or n_repeated > _MAX_REPEATED:
                raise CohortError(_INCOMPLETE)
            for study in studies:
                if study.study not in seen:
                    seen.add(study.study)
                    yield study
            if "StudyInstanceUID" in filters:
                return
            before, offset = keys, offset + len(found)
        if self._warned:
            raise CohortError(_INCOMPLETE)

    def _page(self, filters: Mapping[str, str], offset: int) -> list[dict[str, Any]]:
        try:
            with quiet_pacs():
                return list(
                    self._client.search_for_studies(
                        search_filters=dict(filters), limit=_PAGE, offset=offset
                    )
                )
        except Exception:
            raise CohortError(
                "the PACS did not answer the search; check its address, rights and the filters"
            ) from None

    def retrieve(self, studies: Iterable[str], folder: str | Path) -> Iterator[Instance]:
        """Copy studies into `folder`, one file at a time; existing files are kept.

        Raises
        ------
        CohortError
            If the PACS ends the transfer early. Received instances stay, so that the next call
            continues.
        """
        target = staging_folder(folder)
        for number, study in enumerate(studies):
            yield from self._copied(number, study, target)

    def _copied(self, number: int, study: str, folder: Path) -> Iterator[Instance]:
        stream: Iterator[Any] | None = None
        announced, received = self._announced(study), set[str]()
        while True:
            try:
                with quiet_pacs():
                    if stream is None:
                        stream = iter(self._client.iter_study(study, media_types=_AS_STORED))
                    dataset = next(stream, None)
                    found = None if dataset is None else _staged(dataset, folder)
            except Exception:
                raise CohortError(
                    f"the PACS ended the transfer of study {number} early; run again to continue"
                ) from None
            if dataset is None:
                if len(received) < max(announced, 1):
                    raise CohortError(
                        f"the PACS sent {counted(len(received), 'instance')} of study {number}, "
                        f"announced {announced}; run again, or ask the operator of the PACS"
                    )
                return
            if found is None:
                raise CohortError(
                    f"study {number} has an instance that cannot be read; "
                    "ask the operator of the PACS"
                )
            received.add(found.instance)
            yield found

    def _announced(self, study: str) -> int:
        """Number of instances that the PACS announces for a study, 0 if it does not."""
        found = next(self.search({"StudyInstanceUID": study}), None)
        return 0 if found is None else found.n_instances or 0


def _staged(dataset: Any, folder: Path) -> Instance | None:
    if not _is_whole(dataset):
        return None
    instance = str(dataset.get("SOPInstanceUID", ""))
    path = staged_path(folder, instance)
    if not path.exists():
        buffer = BytesIO()
        dataset.save_as(buffer)
        stage(folder, instance, buffer.getvalue())
    found = index_file(path)
    return found if isinstance(found, Instance) else None


def _is_whole(dataset: Any) -> bool:
    """Whether every value has its declared length; the last one of a cut object has not."""
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        is_defined = element.is_raw and element.length != _UNDEFINED
        if is_defined and len(element.value or b"") != element.length:
            return False
    return True


def _study(answer: Mapping[str, Any]) -> Study:
    count = _first(answer, "00201208")
    return Study(
        str(_first(answer, "00100020") or ""),
        str(_first(answer, "0020000D") or ""),
        int(count) if count is not None else None,
    )


def _first(answer: Mapping[str, Any], tag: str) -> Any:
    values = answer.get(tag, {}).get("Value") or [None]
    return values[0]
