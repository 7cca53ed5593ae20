"""`healthval pacs` as an operator types it."""

import pytest
from click.testing import CliRunner

from healthval.cli.pacs import pacs
from healthval.errors import UsageError


def run(*words):
    done = CliRunner().invoke(pacs, words)
    assert isinstance(done.exception, UsageError)
    return str(done.exception)


def test_a_pacs_has_one_address_and_a_query():
    assert "either --url or --dimse" in run("find", "--date", "20230101")
    assert "HOST:PORT:AET" in run("find", "--dimse", "pacs.example", "--date", "20230101")
    assert "--accession" in run("find", "--url", "http://127.0.0.1:1")


def test_a_token_is_read_from_the_environment_only(monkeypatch):
    monkeypatch.delenv("PACS_TOKEN", raising=False)
    text = run("find", "--url", "http://127.0.0.1:1", "--date", "2023", "--token", "PACS_TOKEN")
    assert "environment variable" in text


@pytest.mark.parametrize("line", ["ACC*", "ACC?1", "A\\B"])
def test_a_wildcard_in_a_list_is_refused_without_its_value(tmp_path, line):
    (tmp_path / "list").write_text(f"ACC1\n{line}\n", encoding="utf-8")
    text = run("find", "--url", "http://127.0.0.1:1", "--accession", str(tmp_path / "list"))
    assert "line 2" in text
    assert line not in text
