"""`healthval pacs` as an operator types it."""

import pytest
from click.testing import CliRunner

from healthval.cli.pacs import pacs
from healthval.errors import CohortError, UsageError


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
    text = run("find", "--url", "http://127.0.0.1:1", "--date", "20230131", "--token", "PACS_TOKEN")
    assert "environment variable" in text


@pytest.mark.parametrize("line", ["ACC*", "ACC?1", "A\\B"])
def test_a_wildcard_in_a_list_is_refused_without_its_value(tmp_path, line):
    (tmp_path / "list").write_text(f"ACC1\n{line}\n", encoding="utf-8")
    text = run("find", "--url", "http://127.0.0.1:1", "--accession", str(tmp_path / "list"))
    assert "line 2" in text
    assert line not in text


def test_an_empty_list_is_refused_and_a_byte_order_mark_is_no_part_of_a_number(
    tmp_path, monkeypatch
):
    asked = []
    monkeypatch.setattr(
        "healthval.cohort.dicom.pacs.WebPacs.search", lambda _, f: asked.append(f) or ()
    )
    (tmp_path / "list").write_text("\ufeffACC1\n\nACC2\n", encoding="utf-8")
    words = ("find", "--url", "http://127.0.0.1:1", "--accession", str(tmp_path / "list"))
    done = CliRunner().invoke(pacs, words)
    assert asked == [{"AccessionNumber": "ACC1"}, {"AccessionNumber": "ACC2"}]
    assert "2 entries of the list" in done.output
    (tmp_path / "list").write_text("\n \n", encoding="utf-8")
    assert "is empty" in run(*words)


def test_a_search_by_date_has_no_list_and_its_date_has_the_form_of_dicom(monkeypatch):
    monkeypatch.setattr("healthval.cohort.dicom.web.WebPacs._page", lambda *_: [])
    words = ("find", "--url", "http://127.0.0.1:1", "--date")
    for date in ("20230131", "20230101-", "-20230101", "20230101-20230131"):
        assert (
            CliRunner().invoke(pacs, (*words, date)).output
            == "found          0 studies, 0 instances\n"
        )
    for date in ("2023", "2023-01-31", "20230101 - 20230131"):
        wrong = CliRunner().invoke(pacs, (*words, date)).exception
        assert isinstance(wrong, CohortError)
        assert "neither a date nor a range" in str(wrong)
