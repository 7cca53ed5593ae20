"""DICOMweb: find studies (QIDO-RS) and copy them into a folder (WADO-RS)."""

from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from healthval.cohort.dicom.folder import (
    Instance,
    Study,
    index_file,
    quiet_pacs,
    stage,
    staged_path,
    staging_folder,
)
from healthval.errors import CohortError

_PAGE: Final = 200
# Any transfer syntax: the PACS sends the stored bytes without transcoding.
_AS_STORED: Final = (("application/dicom", "*"),)


class WebPacs:
    """A DICOMweb origin server.

    Parameters
    ----------
    url : base address of QIDO-RS and WADO-RS
    session : requests.Session with the site's authentication and certificates, if any

    Raises
    ------
    CohortError
        If dicomweb-client is not installed.
    """

    def __init__(self, url: str, session: Any = None) -> None:
        try:
            from dicomweb_client.api import DICOMwebClient
        except ImportError:
            raise CohortError("DICOMweb needs the extra healthval[dicom]; install it") from None
        self._client = DICOMwebClient(url=url, session=session)

    def search(self, filters: Mapping[str, str]) -> Iterator[Study]:
        """Yield the studies that match, page by page; filters are keywords such as StudyDate."""
        offset = 0
        while True:
            found = self._page(filters, offset)
            yield from (_study(answer) for answer in found)
            if len(found) < _PAGE:
                return
            offset += len(found)

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
                return
            if found is None:
                raise CohortError(
                    f"study {number} has an instance that cannot be read; "
                    "ask the operator of the PACS"
                )
            yield found


def _staged(dataset: Any, folder: Path) -> Instance | None:
    instance = str(dataset.get("SOPInstanceUID", ""))
    path = staged_path(folder, instance)
    if not path.exists():
        buffer = BytesIO()
        dataset.save_as(buffer)
        stage(folder, instance, buffer.getvalue())
    found = index_file(path)
    return found if isinstance(found, Instance) else None


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
