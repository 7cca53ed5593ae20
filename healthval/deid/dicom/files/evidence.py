"""Evidence of a batch: what was removed, what the audit searched, and what was refused, in counts.

A privacy officer keeps the file; `healthval deid --sign KEY` signs it and `healthval verify` checks
it. It contains no value, and no name of a file, patient or study.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.datadict import dictionary_has_tag, dictionary_keyword

from healthval import __version__
from healthval.deid.dicom.attributes import EMPTIED, REMOVED, REPLACED
from healthval.deid.dicom.method_codes import METHOD_CODES
from healthval.deid.policy import Option, Policy

EVIDENCE: Final = "evidence.json"
FORMAT: Final = "healthval-deid-evidence-1"
_KINDS: Final = {REMOVED: "removed", EMPTIED: "emptied", REPLACED: "replaced"}
_SEARCHED: Final = (
    "preamble",
    "file meta information",
    "every value at every depth",
    "bytes of compressed frames beside the coded image",
    "pixels whose size the attributes do not explain",
)
# MIDI-B: actions of the answer key, and the changes of attributes that they mean
_MIDI_B: Final = {
    "tag_retained": ("kept",),
    "text_retained": ("kept",),
    "text_removed": ("removed", "emptied", "replaced", "cleaned"),
    "text_notnull": ("replaced",),
    "date_shifted": ("shifted",),
    "uid_changed": ("uids replaced",),
    "uid_consistent": ("uids replaced",),
    "patid_consistent": ("pseudonyms",),
}


def evidence(
    manifest: Mapping[str, Any], policy: Policy, batch: "Changes", outputs: str
) -> dict[str, Any]:
    """Return the evidence of a batch.

    Parameters
    ----------
    manifest : summary of the batch
    policy : the policy that was applied
    batch : changes and searches of all written files
    outputs : digest of the batch's outputs, which ties the evidence to this batch
    """
    return {
        "format": FORMAT,
        "software": {
            "name": "healthval",
            "version": __version__,
            "sha256": _software_digest(),
            "pydicom": pydicom.__version__,
        },
        "policy": {**manifest["policy"], "sha256": policy_digest(policy)},
        "files": {
            name: manifest[name]
            for name in ("files_in", "files_out", "duplicates", "withdrawn", "replaced", "refused")
        },
        "outputs_sha256": outputs,
        "attributes": list(batch.rows()),
        "audit": {
            "outputs_searched": manifest["files_out"],
            "places": list(_SEARCHED),
            "searched_for": dict(sorted(batch.searched.items())),
            "found_in_written_outputs": 0,
        },
        "flags": manifest["flags"],
        "cid_7050": [
            {"code": code, "scheme": "DCM", "meaning": meaning}
            for option, (code, meaning) in METHOD_CODES.items()
            if option is None or option in _applied(policy, manifest)
        ],
        "midi_b": _midi_b(manifest),
    }


def _applied(policy: Policy, manifest: Mapping[str, Any]) -> frozenset[Option]:
    """Options that changed an output; Clean Pixel Data only where pixels were blanked."""
    is_blanked = any("blanked" in flag for flag in manifest["flags"])
    return policy.options if is_blanked else policy.options - {Option.CLEAN_PIXEL_DATA}


def _midi_b(manifest: Mapping[str, Any]) -> dict[str, int]:
    actions = manifest["actions"]
    blanked = sum(n for flag, n in manifest["flags"].items() if "blanked" in flag)
    counts = {name: sum(actions.get(a, 0) for a in done) for name, done in _MIDI_B.items()}
    return {
        **counts,
        "pixels_hidden": blanked,
        "pixels_retained": manifest["files_out"] - blanked,
    }


def outputs_digest(folder: Path) -> str:
    """SHA-256 over name and size of each output in a folder; the names are keyed digests."""
    total = hashlib.sha256()
    with os.scandir(folder) as found:
        studies = sorted(one.name for one in found if one.is_dir())
    for study in studies:
        with os.scandir(folder / study) as found:
            files = sorted((f.name, f.stat().st_size) for f in found if f.name.endswith(".dcm"))
        for name, size in files:
            total.update(f"{study}/{name} {size}\n".encode())
    return total.hexdigest()


def policy_digest(policy: Policy) -> str:
    """SHA-256 of all choices of a policy."""
    choices = {name: _plain(value) for name, value in asdict(policy).items()}
    return hashlib.sha256(json.dumps(choices, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(one) for one in value), key=repr)
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


@lru_cache(maxsize=1)
def _software_digest() -> str:
    """SHA-256 over the code and tables of the de-identification, file by file."""
    root = Path(str(resources.files("healthval.deid")))
    total = hashlib.sha256()
    for file in sorted(root.rglob("*")):
        if file.suffix in (".py", ".csv", ".txt"):
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            total.update(f"{file.relative_to(root).as_posix()} {content}\n".encode())
    return total.hexdigest()


class Changes:
    """Sum of the changes of attributes, and of the identifiers searched for, over files."""

    def __init__(self) -> None:
        self._elements: Counter[str] = Counter()
        self._files: Counter[str] = Counter()
        self.searched: Counter[str] = Counter()

    def add(self, changes: str, searched: str) -> None:
        """Add one file, in the form of its record."""
        for name, n in _counts(changes):
            self._elements[name] += n
            self._files[name] += 1
        for kind, n in _counts(searched):
            self.searched[kind.replace("_", " ")] += n

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row for each attribute and kind of change; private attributes share one row."""
        for name in sorted(self._elements):
            tag, kind = name[:-1], name[-1]
            yield {
                "tag": f"({tag[:4]},{tag[4:]})" if tag != "private" else "(odd,any)",
                "keyword": _keyword(tag),
                "change": _KINDS[kind],
                "elements": self._elements[name],
                "files": self._files[name],
            }


def _keyword(tag: str) -> str:
    if tag == "private":
        return "private attributes"
    number = int(tag, 16)
    return dictionary_keyword(number) if dictionary_has_tag(number) else ""


@lru_cache(maxsize=1024)
def _counts(text: str) -> tuple[tuple[str, int], ...]:
    pairs = (one.rpartition(":") for one in text.split())
    return tuple((name, int(n)) for name, _, n in pairs)


def encoded(counts: Mapping[tuple[int, str], int]) -> str:
    """Encode changes by (tag, kind) as one text; equal files have equal texts."""
    total: Counter[str] = Counter()
    for (tag, kind), n in counts.items():
        total[f"{tag:08X}{kind}" if not tag >> 16 & 1 else f"private{kind}"] += n
    return " ".join(f"{name}:{n}" for name, n in sorted(total.items()))


def encoded_search(counts: Iterable[tuple[str, int]]) -> str:
    """Encode the number of identifiers of each kind for which the audit searched."""
    return " ".join(f"{kind.replace(' ', '_')}:{n}" for kind, n in counts if n)
