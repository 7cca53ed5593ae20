"""DICOMweb: find studies (QIDO-RS) and stream them into a folder (WADO-RS)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from healthval.cohort.dicom.folder import Instance, index_file, silenced, stage, staged_path
from healthval.errors import CohortError

_PAGE: Final = 200
# Any transfer syntax: the PACS shall send what it has, without transcoding.
_AS_STORED: Final = (("application/dicom", "*"),)


@dataclass(frozen=True, slots=True)
class Study:
    """A study that a PACS holds."""

    patient: str = field(repr=False)
    study: str = field(repr=False)
    n_instances: int | None


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
            raise CohortError("DICOMweb needs the extra healthval[dicom]") from None
        self._client = DICOMwebClient(url=url, session=session)

    def search(self, filters: Mapping[str, str]) -> Iterator[Study]:
        """Yield the studies that fit, page by page; filters are keywords such as StudyDate."""
        offset = 0
        while True:
            found = self._asked(filters, offset)
            yield from (_study(answer) for answer in found)
            if len(found) < _PAGE:
                return
            offset += len(found)

    def _asked(self, filters: Mapping[str, str], offset: int) -> list[dict[str, Any]]:
        try:
            with silenced():
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
        """Stream studies into `folder`, one file at a time; what is there already stays.

        Raises
        ------
        CohortError
            If the PACS breaks off; instances that arrived stay, so the next call goes on.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number, study in enumerate(studies):
            yield from self._streamed(number, study, target)

    def _streamed(self, number: int, study: str, folder: Path) -> Iterator[Instance]:
        stream: Iterator[Any] | None = None
        while True:
            try:
                with silenced():
                    if stream is None:
                        stream = iter(self._client.iter_study(study, media_types=_AS_STORED))
                    dataset = next(stream, None)
                    found = None if dataset is None else _kept(dataset, folder)
            except Exception:
                raise CohortError(
                    f"the PACS broke off while sending study {number}; run again to go on"
                ) from None
            if dataset is None:
                return
            if found is None:
                raise CohortError(f"study {number} holds an instance that cannot be read")
            yield found


def _kept(dataset: Any, folder: Path) -> Instance | None:
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
