"""Provenance of the report: its section, the Process Run Crate (RO-Crate) and the seal.

References
----------
RO-Crate 1.1; Workflow Run RO-Crate, Process Run Crate profile 0.5.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from healthval import __version__
from healthval.contracts.keys import fingerprint
from healthval.errors import ReportError
from healthval.files import write_durably
from healthval.report.document import Report, Section
from healthval.report.findings import Findings
from healthval.report.markup import hashed, paragraphs, table
from healthval.report.proof.attestation import ATTESTATION, COVERED, jwk, sign
from healthval.report.wording.language import say, written_in

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

CRATE = "ro-crate-metadata.json"
_DESCRIPTOR: dict[str, Any] = {
    "@id": CRATE,
    "@type": "CreativeWork",
    "about": {"@id": "./"},
    "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
}
_PROFILE: dict[str, Any] = {
    "@id": "https://w3id.org/ro/wfrun/process/0.5",
    "@type": "CreativeWork",
    "name": "Process Run Crate",
    "version": "0.5",
}
_CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
]
_SOFTWARE: dict[str, Any] = {
    "@id": f"https://pypi.org/project/healthval/{__version__}/",
    "@type": "SoftwareApplication",
    "name": "healthval",
    "softwareVersion": __version__,
    "url": {"@id": "https://pypi.org/project/healthval/"},
}
_OPERATOR: dict[str, Any] = {
    "@id": "#operator",
    "@type": "Organization",
    "name": "Operator of the platform",
    "description": "Pooled the sites' releases and signed the report",
}
_TERMS: dict[str, Any] = {
    "@id": "#terms",
    "@type": "CreativeWork",
    "name": "Terms of the study",
    "description": "Use as agreed between the platform, the sites and the developer",
}
_KINDS = {
    "card.chai.xml": ("CHAI Applied Model Card v0.2", "application/xml"),
    "model-card.md": ("Model card with model-index metadata", "text/markdown"),
    "committee.html": ("Summary for a committee", "text/html"),
    "committee.pdf": ("Summary for a committee, for print", "application/pdf"),
    "metrics.json": ("Results as numbers", "application/json"),
    "report.html": ("Validation report", "text/html"),
    "report.pdf": ("Validation report for print", "application/pdf"),
}


def provenance(findings: Findings) -> Section:
    """Build the section with the hashes of the inputs and the way to verify the report."""
    study = findings.study
    rows = [
        [
            say("Model {model} {version}", model=study.model, version=study.version),
            hashed(study.model_digest),
        ],
        [say("Plan: {title}", title=findings.plan.title), hashed(study.plan_hash)],
        *(
            [
                say("Release of {site}", site=s.site),
                hashed(s.submission_sha256),
            ]
            for s in study.sites
        ),
    ]
    how = paragraphs(
        say(
            "Made with healthval {version}. The same {inputs}, software, language and signer's key give "
            "this report again, byte for byte. The time at which it was made is not in it; the time of "
            "signing is in attestation.dsse.json.",
            version=__version__,
            inputs=say("releases, model card and plan")
            if findings.conduct is None
            else say("releases, model card, plan, list of hospitals at the hub"),
        )
    )
    check = _paragraph(
        say(
            "To check a copy: {command}, with the platform's public key, obtained through a different "
            "channel than the report. A key that came with the report proves nothing."
        ),
        command=Markup("<code>healthval verify report.html --key PLATFORM.pub</code>"),
    )
    sheet = table(say("Inputs of this report"), ["", "SHA-256"], rows, kind="words")
    return Section("provenance", say("Provenance"), (sheet, how, check))


def _paragraph(message: str, **values: Markup) -> Markup:
    """Return a message with markup in its placeholders as a paragraph."""
    return Markup("<p>{}</p>").format(Markup(message).format(**values))  # noqa: S704 - a message


def with_signer(report: Report, key: "Ed25519PublicKey") -> Report:
    """Return the report with the fingerprint of the key that will sign it, in provenance and numbers."""
    mark = fingerprint(jwk(key))
    with written_in(report.language):
        signer = _paragraph(
            say(
                "Signed with the Ed25519 key that has this SHA-256 fingerprint: {fingerprint}. "
                "attestation.dsse.json contains the signature over the SHA-256 of each file. Anybody "
                "can print a fingerprint: compare it with the one that the platform publishes."
            ),
            fingerprint=hashed(mark),
        )
    sections = tuple(
        replace(section, blocks=(*section.blocks, signer))
        if section.id == "provenance"
        else section
        for section in report.sections
    )
    numbers = {**report.numbers, "signer": {"fingerprint": mark}}
    return replace(report, sections=sections, numbers=numbers)


def seal(
    report: Report, folder: Path, key: "Ed25519PrivateKey", *, now: datetime | None = None
) -> dict[str, str]:
    """Add the crate and the signed attestation to a folder written by `write`.

    Parameters
    ----------
    now : time of signing; the only part that differs if the same report is sealed again

    Returns
    -------
    dict
        SHA-256 of all files of the report, including the attestation.

    Raises
    ------
    ReportError
        If the folder contains no written report or cannot be written, or if the report names
        another key as its signer's.
    """
    named = report.numbers.get("signer")
    if named is not None and named["fingerprint"] != fingerprint(jwk(key.public_key())):
        raise ReportError("the report names another signer's key; sign it with that key")
    now = (now or datetime.now(UTC)).astimezone(UTC)
    folder = Path(folder)
    try:
        here = {name: (folder / name) for name in COVERED if name != CRATE}
        contents = {name: path.read_bytes() for name, path in here.items() if path.exists()}
        if "report.html" not in contents or "metrics.json" not in contents:
            raise ReportError("the folder has no written report to seal; write the report first")
        contents[CRATE] = crate(with_signer(report, key.public_key()), contents, now)
        digests = {name: _sha256(content) for name, content in contents.items()}
        envelope = sign(digests, key, about=_about(report), now=now)
        write_durably(folder / CRATE, contents[CRATE], mode=0o644)
        write_durably(folder / ATTESTATION, envelope, mode=0o644)
    except OSError:
        raise ReportError(
            "the report's folder cannot be read or written; give another folder or free some disk space"
        ) from None
    return {**digests, ATTESTATION: _sha256(envelope)}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _about(report: Report) -> dict[str, str]:
    study = report.numbers["study"]
    return {name: study[name] for name in ("model", "version", "model_digest", "plan_hash")}


def crate(report: Report, files: Mapping[str, bytes], published: datetime) -> bytes:
    """Describe files, run, software and inputs as JSON-LD with sorted keys; reproducible."""
    graph = [
        _DESCRIPTOR,
        _root(report, files, published),
        _PROFILE,
        _SOFTWARE,
        {**_OPERATOR, **_signer(report)},
        _TERMS,
        *_inputs(report),
        _run(report, files, published),
        *(_file(name, content) for name, content in sorted(files.items())),
    ]
    document = {"@context": _CONTEXT, "@graph": graph}
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _signer(report: Report) -> dict[str, str]:
    """Return the address of the signer's key by its digest (RFC 6920), as `verify` prints it in hex."""
    named = report.numbers.get("signer")
    if not named:
        return {}
    raw = bytes.fromhex(named["fingerprint"])
    return {"url": f"ni:///sha-256;{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"}


def _root(report: Report, files: Mapping[str, bytes], published: datetime) -> dict[str, Any]:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": report.title,
        "description": f"{report.subtitle}. Aggregates that passed the disclosure gate of each site.",
        "datePublished": published.isoformat(timespec="seconds"),
        "license": {"@id": _TERMS["@id"]},
        "author": {"@id": _OPERATOR["@id"]},
        "publisher": {"@id": _OPERATOR["@id"]},
        "conformsTo": {"@id": _PROFILE["@id"]},
        "hasPart": [{"@id": name} for name in sorted(files)],
        "mentions": {"@id": "#run"},
    }


def _inputs(report: Report) -> list[dict[str, Any]]:
    study = report.numbers["study"]
    known = {"model": study["model_digest"], "plan": study["plan_hash"]}
    known |= {f"release-{site['site']}": site["submission_sha256"] for site in study["sites"]}
    return [
        {
            "@id": f"#{quote(name)}",
            "@type": "PropertyValue",
            "name": name,
            "value": f"sha256:{digest}",
        }
        for name, digest in known.items()
    ]


def _run(report: Report, files: Mapping[str, bytes], published: datetime) -> dict[str, Any]:
    return {
        "@id": "#run",
        "@type": "CreateAction",
        "name": "Pool the released results and write the report",
        "description": "Each release was checked on arrival; the report contains released numbers only.",
        "agent": {"@id": _OPERATOR["@id"]},
        "instrument": {"@id": _SOFTWARE["@id"]},
        "object": [{"@id": entity["@id"]} for entity in _inputs(report)],
        "result": [{"@id": name} for name in sorted(files)],
        "endTime": published.isoformat(timespec="seconds"),
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }


def _file(name: str, content: bytes) -> dict[str, Any]:
    words, kind = _KINDS.get(name, (name, "application/octet-stream"))
    return {
        "@id": name,
        "@type": "File",
        "name": words,
        "encodingFormat": kind,
        "contentSize": str(len(content)),
        "sha256": _sha256(content),
    }
