"""The files of every room: durable, locked, and YAML read as editors read it."""

import json
import multiprocessing
import os
import shlex
import stat
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthval.errors import PlanError, UsageError, counted
from healthval.files import (
    install_command,
    locked,
    packaged,
    parse_yaml,
    read_yaml,
    read_yaml_list,
    write_durably,
)

WORDS = {"what": "the file", "remedy": "repair it"}


def parsed(scalar):
    return parse_yaml(f"a: {scalar}\n", **WORDS)["a"]


@pytest.mark.parametrize(
    "scalar",
    ["060", "-007", "1:30", "1:30:15", "on", "off", "yes", "No", "2024-01-02", "1_000", "0b11", "007.5",
     "2024-01-02T03:04:05Z", "1,5", "0123", "y", "N", "="],
)  # fmt: skip
def test_what_yaml_1_2_calls_text_is_text(scalar):
    assert parsed(scalar) == scalar


@pytest.mark.parametrize(
    ("scalar", "value"),
    [("0", 0), ("-12", -12), ("+3", 3), ("0x1F", 31), ("0o17", 15), ("1e3", 1000.0), ("-.5", -0.5), ("1.", 1.0),
     ("2.5E-1", 0.25), ("true", True), ("False", False), ("~", None), ("null", None), ("", None), (".inf", float("inf"))],
)  # fmt: skip
def test_numbers_truth_and_null_are_read_by_the_core_schema(scalar, value):
    found = parsed(scalar)
    assert found == value
    assert type(found) is type(value)


@given(st.integers())
def test_a_whole_number_is_read_as_itself(n):
    if abs(n) < 10**4000:
        assert parsed(n) == n


@pytest.mark.parametrize(
    "text",
    ["a: 1\na: 2\n", "- 1\n", "", "a: [1\n", "? [1, 2]\n: 3\n", "{[a]: 1}", "a: !!python/object:os.system 1",
     "a: &x [*x]\n" * 2, "a: " + "9" * 5000, "a: " + "[" * 3000],
)  # fmt: skip
def test_what_is_no_mapping_is_an_error_that_quotes_nothing(text, tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=r"^the plan is not") as caught:
        read_yaml(file, what="the plan", remedy="repair it", error=PlanError)
    assert "9" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_list_is_read_as_a_list_and_nothing_else(tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text("# first\n---\n- a: 060\n", encoding="utf-8")
    assert read_yaml_list(file, **WORDS) == [{"a": "060"}]
    file.write_text("a: 1\n", encoding="utf-8")
    with pytest.raises(UsageError, match="the file is not a list; repair it"):
        read_yaml_list(file, **WORDS)


def test_a_file_that_is_missing_or_not_text_is_named(tmp_path):
    with pytest.raises(UsageError, match="the file cannot be read"):
        read_yaml(tmp_path / "no.yaml", **WORDS)
    (tmp_path / "odd.yaml").write_bytes(b"\xff\xfea")
    with pytest.raises(UsageError, match="the file is not UTF-8 text"):
        read_yaml(tmp_path / "odd.yaml", **WORDS)


def test_a_durable_file_is_whole_private_and_alone(tmp_path):
    path = tmp_path / "key"
    assert write_durably(path, b"one")
    assert write_durably(path, b"two")
    assert not write_durably(path, b"three", replace=False)
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "key"
    write_durably(path, b"old")

    def fail(_):
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows renames instead of linking")
def test_a_drive_without_hard_links_keeps_an_existing_file_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "no hard links")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "key"
    assert write_durably(path, b"one", replace=False)
    assert not write_durably(path, b"two", replace=False)
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def _create(path, number, winners):
    winners.put(write_durably(path, str(number).encode(), replace=False))


def test_of_several_writers_one_creates_the_file(tmp_path):
    context = multiprocessing.get_context("spawn")
    winners = context.Queue()
    writers = [context.Process(target=_create, args=(tmp_path / "x", n, winners)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(winners.get() for _ in writers) == [False, False, True]


def _hold(path, held, release):
    with locked(path, seconds=-1, busy=UsageError("busy")):
        held.set()
        release.wait(600)


def test_a_lock_is_held_against_another_process_and_ends_with_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path / "lock", held, release))
    holder.start()
    assert held.wait(600)
    with (
        pytest.raises(UsageError, match="busy"),
        locked(tmp_path / "lock", seconds=0, busy=UsageError("busy")),
    ):
        pass
    holder.kill()
    holder.join()
    with locked(tmp_path / "lock", seconds=10, busy=UsageError("busy")):
        pass


def test_the_packaged_folders_are_found():
    assert {p.name for p in packaged("notebooks").glob("*.ipynb")} >= {"evaluate.ipynb"}
    assert (packaged("templates") / "healthval" / "conf.json").is_file()
    with pytest.raises(UsageError, match="install healthval again"):
        packaged("nothing")
    assert isinstance(packaged("infra"), Path)


@pytest.mark.parametrize(
    ("n", "words", "text"),
    [(0, ("case",), "0 cases"), (1, ("case",), "1 case"), (2, ("query",), "2 queries"), (2, ("day",), "2 days"),
     (3, ("box",), "3 boxes"), (1, ("row is", "rows are"), "1 row is"), (2, ("row is", "rows are"), "2 rows are")],
)  # fmt: skip
def test_a_count_and_its_noun_agree(n, words, text):
    assert counted(n, *words) == text


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        (None, "healthval[pdf]"),  # from an index
        ({"url": "file:///a%20b/clone", "dir_info": {}}, "/a b/clone[pdf]"),
        ({"url": "file:///clone", "dir_info": {"editable": True}}, "-e /clone[pdf]"),
        ({"url": "file:///dist/h-1.whl", "archive_info": {}}, "/dist/h-1.whl[pdf]"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="paths of POSIX")
def test_an_extra_is_installed_from_where_the_package_came(monkeypatch, origin, words):
    class Installed:
        def read_text(self, name):
            assert name == "direct_url.json"
            return origin and json.dumps(origin)

    monkeypatch.setattr(metadata, "distribution", lambda name: Installed())
    command = shlex.split(install_command("pdf"))
    assert command[:2] == ["pip", "install"]
    assert " ".join(command[2:]) == words


def test_an_extra_of_a_checkout_that_is_not_installed_is_installed_from_it(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    folder = Path(install_command("pdf").partition('"')[2].removesuffix('[pdf]"'))
    assert (folder / "healthval" / "files.py").is_file()
