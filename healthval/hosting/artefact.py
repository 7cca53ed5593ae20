"""A model artefact: a folder with ``inference.py``, packed the same way every time.

``inference.py`` exposes ``load(model_dir) -> model`` and
``predict(model, instances) -> list[float | None]``: one score (0 to 1) or None (the model
declines) per instance. An instance is a dict of named inputs, or the bytes of a DICOM file; of a
combined model it is the dict with the files of the case, a list of bytes, under ``files``.
"""

import importlib.util
import io
import lzma
import math
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from healthval.errors import HostingError

MAX_UNPACKED_BYTES = 5 * 1024**3
ENTRY = "inference.py"
# What damaged, encrypted or unknown compression raises.
_CODEC_ERRORS = (zlib.error, lzma.LZMAError, RuntimeError, NotImplementedError)
_Entry = tuple[str, int, Callable[[], bytes]]
Predict = Callable[[Sequence[Any]], list[float | None]]


def pack(folder: Path) -> bytes:
    """Pack a model folder into a ZIP that depends on its files alone (no times, owners, modes).

    Raises
    ------
    HostingError
        If the folder has no ``inference.py``.
    """
    if not (folder / ENTRY).is_file():
        raise HostingError(f"the model folder has no {ENTRY}; add load() and predict() in it")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    return packed.getvalue()


def unpack(data: bytes, folder: Path) -> None:
    """Unpack a ZIP or tar artefact into an empty folder; only plain files below it are made.

    Raises
    ------
    HostingError
        If it is neither, is too large, or holds links or paths that lead elsewhere.
    """
    try:
        _unpack_entries(_entries(data), folder)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, *_CODEC_ERRORS):
        raise HostingError("the artefact is damaged, or neither a ZIP nor a tar file") from None
    if not (folder / ENTRY).is_file():
        raise HostingError(f"the artefact has no {ENTRY} at its top")


def _unpack_entries(entries: Iterator[_Entry], folder: Path) -> None:
    held = 0
    for name, size, read in entries:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            raise HostingError("the artefact holds a path that leads outside it; pack it anew")
        held += size
        if held > MAX_UNPACKED_BYTES:
            raise HostingError("the artefact unpacks to more than 5 GiB")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(read())


def _entries(data: bytes) -> Iterator[_Entry]:
    stream = io.BytesIO(data)
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    yield info.filename, info.file_size, partial(archive.read, info)
        return
    stream.seek(0)
    with tarfile.open(fileobj=stream) as bundle:
        for member in bundle:
            if member.isdir():
                continue
            file = bundle.extractfile(member) if member.isreg() else None
            if file is None:
                raise HostingError("the artefact holds links or devices; pack plain files")
            yield member.name, member.size, file.read


def load(folder: Path) -> Predict:
    """Import the folder's ``inference.py`` and load its model; errors name the kind, no value."""
    spec = importlib.util.spec_from_file_location("inference", folder / ENTRY)
    if spec is None or spec.loader is None or not (folder / ENTRY).is_file():
        raise HostingError(f"the model folder has no {ENTRY}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["inference"] = module
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
        model, predict = module.load(folder), module.predict
    except Exception as error:
        raise HostingError(f"the model does not load: {type(error).__name__}") from None
    return lambda instances: check_scores(predict(model, instances), len(instances))


def check_scores(answer: Any, n: int) -> list[float | None]:
    """Turn a model's answer into plain scores; not-a-number means the model declines.

    Raises
    ------
    HostingError
        If the count differs or a score is no number within 0 to 1.

    Examples
    --------
    >>> check_scores([0.25, None, float("nan")], 3)
    [0.25, None, None]
    """
    try:
        scores = [None if value is None else float(value) for value in answer]
    except (TypeError, ValueError):
        raise HostingError("the model's answer is not a list of numbers") from None
    if len(scores) != n:
        raise HostingError(f"the model gave {len(scores)} scores for {n} instances")
    scores = [None if score is None or math.isnan(score) else score for score in scores]
    bad = [i for i, score in enumerate(scores) if score is not None and not 0 <= score <= 1]
    if bad:
        raise HostingError(f"{len(bad)} of {n} scores lie outside 0 to 1 (first at {bad[0]})")
    return scores
