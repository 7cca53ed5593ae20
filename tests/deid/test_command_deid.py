"""`healthval deid` as an operator types it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

# Ends a hanging test; far beyond what a busy machine needs.
HANG_SECONDS = 600
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
        assert '[ocr]"' in done.stderr
    else:
        assert done.returncode in (0, 12), done.stderr  # 12: both images are refused
        assert "files in       2" in done.stdout


INTERRUPTED = """
import os, signal, sys, threading, time
from healthval.cli import main
from healthval.deid.dicom.files.journal import Journal

add, seen = Journal.add, []
# A parent in the background of a shell ignores the signal, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

def adding(self, record):
    seen.append(record)
    if WHEN == "moved" and len(seen) == 3:
        os.killpg(0, signal.SIGINT)
    add(self, record)
    if WHEN in ("recorded", "often") and len(seen) == 3:
        os.killpg(0, signal.SIGINT)

def press_often():
    while len(seen) < 3:
        time.sleep(0.001)
    for _ in range(200):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.002)

Journal.add = adding
WHEN, *sys.argv = sys.argv[1:]
if WHEN == "often":
    threading.Thread(target=press_often, daemon=True).start()
main()
"""


CTRL_C = [("moved", "1"), ("recorded", "1"), ("moved", "2"), ("often", "2")]


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals of POSIX")
@pytest.mark.parametrize(("when", "workers"), CTRL_C)
def test_an_interrupted_batch_leaves_a_true_journal_and_can_be_finished(given, when, workers):
    source = pydicom.dcmread(FILES / "CT_small.dcm")
    for number in range(16):
        source.SOPInstanceUID = source.file_meta.MediaStorageSOPInstanceUID = f"2.25.{number + 1}"
        source.save_as(given.folder / "images" / f"{number}.dcm")
    words = ["healthval", "deid", "images", "-o", "out", "--secret", "site.secret"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, when, *words, "--workers", workers],
        cwd=given.folder,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        start_new_session=True,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    out = given.folder / "out"
    lines = [
        json.loads(line)
        for line in (out / "manifest.jsonl").read_text(encoding="ascii").split("\n")
        if line
    ]
    written = {line["output"] for line in lines if line.get("status") == "written"}
    assert written == {f"{path.parent.name}/{path.name}" for path in out.glob("*/*.dcm")}
    assert {path.name for path in out.iterdir() if path.is_file()} == {"manifest.jsonl"}
    assert not (out / ".partial").exists()
    assert given().returncode == 0
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["files_out"] == 18


AT_THE_END = """
import atexit, os, signal
import healthval.cli

def interrupted(**_):
    raise KeyboardInterrupt

healthval.cli.cli = interrupted
atexit.register(os.kill, os.getpid(), signal.SIGINT)
healthval.cli.main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals of POSIX")
def test_a_second_ctrl_c_while_a_command_ends_is_ignored():
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (
        130,
        "healthval: interrupted; completed work is kept\n",
    )


def test_two_indexes_of_media_are_refused_and_the_images_written(given):
    for name in ("one", "two"):
        (given.folder / "images" / name).mkdir()
        shutil.copy(FILES / "dicomdirtests" / "DICOMDIR", given.folder / "images" / name)
    done = given()
    assert done.returncode == 0, done.stderr
    manifest = json.loads((given.folder / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["files_out"], manifest["refused"]) == (2, {"DICOMDIR": 2})


def test_an_output_that_cannot_be_written_is_named_before_work_starts(given):
    (given.folder / "taken").write_text("a file in the way", encoding="utf-8")
    done = given("-o", "taken/out")
    assert done.returncode == 2
    assert "the output folder cannot be made or written" in done.stderr
    assert {path.name for path in given.folder.iterdir()} == {"images", "site.secret", "taken"}
