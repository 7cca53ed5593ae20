"""Model artefact: a folder with ``inference.py``; the same files are packed to the same bytes.

``inference.py`` exposes ``load(model_dir) -> model`` and
``predict(model, instances) -> list[float | None]``: one score (0 to 1) or None (the model
declines) per instance. An instance is a dict of named inputs, or the bytes of a DICOM file; for a
combined model it is the dict, with the files of the case (a list of bytes) under ``files``.
"""

import importlib.util
import io
import lzma
import math
import re
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any

from healthval.errors import HostingError, counted, part

MAX_UNPACKED_BYTES = 5 * 1024**3
FREE_BYTES = 1024**3
MAX_RATIO = 100
MAX_FILES = 100_000
PIECE_BYTES = 1024**2
ENTRY = "inference.py"
CACHE = "__pycache__"
# Errors of damaged, encrypted or unknown compression.
_CODEC_ERRORS = (zlib.error, lzma.LZMAError, RuntimeError, NotImplementedError)
_Entry = tuple[str, IO[bytes]]
Predict = Callable[[Sequence[Any]], list[float | None]]


def pack(folder: Path) -> bytes:
    """Pack a model folder into a ZIP that depends on its files only, not on times, owners or modes.

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
            if path.is_file() and CACHE not in path.parts:
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes())
    return packed.getvalue()


def unpack(data: bytes, folder: Path) -> None:
    """Unpack a ZIP or tar artefact into an empty folder; creates plain files below it only.

    Raises
    ------
    HostingError
        If it is neither, is too large, or contains links or paths outside the folder.
    """
    limit = min(MAX_UNPACKED_BYTES, max(FREE_BYTES, MAX_RATIO * len(data)))
    try:
        _unpack_entries(_entries(data), folder, limit)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, *_CODEC_ERRORS):
        raise HostingError("the artefact is damaged, or neither a ZIP nor a tar file") from None
    if not (folder / ENTRY).is_file():
        raise HostingError(f"the artefact has no {ENTRY} in its top folder")


def _unpack_entries(entries: Iterator[_Entry], folder: Path, limit: int) -> None:
    left = limit
    for number, (name, stream) in enumerate(entries):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            raise HostingError("the artefact contains a path outside its folder; pack it again")
        if CACHE in path.parts:  # compiled code, which Python would run in place of the source
            continue
        if number >= MAX_FILES:
            raise HostingError(f"the artefact has more than {MAX_FILES} files")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with stream, target.open("wb") as file:
            left -= _copy(stream, file, left)


def _copy(stream: IO[bytes], file: IO[bytes], limit: int) -> int:
    """Copy piece by piece: the sizes that an archive declares may be wrong."""
    size = 0
    while piece := stream.read(PIECE_BYTES):
        size += len(piece)
        if size > limit:
            raise HostingError(
                "the artefact unpacks to more than 5 GiB, or to more than 1 GiB and 100 times its size"
            )
        file.write(piece)
    return size


def _entries(data: bytes) -> Iterator[_Entry]:
    stream = io.BytesIO(data)
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    yield info.filename, archive.open(info)
        return
    stream.seek(0)
    with tarfile.open(fileobj=stream) as bundle:
        for member in bundle:
            if member.isdir():
                continue
            file = bundle.extractfile(member) if member.isreg() else None
            if file is None:
                raise HostingError("the artefact contains links or devices; pack plain files")
            yield member.name, file


def load(folder: Path) -> Predict:
    """Import ``inference.py`` and load its model; an error names its type or a missing module only."""
    try:
        predict = import_model(folder)
    except HostingError:
        raise
    except ModuleNotFoundError as error:
        name = error.name if re.fullmatch(r"[A-Za-z_][\w.]{0,63}", error.name or "") else "it needs"
        raise HostingError(
            f"the model does not load: ModuleNotFoundError, the Python module {name} is not installed"
        ) from None
    except Exception as error:
        raise HostingError(f"the model does not load: {type(error).__name__}") from None
    return lambda instances: check_scores(predict(instances), len(instances))


def import_model(folder: Path) -> Callable[[Sequence[Any]], Any]:
    """Import the folder's ``inference.py`` and load its model; its errors pass unchanged."""
    spec = importlib.util.spec_from_file_location("inference", folder / ENTRY)
    if spec is None or spec.loader is None or not (folder / ENTRY).is_file():
        raise HostingError(f"the model folder has no {ENTRY}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["inference"] = module
    sys.path.insert(0, str(folder.resolve()))
    spec.loader.exec_module(module)
    model, predict = module.load(folder), module.predict
    return lambda instances: predict(model, instances)


def check_scores(answer: Any, n: int) -> list[float | None]:
    """Convert a model's answer to a list of scores; NaN means that the model declines.

    Raises
    ------
    HostingError
        If the count differs or a score is not a number from 0 to 1.

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
        raise HostingError(
            f"the model returned {counted(len(scores), 'score')} for {counted(n, 'instance')}"
        )
    scores = [None if score is None or math.isnan(score) else score for score in scores]
    bad = [i for i, score in enumerate(scores) if score is not None and not 0 <= score <= 1]
    if bad:
        raise HostingError(
            f"{part(len(bad), n, 'score', 'are outside 0 to 1')} (first at {bad[0]})"
        )
    return scores
