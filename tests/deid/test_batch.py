"""A batch loses and repeats no file, resumes, and is free of conflicts and leaks."""

import csv
import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
import traceback
from pathlib import Path

import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset

from healthval.cohort.dicom.folder import Instance
from healthval.cohort.dicom.staging import mark_complete
from healthval.deid import Policy, Reason, Secret, deidentify_files, uid
from healthval.deid.dicom import writer
from healthval.deid.dicom.files import batch_workers
from healthval.deid.dicom.files import one_file as batch_room
from healthval.errors import DeidentificationError, LeakFound, UsageError

KEY = bytes(range(32))
SECRET = Secret(KEY)
CANARY = "Canaryname"
METHODS = [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()]
posix_only = pytest.mark.skipif(os.name != "posix", reason="needs signals or limits of POSIX")


@pytest.fixture(params=METHODS)
def start_method(request, monkeypatch):
    monkeypatch.setattr(batch_workers, "start_method", request.param)
    return request.param


@pytest.fixture
def secret(tmp_path_factory):
    """The same secret, from a file: one made from bytes cannot be sent to a new process."""
    path = tmp_path_factory.mktemp("secret") / "site.key"
    path.write_bytes(KEY)
    return Secret.from_file(path)


def ct(number, *, patient="MRN-77001", study="1.2.276.0.2", name=f"{CANARY}^Max", **more):
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"1.2.276.0.1.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, study + ".1"
    ds.PatientName, ds.PatientID, ds.Modality = name, patient, "CT"
    ds.StudyDate = ds.SeriesDate = "20190517"
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel = 15, 0, 1
    ds.PhotometricInterpretation, ds.InstanceNumber = "MONOCHROME2", number
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    ds.PixelData = bytes([number % 256]) * 512
    ds["PixelData"].VR = "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    return ds


def write(folder, *datasets):
    folder.mkdir(exist_ok=True)
    for number, dataset in enumerate(datasets):
        dataset.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)
    return folder


def test_counts_add_up_and_the_manifest_names_no_patient(tmp_path):
    source = write(tmp_path / "in", *(ct(n) for n in range(5)), ct(9, BurnedInAnnotation="YES"))
    (source / "notes.txt").write_text("no DICOM", encoding="utf-8")
    (source / "copy.dcm").write_bytes((source / "0000.dcm").read_bytes())
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert (made.files_in, made.files_out, made.duplicates) == (8, 5, 1)
    assert made.refused == {Reason.BURNED_IN: 1, Reason.UNPARSEABLE: 1}
    assert made.actions["uids replaced"] >= 15
    assert len(set(made.outputs)) == 5 == len(list((tmp_path / "out").glob("*/*.dcm")))
    text = "".join(p.read_text(encoding="utf-8") for p in (tmp_path / "out").glob("manifest*"))
    assert CANARY not in text + repr(made)
    assert "77001" not in text
    assert "1.2.276.0" not in text
    assert (
        json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))["policy"][
            "dates"
        ]
        == "remove"
    )


def contents(made):
    return {p.relative_to(made.folder): p.read_bytes() for p in made.outputs}


def test_any_number_of_processes_gives_the_same_files(tmp_path, secret, start_method):
    source = write(tmp_path / "in", *(ct(n, study=f"1.2.276.0.2.{n % 3}") for n in range(120)))
    one = deidentify_files(source, tmp_path / "one", Policy(), SECRET)
    many = deidentify_files(source, tmp_path / "many", Policy(), secret, workers=3)
    assert one.records == many.records
    assert contents(one) == contents(many)
    assert len(contents(one)) == 120


def test_uids_and_pseudonyms_are_the_same_in_another_process(tmp_path):
    source = write(tmp_path / "in", ct(1))
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    script = f"from healthval.deid import Secret, uid, pseudonym; s = Secret({KEY!r}); print(uid(s, '1.2.276.0.1.1'), pseudonym(s, 'patient', 'MRN-77001'))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    after = pydicom.dcmread(made.outputs[0])
    assert [after.SOPInstanceUID, after.PatientID] == done.stdout.split()


def test_a_second_run_does_nothing_and_a_new_file_is_added(tmp_path):
    source = write(tmp_path / "in", *(ct(n) for n in range(4)))
    first = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    times = {p: p.stat().st_mtime_ns for p in first.outputs}
    ct(8).save_as(source / "later.dcm", enforce_file_format=True)
    second = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert second.files_out == 5
    assert all(path.stat().st_mtime_ns == at for path, at in times.items())


@posix_only
def test_a_killed_run_resumes(tmp_path):
    source = write(tmp_path / "in", *(ct(n) for n in range(400)))
    # The worker that adds the sixtieth line of the journal ends the run, itself included.
    script = textwrap.dedent(f"""
        import os, signal
        from healthval.deid import Policy, Secret, deidentify_files
        from healthval.deid.dicom.files.journal import Journal

        add = Journal.add

        def add_and_end(journal, record):
            add(journal, record)
            if journal.path.read_bytes().count(b"\\n") >= 60:
                os.killpg(0, signal.SIGKILL)

        Journal.add = add_and_end
        deidentify_files({str(source)!r}, {str(tmp_path / "out")!r}, Policy(), Secret({KEY!r}), workers=2)
    """)
    child = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    assert child.wait() == -signal.SIGKILL
    journal = tmp_path / "out" / "manifest.jsonl"
    done_before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*/*.dcm")}
    lines = journal.read_bytes().count(b"\n") - 1
    assert 50 < lines < 400
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert (made.files_in, made.files_out, made.duplicates) == (400, 400, 0)
    assert len(list((tmp_path / "out").glob("*/*.dcm"))) == 400
    assert all(path.stat().st_mtime_ns == at for path, at in done_before.items())
    assert not (tmp_path / "out" / ".partial").exists()


def test_a_line_cut_short_by_a_kill_is_redone(tmp_path):
    source = write(tmp_path / "in", *(ct(n) for n in range(3)))
    deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    journal = tmp_path / "out" / "manifest.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert (made.files_out, made.duplicates) == (3, 0)
    assert (made.withdrawn, made.replaced) == (0, 0)


def test_one_uid_with_two_contents_is_refused_in_every_copy(tmp_path):
    source = write(tmp_path / "in", ct(1), ct(1, KVP="99"), ct(2))
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert made.refused == {Reason.CONFLICT: 2}
    assert [p.stem for p in made.outputs] == [uid(SECRET, "1.2.276.0.1.2")]
    assert len(list((tmp_path / "out").glob("*/*.dcm"))) == 1


def test_several_patients_in_one_study_are_refused(tmp_path):
    source = write(tmp_path / "in", ct(1), ct(2, patient="MRN-77002"), ct(3, study="1.2.276.0.9"))
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert made.refused == {Reason.MIXED_STUDY: 2}
    assert made.files_out == 1 == len(list((tmp_path / "out").glob("*/*.dcm")))
    ct(4).save_as(source / "later.dcm", enforce_file_format=True)
    again = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert again.refused == {Reason.MIXED_STUDY: 3}


def test_a_secret_that_cannot_be_sent_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(batch_workers, "start_method", "spawn")
    source = write(tmp_path / "in", ct(1))
    with pytest.raises(UsageError, match="from_file or from_env"):
        deidentify_files(source, tmp_path / "out", Policy(), SECRET, workers=2)
    assert not (tmp_path / "out").exists()


def test_the_marks_of_a_copy_from_a_pacs_are_not_inputs(tmp_path):
    source = write(tmp_path / "in", ct(1), ct(2))
    one = Instance(path=source, patient="", study="1.2", series="", instance="", modality="CT")
    mark_complete(source, "1.2", [one])
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert (len(made.records), len(made.outputs), made.refused) == (2, 2, {})


def test_a_leak_withdraws_the_whole_batch(tmp_path, caplog, secret, start_method):
    dirty = ct(5, FilterType=f"for {CANARY.lower()}")
    source = write(tmp_path / "in", ct(1), ct(2), dirty, ct(6))
    for workers in (1, 2):
        with pytest.raises(LeakFound) as found:
            deidentify_files(source, tmp_path / "out", Policy(), secret, workers=workers)
        shown = "".join(traceback.format_exception(found.value)) + caplog.text
        assert CANARY.lower() not in shown.lower()
        assert "(0018,1160)" in str(found.value)
        assert not list((tmp_path / "out").rglob("*.dcm"))


def test_what_the_operator_knows_is_looked_for(tmp_path):
    source = write(tmp_path / "in", ct(5, FilterType="ward Rosenhof"))
    deidentify_files(source, tmp_path / "a", Policy(), SECRET)
    with pytest.raises(LeakFound):
        deidentify_files(source, tmp_path / "b", Policy(), SECRET, known=["rosenhof"])


@pytest.mark.parametrize("where", ["in", "in/below", "."])
def test_output_and_input_may_not_overlap(tmp_path, where):
    source = write(tmp_path / "in", ct(1))
    with pytest.raises(UsageError, match="overlap"):
        deidentify_files(source, tmp_path / where, Policy(), SECRET)


def test_a_folder_of_another_policy_or_secret_is_refused(tmp_path):
    source = write(tmp_path / "in", ct(1))
    deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    with pytest.raises(UsageError, match="another policy or secret"):
        deidentify_files(source, tmp_path / "out", Policy(dates="shift"), SECRET)
    with pytest.raises(UsageError, match="another policy or secret"):
        deidentify_files(source, tmp_path / "out", Policy(), Secret(b"z" * 32))


def test_a_missing_input_is_counted_not_named(tmp_path):
    with pytest.raises(UsageError) as refused:
        deidentify_files([tmp_path / CANARY], tmp_path / "out", Policy(), SECRET)
    assert CANARY not in str(refused.value)
    assert "1 of 1" in str(refused.value)


def test_a_killed_worker_ends_the_batch_which_resumes_later(
    tmp_path, monkeypatch, secret, start_method
):
    source = write(tmp_path / "in", *(ct(number) for number in range(60)))
    honest, parent = batch_room._moved, os.getpid()

    def moved(out, unfinished, record):
        if os.getpid() != parent:  # a forked worker: it does not finish before it is killed
            time.sleep(10_000)
        for worker in multiprocessing.active_children():
            worker.kill()
        return honest(out, unfinished, record)

    monkeypatch.setattr(batch_room, "_moved", moved)
    with pytest.raises(DeidentificationError, match="a worker process was ended"):
        deidentify_files(source, tmp_path / "out", Policy(), secret, workers=2)
    done = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*/*.dcm")}
    monkeypatch.setattr(batch_room, "_moved", honest)
    made = deidentify_files(source, tmp_path / "out", Policy(), secret, workers=2)
    assert (made.files_in, made.files_out) == (60, 60)
    assert done
    assert all(p.stat().st_mtime_ns == at for p, at in done.items())


@posix_only
def test_a_full_disk_ends_the_batch_which_resumes_later(tmp_path, copies):
    import resource

    large = ct(9, Rows=200, Columns=200)
    large.PixelData = bytes(80_000)
    source = write(tmp_path / "in", *(ct(number) for number in range(9)), large)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        with pytest.raises(DeidentificationError, match="File too large") as failed:
            deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(tmp_path) not in str(failed.value)
    assert not (tmp_path / "out/manifest.json").exists()
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert (made.files_in, made.files_out) == (10, 10)


def test_an_output_that_was_taken_away_is_made_again(tmp_path):
    source = write(tmp_path / "in", ct(1), ct(2))
    first = deidentify_files(source, tmp_path / "out", Policy(), SECRET).outputs[0]
    was = first.read_bytes()
    first.unlink()
    deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert first.read_bytes() == was


def test_two_workers_on_one_place_are_redone_one_after_the_other(tmp_path, monkeypatch):
    """The check for an existing file and the move are two steps; a file between them is redone."""
    source = write(tmp_path / "in", ct(1), ct(1, KVP="99"), ct(2), ct(2))
    blind = lambda out, partial, record: (  # noqa: E731
        (out / record.output).parent.mkdir(exist_ok=True),
        Path(partial).rename(out / record.output),
        record,
    )[-1]
    honest, calls = batch_room._moved, []

    def published(out, partial, record):
        calls.append(record)
        return blind(out, partial, record) if len(calls) <= 4 else honest(out, partial, record)

    monkeypatch.setattr(batch_room, "_moved", published)
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert (made.files_out, made.duplicates) == (1, 1)
    assert made.refused == {Reason.CONFLICT: 2}


@pytest.mark.parametrize(
    "study", ["../../escaped", "/tmp/escaped", "..", "1.2\\3.4" * 40, "1." * 50]
)
@pytest.mark.filterwarnings("ignore")
def test_a_uid_that_is_none_becomes_no_path(tmp_path, study):
    source = write(tmp_path / "in", ct(1))
    dataset = pydicom.dcmread(source / "0000.dcm")
    for tag in (0x0020000D, 0x00080018):
        dataset[tag] = DataElement(tag, "UI", study, already_converted=True)
    dataset.save_as(source / "0000.dcm")
    for policy in (Policy(), Policy(options={"retain-uids"})):
        out = tmp_path / policy.dates / str(len(policy.options))
        made = deidentify_files(source, out, policy, SECRET)
        assert [p.resolve().is_relative_to(out.resolve()) for p in made.outputs] == [True]
    assert {p.name for p in tmp_path.iterdir()} == {"in", "remove"}


def big(path, frames=512):
    """A 1 GB multi-frame file; its pixels are a hole in the file system."""
    dataset = ct(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", NumberOfFrames=frames)
    dataset.Rows = dataset.Columns = 1024
    dataset.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    at = data.rindex(b"\xe0\x7f\x10\x00OW")
    size = frames * 1024 * 1024 * 2
    path.write_bytes(data[: at + 8] + size.to_bytes(4, "little"))
    os.truncate(path, at + 12 + size)
    return size


@pytest.fixture(params=["by the system", "refused by the system", "by buffer"])
def copies(request, monkeypatch):
    """The ways in which pixel bytes are copied: `sendfile` is missing or refused on some systems."""
    calls = []

    def refuse(*arguments):
        calls.append(arguments)
        raise OSError(errno.EINVAL, "not supported between files")

    if request.param == "by the system":
        if writer._sendfile is None:
            pytest.skip("the system does not copy between files")
        yield request.param
        return
    monkeypatch.setattr(writer, "_sendfile", refuse if "refused" in request.param else None)
    monkeypatch.setattr(writer, "_BUFFER", 1000)
    yield request.param
    assert bool(calls) == ("refused" in request.param)


def test_pixels_are_copied_whole_on_every_system(tmp_path, copies):
    large = ct(1, Rows=200, Columns=200)
    large.PixelData = pixels = (bytes(range(251)) * 319)[:80_000]
    source = write(tmp_path / "in", large, ct(2))
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    found = {pydicom.dcmread(path).PixelData for path in made.outputs}
    assert found == {pixels, ct(2).PixelData}


def test_a_source_that_becomes_shorter_is_refused(tmp_path, monkeypatch, copies):
    source = write(tmp_path / "in", ct(1))
    honest = batch_room.write_output

    def write_later(target, header, opened):
        os.truncate(source / "0000.dcm", opened.pixels.start + 100)
        return honest(target, header, opened)

    monkeypatch.setattr(batch_room, "write_output", write_later)
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert made.refused == {Reason.UNPARSEABLE: 1}
    assert not list((tmp_path / "out").rglob("*.dcm"))


@pytest.mark.slow
@posix_only
def test_a_gigabyte_is_spliced_in_constant_memory(tmp_path):
    (tmp_path / "in").mkdir()
    size = big(tmp_path / "in" / "big.dcm")
    assert size >= 2**30
    script = textwrap.dedent(f"""
        import resource
        from healthval.deid import Policy, Secret, deidentify_files
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        made = deidentify_files({str(tmp_path / "in")!r}, {str(tmp_path / "out")!r}, Policy(), Secret({KEY!r}))
        print(made.files_out, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    written, grown = map(int, done.stdout.split())
    assert written == 1
    assert grown < 64 * 1024  # kilobytes
    output = next((tmp_path / "out").glob("*/*.dcm"))
    assert output.stat().st_size > size
    output.unlink()


def test_what_is_no_readable_file_is_counted_and_keeps_nobody_waiting(tmp_path):
    source = write(tmp_path / "in", ct(1), ct(2))
    (source / f"{CANARY}.dcm").symlink_to(source / "gone")
    if hasattr(os, "mkfifo"):
        os.mkfifo(source / "pipe")
    else:
        (source / "pipe").symlink_to(source / "gone")
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert made.refused == {Reason.UNREADABLE: 2}
    assert made.files_out == 2
    made = deidentify_files([source / "pipe"], tmp_path / "other", Policy(), SECRET)
    assert made.refused == {Reason.UNREADABLE: 1}


def test_a_batch_runs_without_functions_that_other_systems_lack(tmp_path, monkeypatch):
    source = write(tmp_path / "in", *(ct(n) for n in range(3)))
    here = deidentify_files(source, tmp_path / "here", Policy(), SECRET)
    for name in ("pread", "sendfile", "copy_file_range", "fork", "O_NONBLOCK", "killpg", "mkfifo"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(writer, "_sendfile", None)
    there = deidentify_files(source, tmp_path / "there", Policy(), SECRET)
    assert contents(here) == contents(there)


def test_an_output_that_is_a_file_is_refused(tmp_path):
    source = write(tmp_path / "in", ct(1))
    (tmp_path / "out").touch()
    with pytest.raises(UsageError, match="is a file"):
        deidentify_files(source, tmp_path / "out", Policy(), SECRET)


def test_outputs_of_sources_that_are_gone_or_changed_are_withdrawn_or_replaced(tmp_path):
    source, out = write(tmp_path / "in", *(ct(n) for n in range(4))), tmp_path / "out"
    (source / "copy.dcm").write_bytes((source / "0000.dcm").read_bytes())
    first = deidentify_files(source, out, Policy(), SECRET)
    assert (first.withdrawn, first.replaced) == (0, 0)
    (source / "0000.dcm").unlink()  # its copy is still there
    (source / "0001.dcm").unlink()
    ct(2, KVP="99").save_as(source / "0002.dcm", enforce_file_format=True)
    ct(3, BurnedInAnnotation="YES").save_as(source / "0003.dcm", enforce_file_format=True)
    made = deidentify_files(source, out, Policy(), SECRET)
    assert (made.files_in, made.files_out, made.withdrawn, made.replaced) == (3, 2, 2, 2)
    assert set(made.outputs) == set(out.glob("*/*.dcm"))
    assert {pydicom.dcmread(p).InstanceNumber for p in made.outputs} == {0, 2}
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["withdrawn"] == 2
    again = deidentify_files(source, out, Policy(), SECRET)
    assert (again.files_out, again.withdrawn, again.replaced) == (2, 0, 0)
    (source / "0002.dcm").unlink()
    (source / "copy.dcm").unlink()
    assert deidentify_files(source, out, Policy(), SECRET).withdrawn == 2
    assert not list(out.glob("*/"))


def test_a_conflict_that_was_corrected_at_the_source_comes_back(tmp_path):
    source = write(tmp_path / "in", ct(1), ct(1, KVP="99"), ct(2, patient="MRN-9"))
    deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    (source / "0001.dcm").unlink()
    (source / "0002.dcm").unlink()
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert (made.files_out, dict(made.refused)) == (1, {})


def test_a_local_list_names_refused_and_leaking_files_and_the_others_can_be_written(tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    dirty = ct(5, FilterType=f"AS {CANARY}")
    write(source, ct(1), ct(2, BurnedInAnnotation="YES"), dirty)
    with pytest.raises(LeakFound, match=r"1 output \(name in \(0018,1160\): 1 file\)") as found:
        deidentify_files(source, out, Policy(), SECRET)
    assert "0002.dcm" not in str(found.value)
    listed = tmp_path / "out-identifiable" / "refused.csv"
    rows = list(csv.DictReader(listed.read_text(encoding="utf-8").splitlines()))
    assert [Path(row["file (identifiable)"]).name for row in rows] == ["0001.dcm", "0002.dcm"]
    assert "sign off" in rows[0]["remedy"]
    assert rows[1]["places"] == "name in (0018,1160)"
    if os.name == "posix":
        assert listed.parent.stat().st_mode & 0o77 == 0
    skipped = deidentify_files(source, out, Policy(), SECRET, skip_leaking=True)
    assert (skipped.files_out, skipped.refused[Reason.LEAK]) == (1, 1)
    assert CANARY.encode() not in b"".join(p.read_bytes() for p in skipped.outputs)
    removed = deidentify_files(source, tmp_path / "two", Policy(), SECRET, remove=["0018,1160"])
    assert removed.files_out == 2
    assert json.loads((tmp_path / "two/manifest.json").read_text(encoding="utf-8"))["policy"][
        "removed"
    ] == ["(0018,1160)"]


@pytest.mark.parametrize("given", [["FilterTyp"], ["SOPInstanceUID"], "FilterType", ["0028,0010"]])
def test_an_attribute_that_cannot_be_removed_is_refused(tmp_path, given):
    source = write(tmp_path / "in", ct(1))
    with pytest.raises(UsageError, match="remove") as refused:
        deidentify_files(source, tmp_path / "out", Policy(), SECRET, remove=given)
    assert "FilterTyp " not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "keyword", "value", "n"),
    [
        ("Wedge^A", "FilterType", "WEDGE", 1),
        ("Lung^A", "BodyPartExamined", "LUNG", 1),
        ("Lung^Wedge", "FilterType", "WEDGE LUNG", 0),
        ("Tannhauer^A", "FilterType", "TANNHAUER", 0),
        ("Spin^Aino", "PulseSequenceName", "SPIN ECHO", 1),
        ("Spin^Echo", "PulseSequenceName", "SPIN ECHO", 0),
        ("Iso^Aino", "SpecificCharacterSet", "ISO_IR 100", 1),
    ],
)
def test_a_defined_term_is_no_name(tmp_path, name, keyword, value, n):
    source = write(tmp_path / "in", ct(1, name=name, **{keyword: value}))
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET, skip_leaking=True)
    assert made.files_out == n


@posix_only
def test_folders_that_cannot_be_read_are_counted_and_links_are_followed_once(tmp_path):
    source = write(tmp_path / "in", ct(1))
    write(tmp_path / "elsewhere", ct(2))
    (source / "link").symlink_to(tmp_path / "elsewhere")
    (source / "cycle").symlink_to(source)
    os.mkfifo(source / "pipe")
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert (made.files_out, made.refused[Reason.UNREADABLE]) == (2, 1)
    (source / "itself").symlink_to("itself")
    (source / os.fsdecode(b"M\xfcller")).mkdir()
    again = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert (again.files_out, again.refused[Reason.UNREADABLE]) == (2, 2)
    (source / "itself").unlink()
    (source / "back").symlink_to(tmp_path / "out")
    assert deidentify_files(source, tmp_path / "out", Policy(), SECRET).files_in == 3


def test_an_output_that_cannot_be_made_is_a_usage_error(tmp_path):
    source = write(tmp_path / "in", ct(1))
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be made"):
        deidentify_files(source, tmp_path / "file" / "out", Policy(), SECRET)


def test_an_object_without_patient_id_does_not_make_its_study_mixed(tmp_path):
    source = write(tmp_path / "in", ct(1), ct(2), ct(3, patient=""))
    made = deidentify_files(source, tmp_path / "out", Policy(), SECRET)
    assert (made.files_out, dict(made.refused)) == (3, {})
