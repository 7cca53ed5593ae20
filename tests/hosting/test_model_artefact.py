"""Artefacts are packed the same every time and unpack nowhere else."""

import importlib.util
import io
import os
import py_compile
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthval.errors import HostingError
from healthval.hosting import artefact
from healthval.hosting.artefact import check_scores, load, pack, unpack

NAMES = st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8}){0,2}\.[a-z]{2}", fullmatch=True)


@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=5))
def test_what_was_packed_unpacks_and_packs_the_same(tmp_path_factory, files):
    folder, again = (tmp_path_factory.mktemp("model") for _ in range(2))
    for name, content in {**files, "inference.py": b""}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    packed = pack(folder)
    unpack(packed, again)
    os.utime(again / "inference.py", (1, 1))
    (again / "inference.py").chmod(0o755)
    assert pack(again) == packed


def test_caches_of_python_are_not_packed(tmp_path):
    (tmp_path / "inference.py").write_text("", encoding="utf-8")
    before = pack(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "inference.pyc").write_bytes(b"x")
    assert pack(tmp_path) == before


def test_the_source_runs_and_no_compiled_code_beside_it(tmp_path):
    source, other = (
        "def load(d): ...\ndef predict(m, xs): return [{}] * len(xs)\n",
        tmp_path / "other.py",
    )
    other.write_text(source.format(0.9), encoding="utf-8")
    compiled = py_compile.compile(
        str(other), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    cache = Path(importlib.util.cache_from_source("inference.py"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inference.py", source.format(0.1))
        archive.write(compiled, cache.as_posix())
    folder = tmp_path / "unpacked"
    folder.mkdir()
    unpack(packed.getvalue(), folder)
    assert load(folder)([1, 2]) == [0.1, 0.1]


def tar(*members: tuple[str, bytes | None, bytes], mode="w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content or b"")
            info.linkname = "/etc/passwd" if content is None else ""
            archive.addfile(info, io.BytesIO(content or b""))
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_tar_as_sagemaker_keeps_it_unpacks(tmp_path, mode):
    unpack(tar(("./inference.py", b"x = 1", tarfile.REGTYPE), mode=mode), tmp_path)
    assert (tmp_path / "inference.py").read_text(encoding="utf-8") == "x = 1"


GOOD = ("inference.py", b"", tarfile.REGTYPE)


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (tar(GOOD, ("../out.py", b"", tarfile.REGTYPE)), "outside"),
        (tar(GOOD, ("/tmp/out.py", b"", tarfile.REGTYPE)), "outside"),
        (tar(GOOD, ("a/../../out.py", b"", tarfile.REGTYPE)), "outside"),
        (tar(GOOD, ("link", None, tarfile.SYMTYPE)), "links"),
        (tar(GOOD, ("link", None, tarfile.LNKTYPE)), "links"),
        (tar(GOOD, ("pipe", b"", tarfile.FIFOTYPE)), "links"),
        (tar(("other.py", b"", tarfile.REGTYPE)), "no inference.py"),
        (b"neither", "neither"),
        (b"", "neither"),
        (tar(GOOD)[:60], "neither"),
    ],
    ids=range(10),
)
def test_an_artefact_that_leads_elsewhere_or_is_none_is_refused(tmp_path, packed, why):
    home = tmp_path / "home"
    home.mkdir()
    with pytest.raises(HostingError, match=why):
        unpack(packed, home)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_zip_that_leads_elsewhere_is_refused(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("inference.py", "")
        archive.writestr("../out.py", "")
    with pytest.raises(HostingError, match="outside"):
        unpack(stream.getvalue(), tmp_path)


def test_a_zip_damaged_anywhere_is_refused_or_unpacks_as_it_was(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "inference.py").write_text("x = 1\n" * 50, encoding="utf-8")
    packed = pack(folder)
    for at in range(0, len(packed), 7):
        home = tmp_path_factory.mktemp("home")
        try:
            unpack(packed[:at] + bytes([packed[at] ^ 255]) + packed[at + 1 :], home)
        except HostingError:
            continue
        assert (home / "inference.py").read_text(encoding="utf-8") == "x = 1\n" * 50


def test_a_bomb_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("healthval.hosting.artefact.MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(HostingError, match="more than"):
        unpack(tar(GOOD, ("big", b"0" * 1001, tarfile.REGTYPE)), tmp_path)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inference.py", "")
        archive.writestr("big", b"0" * 1001)
    with pytest.raises(HostingError, match="more than"):
        unpack(stream.getvalue(), tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path):
    for call in (pack, load):
        with pytest.raises(HostingError, match=r"no inference\.py"):
            call(tmp_path)


@given(st.lists(st.none() | st.floats(0, 1)))
def test_proper_scores_come_through_unchanged(scores):
    assert check_scores(iter(scores), len(scores)) == scores


@given(st.floats().filter(lambda x: x < 0 or x > 1))
def test_improper_scores_do_not(score):
    with pytest.raises(HostingError, match=r"1 of 2 scores .* \(first at 1\)"):
        check_scores([0.5, score], 2)


@pytest.mark.parametrize("size", [0, 1])
def test_an_archive_that_unpacks_to_too_much_is_refused_piece_by_piece(tmp_path, monkeypatch, size):
    monkeypatch.setattr(artefact, "FREE_BYTES", 200_000)
    monkeypatch.setattr(artefact, "MAX_RATIO", 1)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inference.py", "")
        archive.writestr("weights.bin", bytes(200_000 + size))
    if size:
        with pytest.raises(HostingError, match="unpacks to more than"):
            artefact.unpack(packed.getvalue(), tmp_path)
    else:
        artefact.unpack(packed.getvalue(), tmp_path)
        assert (tmp_path / "weights.bin").stat().st_size == 200_000
