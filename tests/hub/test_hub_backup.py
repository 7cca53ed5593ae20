"""Backup and restore of an embedded hub, migration of its index, and the audit chain from outside."""

import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from healthval.cli import cli
from healthval.client import Client, Credential
from healthval.errors import HealthvalError, IntegrityError, UsageError
from healthval.hub.backends import schema
from healthval.hub.backends.local import SqliteIndex
from healthval.hub.backup import MANIFEST, back_up, restore
from healthval.hub.ports import Write


@pytest.fixture(scope="module")
def filled(kit, tmp_path_factory, operator_key, artefact):
    """A running hub with a model, a grant, a prediction, an upload and a result; and its backup."""
    folder = tmp_path_factory.mktemp("filled")
    running = kit.HubProcess(folder / "data", Path(f"{operator_key}.pub")).start()
    with (
        Client(running.url, Credential.load(operator_key)) as operator,
        Client(running.url, Credential.create(folder / "site.key")) as site,
    ):
        operator.register_model(kit.registration_of(artefact), artefact)
        model = operator.start_model("tumour", "1.0")
        kit.approve(operator, site)
        site.predict(kit.batch(12.3456))
        site.predict(kit.batch(*[float(i % 50) for i in range(3000)]))
        site.upload(kit.dicom(400), **kit.SUBJECT)
        site.submit(kit.payload(model.digest))
    objects = folder / "data" / "objects"
    (objects / "requests" / "site-aaaaaaaa").mkdir(parents=True, exist_ok=True)
    (objects / "requests" / "site-aaaaaaaa" / "prediction-0.json").write_text(
        "12.3456", encoding="utf-8"
    )
    backup = folder / "hub.backup"
    done = CliRunner().invoke(cli, ["hub", "backup", "--data", str(folder / "data"), str(backup)])
    assert done.exit_code == 0, done.output
    yield running, backup, folder
    running.stop()


def test_a_restored_hub_has_the_same_grants_models_results_and_chain(
    kit, filled, operator_key, tmp_path
):
    running, backup, folder = filled
    data = tmp_path / "restored"
    done = CliRunner().invoke(cli, ["hub", "restore", str(backup), "--data", str(data)])
    assert done.exit_code == 0, done.output
    again = kit.HubProcess(data, Path(f"{operator_key}.pub")).start()
    try:
        with (
            Client(again.url, Credential.load(operator_key)) as new,
            Client(running.url, Credential.load(operator_key)) as old,
            Client(again.url, Credential.load(folder / "site.key")) as site,
        ):
            assert new.access_requests() == old.access_requests()
            assert new.models() == old.models()
            assert new.submissions(**kit.SUBJECT) == old.submissions(**kit.SUBJECT)
            assert new.audit()[0][: len(old.audit()[0])] == old.audit()[0]
            assert site.predict(kit.batch(2.0)).predictions[0].score == 0.5
    finally:
        again.stop()


def test_a_backup_has_no_row_file_or_score(filled):
    _, backup, _ = filled
    assert backup.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(backup) as archive:
        names = archive.namelist()
        content = b"".join(archive.read(name) for name in names)
    assert not [name for name in names if name.split("/")[1:2] in (["requests"], ["uploads"])]
    assert b"12.3456" not in content
    assert b"case-" not in content
    assert b"DICM" not in content


def test_a_second_backup_needs_another_name_and_a_restore_a_new_folder(filled, tmp_path):
    running, backup, _ = filled
    with pytest.raises(UsageError, match="exists"):
        back_up(running.data, backup)
    with pytest.raises(UsageError, match="exists"):
        restore(backup, running.data)
    with pytest.raises(UsageError, match="has no hub"):
        back_up(tmp_path, tmp_path / "backup")
    (tmp_path / "text").write_text("no backup", encoding="utf-8")
    with pytest.raises(UsageError, match="no readable backup"):
        restore(tmp_path / "text", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text"]


def changed(backup: Path, target: Path, change) -> Path:
    """Copy a backup; `change` returns (name, bytes) pairs in place of those it gets."""
    with zipfile.ZipFile(backup) as old, zipfile.ZipFile(target, "w") as new:
        for name, data in change([(name, old.read(name)) for name in old.namelist()]):
            new.writestr(name, data)
    return target


def _about(change):
    def changing(files):
        return [
            (name, json.dumps(change(json.loads(data))).encode() if name == MANIFEST else data)
            for name, data in files
        ]

    return changing


@pytest.mark.parametrize(
    "change",
    [
        lambda files: [(n, d + b"x" if n.startswith("objects/") else d) for n, d in files],
        lambda files: [(n, d[:-1] if n == "hub.key" else d) for n, d in files],
        lambda files: files[1:],
        lambda files: [*files, ("objects/objects/new.bin", b"")],
        lambda files: [*files, ("../outside", b"")],
        _about(lambda about: about | {"files": about["files"] | {"../outside": "0" * 64}}),
        _about(lambda about: about | {"format": 2}),
        _about(lambda about: about | {"schema": 99}),
        lambda files: [(n, d) for n, d in files if n != MANIFEST],
        lambda files: [(n, b"{}" if n == MANIFEST else d) for n, d in files],
    ],
)
def test_a_changed_backup_is_refused_and_leaves_nothing(filled, tmp_path, change):
    bad = changed(filled[1], tmp_path / "bad", change)
    with pytest.raises(HealthvalError):
        restore(bad, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_a_backup_with_a_broken_chain_is_refused(filled, tmp_path):
    data = tmp_path / "data"
    restore(filled[1], data)
    with closing(sqlite3.connect(data / "index.sqlite")) as db, db:
        change = """UPDATE items SET value = replace(value, '"at":1', '"at":2')"""
        sql = f"{change} WHERE key LIKE 'entry#%3'"
        assert db.execute(sql).rowcount
    back_up(data, tmp_path / "broken")
    with pytest.raises(IntegrityError, match="audit entry"):
        restore(tmp_path / "broken", tmp_path / "new")


def test_an_index_from_before_versions_is_migrated_and_keeps_its_entries(tmp_path):
    path = tmp_path / "index.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(schema.MIGRATIONS[0][0])
        db.execute("""INSERT INTO items VALUES ('p', 'k', '{"n":1}', 3, NULL)""")
    index = SqliteIndex(path, lambda: 0)
    assert index.get("p", "k").version == 3
    index.commit([Write(partition="p", key="t", value={}, expires=10)])
    index.close()
    with closing(sqlite3.connect(path)) as db:
        assert schema.version_of(db) == len(schema.MIGRATIONS)


def test_an_index_of_a_newer_version_is_refused_and_unchanged(tmp_path):
    path = tmp_path / "index.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="version 99"):
        SqliteIndex(path, lambda: 0)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_a_migration_that_fails_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "index.sqlite"
    SqliteIndex(path, lambda: 0).close()
    broken = (*schema.MIGRATIONS, ("ALTER TABLE items ADD COLUMN extra TEXT", "no sql"))
    monkeypatch.setattr(schema, "MIGRATIONS", broken)
    with pytest.raises(UsageError, match="damaged"):
        SqliteIndex(path, lambda: 0)
    monkeypatch.setattr(schema, "MIGRATIONS", broken[:1])
    SqliteIndex(path, lambda: 0).close()


def test_the_chain_is_exported_and_verified_against_an_earlier_export(
    kit, filled, operator_key, tmp_path
):
    running, _, _ = filled
    about = ["--hub", running.url, "--key", str(operator_key)]
    export = tmp_path / "chain.jsonl"
    assert CliRunner().invoke(cli, ["hub", "audit", "export", *about, str(export)]).exit_code == 0
    lines = export.read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["number"] == 1

    def verify(*more):
        return CliRunner().invoke(cli, ["hub", "audit", "verify", *about, *more])

    with Client(running.url, Credential.create(tmp_path / "other.key")) as site:
        site.request_access(label="Other", **kit.SUBJECT)  # the chain grows
    assert "verified" in verify("--earlier", str(export)).output
    assert "verified" in verify().output
    for i, text in ((1, lines[2]), (len(lines) - 1, lines[-1].replace('"at":1', '"at":2'))):
        export.write_text("\n".join([*lines[:i], text, *lines[i + 1 :]]) + "\n", encoding="utf-8")
        refused = verify("--earlier", str(export))
        assert isinstance(refused.exception, IntegrityError)
        assert f"audit entry {i + 1} " in str(refused.exception)
    export.write_text("\n".join(lines * 2) + "\n", encoding="utf-8")
    assert isinstance(verify("--earlier", str(export)).exception, IntegrityError)
    export.write_text("no entry\n", encoding="utf-8")
    assert isinstance(verify("--earlier", str(export)).exception, UsageError)
