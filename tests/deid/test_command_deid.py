"""`healthval deid` as an operator types it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

# Ends a hanging test; far beyond what a busy machine needs.
HANG_SECONDS = 1800
FILES = Path(pydicom.data.__file__).parent / "test_files"


@pytest.fixture
def given(tmp_path):
    """A folder of two images, a secret, and a command that runs in it."""
    (tmp_path / "images").mkdir()
    for name in ("CT_small.dcm", "MR_small.dcm"):
        shutil.copy(FILES / name, tmp_path / "images")
    (tmp_path / "site.secret").write_bytes(bytes(range(100, 140)))

    def run(*words):
        command = [sys.executable, "-m", "healthval", "deid", "images", "-o", "out"]
        return subprocess.run(
            [*command, "--secret", "site.secret", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )

    run.folder = tmp_path
    return run


def test_a_batch_is_written_and_reported_in_counts(given):
    done = given("--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "files in       2" in done.stdout
    assert "written        2 (audited" in done.stdout
    assert len(list((given.folder / "out").glob("*/*.dcm"))) == 2
    assert (
        json.loads((given.folder / "out/manifest.json").read_text(encoding="utf-8"))["files_out"]
        == 2
    )


def test_what_the_operator_knows_stops_the_batch_and_is_not_quoted(given):
    maker = pydicom.dcmread(FILES / "CT_small.dcm").Manufacturer
    (given.folder / "known.txt").write_text(f"\n{maker}\n", "utf-8")
    done = given("--known", "known.txt")
    assert done.returncode != 0
    assert "known in (0008,0070)" in done.stderr
    assert maker not in done.stderr
    assert not list((given.folder / "out").glob("*/*.dcm"))


def test_a_file_of_known_identifiers_that_is_no_text_is_refused(given):
    (given.folder / "known.txt").write_bytes(b"\xff\xfe\x00")
    done = given("--known", "known.txt")
    assert done.returncode == 2
    assert "UTF-8" in done.stderr


def test_a_text_detector_may_be_asked_for(given):
    done = given("--text", "refuse")
    if shutil.which("tesseract") is None:
        assert "healthval[ocr]" in done.stderr
    else:
        assert done.returncode in (0, 12), done.stderr  # 12: both images are refused
        assert "files in       2" in done.stdout
