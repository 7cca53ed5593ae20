"""A PACS named in a plan or on the command line: its connection, and the images of the cases."""

import os
import ssl
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from healthval.cohort.dicom.dimse import DimsePacs
from healthval.cohort.dicom.folder import Study
from healthval.cohort.dicom.staging import RetrieveError
from healthval.cohort.dicom.web import WebPacs
from healthval.contracts.images import PacsChoice
from healthval.errors import CohortError, UsageError, counted
from healthval.progress import tqdm

Pacs = WebPacs | DimsePacs
KEYWORDS: Final = {
    "accession": "AccessionNumber",
    "study": "StudyInstanceUID",
    "patient": "PatientID",
}
_MOST_BY_NAME: Final = 1000  # studies of one patient
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


def open_pacs(choice: PacsChoice) -> Pacs:
    """Connect to a declared PACS; its token is read from the environment.

    Raises
    ------
    UsageError
        If the token is not set or would be sent in clear, or a certificate cannot be read.
    """
    if choice.dimse is None:
        return _web(choice)
    host, port, title = choice.dimse.split(":")
    listen = choice.listen.split(":") if choice.listen else None
    return DimsePacs(
        host,
        int(port),
        title,
        choice.calling,
        tls=_context(choice, ssl.Purpose.SERVER_AUTH) if choice.tls else None,
        listen=(listen[0], int(listen[1])) if listen else None,
        listen_tls=_context(choice, ssl.Purpose.CLIENT_AUTH) if choice.tls and listen else None,
        timeout=choice.timeout,
    )


def _web(choice: PacsChoice) -> WebPacs:
    import requests

    assert choice.url is not None  # noqa: S101  by its validator
    session = requests.Session()
    for file in (choice.ca, choice.certificate, choice.key):
        if file is not None and not Path(file).is_file():
            raise UsageError("a certificate file of the PACS does not exist; correct its path")
    if choice.ca is not None:
        session.verify = choice.ca
    if choice.certificate is not None and choice.key is not None:
        session.cert = (choice.certificate, choice.key)
    if choice.token is not None:
        address = urlsplit(choice.url)
        if address.scheme == "http" and address.hostname not in _LOCAL:
            raise UsageError("the token would be sent in clear; give an https address")
        token = os.environ.get(choice.token, "").strip()
        if not token:
            raise UsageError(
                "the environment variable of the PACS's token is not set; set it first"
            )
        session.headers["Authorization"] = f"Bearer {token}"
        session.trust_env = False  # a .netrc file would replace the token
    return WebPacs(choice.url, session, timeout=choice.timeout)


def _context(choice: PacsChoice, purpose: ssl.Purpose) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(purpose, cafile=choice.ca)
        if choice.certificate is not None and choice.key is not None:
            context.load_cert_chain(choice.certificate, choice.key)
        elif purpose is ssl.Purpose.CLIENT_AUTH:
            raise UsageError("deliveries by TLS need 'certificate' and 'key'")
        if purpose is ssl.Purpose.CLIENT_AUTH and choice.ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED  # only the PACS may deliver
    except (OSError, ssl.SSLError):
        raise UsageError(
            "a certificate file of the PACS cannot be read; give 'ca', 'certificate' and 'key' as PEM"
        ) from None
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """Result of a retrieval, in counts: studies, files, values without a study, and failures."""

    n_studies: int
    n_files: int
    n_not_found: int
    failed: Counter[str] = field(default_factory=Counter)
    last: str = ""


def find_studies(pacs: Pacs, queries: Iterable[Mapping[str, str]]) -> tuple[list[Study], int]:
    """Studies that match any query, each once, and the number of queries without a study.

    Raises
    ------
    CohortError
        If the PACS does not answer, or ignores an identifier and returns other studies.
    """
    found: dict[str, Study] = {}
    n_missing = 0
    for filters in queries:
        studies = list(pacs.search(filters))
        n_missing += not studies
        if len(studies) > _MOST_BY_NAME and set(filters) & set(KEYWORDS.values()):
            raise CohortError(
                f"the PACS returned {counted(len(studies), 'study', 'studies')} for one identifier; "
                "it ignores the filter, and nothing was copied"
            )
        for study in studies:
            _check_asked(filters, study)
        found |= {study.study: study for study in studies}
    return list(found.values()), n_missing


def _check_asked(filters: Mapping[str, str], study: Study) -> None:
    """Refuse a study of another identifier: a PACS that ignores a filter returns other patients.

    Case, spaces and leading zeros do not count, nor identifiers that the PACS does not return.
    """
    answered = (study.accession, study.study, study.patient)
    for keyword, value in zip(KEYWORDS.values(), answered, strict=True):
        asked = filters.get(keyword, "")
        if asked and value and _plain(asked) != _plain(value):
            raise CohortError(
                f"the PACS ignores the filter {keyword} and returns other studies; nothing was "
                "copied, ask the operator of the PACS"
            )


def _plain(identifier: str) -> str:
    return identifier.strip().lstrip("0").casefold()


def retrieve_studies(
    pacs: Pacs, studies: Iterable[Study], folder: Path, *, n_not_found: int = 0
) -> Retrieval:
    """Copy studies into a folder; a study that fails is counted by its reason, the others go on."""
    studies = list(studies)
    failed: Counter[str] = Counter()
    n_files, last = 0, ""
    for study in _with_progress(studies):
        try:
            n_files += sum(1 for _ in pacs.retrieve([study.study], folder))
        except RetrieveError as problem:
            failed[problem.reason] += 1
            last = str(problem)
            if "local disk" in problem.reason:  # every other study would fail in the same way
                break
    return Retrieval(
        n_studies=len(studies),
        n_files=n_files,
        n_not_found=n_not_found,
        failed=failed,
        last=last,
    )


def _with_progress(studies: list[Study]) -> Iterator[Study]:
    yield from tqdm(studies, desc="copy", unit="study", disable=len(studies) < 2, leave=False)


def named_queries(by: str, values: Iterable[str]) -> Iterator[dict[str, str]]:
    """One query for each identifier.

    Raises
    ------
    UsageError
        If an identifier has a wildcard or a separator, which would find other patients.
    """
    for value in dict.fromkeys(values):
        if set(value) & set("*?\\"):
            raise UsageError(
                "an identifier of the cohort has one of the characters * ? \\, which a PACS reads as "
                "wildcards; correct the table"
            )
        yield {KEYWORDS[by]: value}


def retrieve_cases(choice: PacsChoice, by: str, values: Iterable[str], folder: Path) -> Retrieval:
    """Copy the studies of the cases from a declared PACS into a folder of the site.

    Raises
    ------
    CohortError
        If a study was not retrieved completely; the message counts the studies by reason.
    """
    pacs = open_pacs(choice)
    studies, n_not_found = find_studies(pacs, named_queries(by, values))
    done = retrieve_studies(pacs, studies, folder, n_not_found=n_not_found)
    check_all_retrieved(done)
    return done


def check_all_retrieved(done: Retrieval) -> None:
    """Refuse a retrieval with failed studies.

    Raises
    ------
    CohortError
        With the number of studies by reason, and the last problem.
    """
    if done.failed:
        reasons = ", ".join(
            f"{reason}: {counted(n, 'study', 'studies')}" for reason, n in done.failed.most_common()
        )
        raise CohortError(
            f"{counted(done.failed.total(), 'study', 'studies')} not copied ({reasons}); "
            f"the last: {done.last}"
        )
