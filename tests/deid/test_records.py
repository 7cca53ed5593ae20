"""Records of a batch on disk: their order, what they keep in memory, and a full disk."""

import tracemalloc
from dataclasses import fields

import pytest

from healthval.deid import Policy, Record, deidentify_files
from healthval.deid.dicom.files import records as on_disk
from healthval.deid.dicom.files.journal import Journal
from healthval.deid.dicom.files.records import Records
from healthval.errors import DeidentificationError

from .test_batch import CANARY, SECRET, ct, write


def record(number, **more):
    study, instance = f"2.25.{number % 7}", f"2.25.9{number:05d}"
    made = {
        "source": f"key{number:06d}",
        "status": "written",
        "output": f"{study}/{instance}.dcm",
        "study": study,
        "instance": instance,
        "actions": {"removed": number % 3},
        "flags": ("sign-off",),
        "changes": f"00100010R:{number % 5}",
    }
    return Record(**{**made, **more})


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path, "batch")
    made.start()
    return made


def filled(journal, given):
    found = Records()
    found.add_files((one.source, f"/in/{one.source}") for one in given)
    with journal.appending():
        for one in given[::-1]:
            journal.add(one)
    found.add(journal.lines(), is_earlier=False)
    return found


def test_records_are_a_sequence_in_the_order_of_the_files(journal):
    given = [record(number) for number in range(50)]
    found = filled(journal, given)
    assert list(found) == given == found
    assert (found[0], found[-1], found[3:9:2]) == (given[0], given[-1], tuple(given[3:9:2]))
    assert found != given[:-1]
    assert found != [*given[:-1], record(99)]
    with pytest.raises(IndexError):
        found[50]


def test_every_field_of_a_record_comes_back_from_the_journal(journal):
    texts = {one.name: f"a {one.name}" for one in fields(Record)}
    whole = Record(**{**texts, "status": "refused", "actions": {"x": 2}, "flags": ("a", "b")})
    assert list(filled(journal, [whole])) == [whole]


def test_the_last_line_of_a_file_counts_and_damaged_lines_do_not(journal):
    found = filled(journal, [record(1), record(2)])
    with journal.appending():
        journal.add(record(1, status="refused", reason="x"))
    with journal.path.open("ab") as file:
        file.write(b'{"source":"key000002"}\n[1]\n{"source":"key0000')
    found.add(journal.lines(), is_earlier=False)
    assert [one.status for one in found] == ["refused", "written"]


def test_memory_does_not_grow_with_the_number_of_records(journal):
    many = [record(number) for number in range(8000)]
    found = Records()
    tracemalloc.start()
    found.add_files((one.source, f"/in/{one.source}") for one in many)
    with journal.appending():
        for one in many:
            journal.add(one)
    found.add(journal.lines(), is_earlier=False)
    assert sum(one.status == "written" for one in found) == 8000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000  # 62 bytes for each; a record has ten times as much


def test_a_file_that_is_named_twice_counts_once(tmp_path):
    source = write(tmp_path / "in", ct(1), ct(2))
    given = [source, source / "0000.dcm", source / ".." / "in" / "0001.dcm"]
    made = deidentify_files(given, tmp_path / "out", Policy(), SECRET)
    assert (made.files_in, made.files_out, made.duplicates) == (2, 2, 0)


def test_a_full_folder_for_temporary_files_is_named_and_the_batch_resumes(tmp_path, monkeypatch):
    source = write(tmp_path / "in", *(ct(n) for n in range(120)))
    out = tmp_path / "out"
    with monkeypatch.context() as small:
        small.setattr(on_disk, "_TABLES", "PRAGMA max_page_count = 14;" + on_disk._TABLES)
        with pytest.raises(DeidentificationError, match="temporary files is full") as raised:
            deidentify_files(source, out, Policy(), SECRET)
    assert CANARY not in str(raised.value)
    assert deidentify_files(source, out, Policy(), SECRET).files_out == 120
