"""German reports: every message has its translation, numbers are the same, and names stay as they are."""

import ast
import io
import re
import string
import tomllib
from collections import Counter
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from page_numerals import Texts, untraced
from pypdf import PdfReader

import healthval.report
from healthval.aggregate import pool
from healthval.cli.reports import LANGUAGE
from healthval.contracts.submission import ReleasedEstimate
from healthval.disclosure.gate import CHECKS
from healthval.errors import ReportError
from healthval.files import packaged
from healthval.report import (
    Conduct,
    Criterion,
    Hospital,
    build,
    render_html,
    render_pdf,
    why_no_pdf,
    with_signer,
)
from healthval.report.forms.committee import committee, render_committee
from healthval.report.forms.comparison import compare
from healthval.report.wording.language import LANGUAGES, many, reword, say, written_in

ROOM = Path(healthval.report.__file__).parent
GERMAN = tomllib.loads((ROOM / "wording" / "de.toml").read_text(encoding="utf-8"))


def calls(*names):
    for path in sorted(ROOM.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in names:
                yield path, node


def messages():
    """Messages of the source and of the template."""
    found = {
        node.args[0].value
        for _, node in calls("say", "mark")
        if node.args and isinstance(node.args[0], ast.Constant)
    }
    page = (packaged("templates") / "healthval" / "index.html.j2").read_text(encoding="utf-8")
    return found | set(re.findall(r'say\("([^"]+)"\)', page))


def placeholders(message):
    return Counter(name for _, name, _, _ in string.Formatter().parse(message) if name)


def test_every_message_has_a_translation_and_no_other_is_kept():
    assert messages() == set(GERMAN["messages"])
    nouns = {node.args[1].value for _, node in calls("many")}
    assert nouns == set(GERMAN["nouns"])


def test_no_message_is_built_by_the_source():
    """Only a constant is found by the test above; a name is a marked message."""
    built = [
        (path.name, node.lineno)
        for path, node in calls("say", "mark")
        if not isinstance(node.args[0], ast.Constant | ast.Name | ast.Attribute | ast.Subscript)
    ]
    assert built == []


@pytest.mark.parametrize("table", ["messages", "elsewhere"])
def test_translations_have_the_placeholders_and_numbers_of_the_message(table):
    for message, words in GERMAN[table].items():
        assert set(placeholders(message)) == set(placeholders(words)), message
        plain = [re.sub(r"\{.*?\}", "", text) for text in (message, words)]
        numbers = [Counter(re.findall(r"\d+(?:[.,]\d+)?", text)) for text in plain]
        numbers = [{n.replace(",", "."): k for n, k in found.items()} for found in numbers]
        assert numbers[0] == numbers[1], message
        ends = [(text[:1].isspace(), text[-1:].isspace()) for text in (message, words)]
        if message[:1] != ",":
            assert ends[0] == ends[1], message


def test_a_noun_is_counted_in_both_cases_and_numbers():
    with written_in("de"):
        assert [many(1, "hospital"), many(2, "hospital")] == ["1 Krankenhaus", "2 Krankenhäuser"]
        assert say("{k} of {of}", k=2, of=many(5, "hospital")) == "2 von 5 Krankenhäusern"
        assert say("{k} of {of}", k=2, of="allen") == "2 von allen"
    assert many(2, "hospital is", "hospitals are") == "2 hospitals are"


def test_another_language_is_refused_and_the_former_one_comes_back(
    study, released, card, plan, report
):
    with pytest.raises(ReportError, match="choose one of en, de"):
        build(study, released, card, plan, language="fr")
    with written_in("de"), written_in("en"):
        assert say("Sensitivity") == "Sensitivity"
    assert build(study, released, card, plan) == report
    assert tuple(LANGUAGES) == tuple(LANGUAGE(lambda: None).__click_params__[0].type.choices)


@pytest.fixture(scope="module")
def networks(released, study, card, plan, simulated, site_of):
    """The three sites, and six with withheld counts, missing hospitals and a change of the plan."""
    hard = simulated([site_of(300 + 20 * i, 0.3) for i in range(6)], seed=5)
    names = list(hard)
    at = hard[names[1]].thresholds[0]
    cells = at.confusion.model_copy(update={"tp": "suppressed", "fn": "suppressed"})
    none = ReleasedEstimate(withheld="suppressed")
    at = at.model_copy(update={"confusion": cells, "sensitivity": none})
    fewer = {"thresholds": (at,), "n_events": "suppressed", "histogram": (), "auroc": none}
    hard[names[1]] = hard[names[1]].model_copy(update=fewer)
    kept = {"dates": "kept", "plan_amended": True, "canary": "changed"}
    kept["healthval_version"] = "0.2.0"
    hard[names[2]] = hard[names[2]].model_copy(update=kept)
    hospitals = (
        *(Hospital(label=name, status="approved", sent=True) for name in names),
        Hospital(label="Silent", status="approved", sent=False, inputs=40),
        Hospital(label="Gone", status="revoked", sent=False, reason="Left the study"),
    )
    facts = replace(
        plan,
        planned_cases=5000,
        criteria=(*plan.criteria, Criterion("brier", at_most=0.2), Criterion("oe", at_most=1.25)),
    )
    return {
        "three": (study, released, card, plan, None),
        "hard": (pool(tuple(hard.items())), hard, card, facts, Conduct(hospitals, ("Elsewhere",))),
    }


@pytest.fixture(scope="module", params=["three", "hard"])
def both(request, networks):
    made = networks[request.param]
    return build(*made), build(*made, language="de")


@pytest.fixture(scope="module")
def pages(both):
    """Page and committee summary of the English report, then of the German one."""
    return [
        [render_html(made.notebook()) for made in (report, committee(report))] for report in both
    ]


def test_the_numbers_are_those_of_the_english_report(both):
    assert both[0].numbers == both[1].numbers
    assert len(both[0].sections) == len(both[1].sections)


def test_page_and_committee_summary_name_their_language(both, pages):
    for english, german in zip(*pages, strict=True):
        assert '<html lang="en">' in english
        assert '<html lang="de">' in german
    assert render_html(both[1].notebook()) == pages[1][0]  # the same bytes again


# Words that are the same in both languages, and names that the networks give.
SAME = re.compile(
    r"AUROC|Brier|CUSUM|E90|ICI|O:E|REML|DL|PM|hk|hk-truncated|Poisson|Fairness|Software|SHA-256"
    r"|p \(Holm\)|healthval .*|node-risk.*|site-[\w-]+|[0-9a-f]{64}|Silent|Gone|Elsewhere"
)


def texts(page):
    found = Texts()
    found.feed(page)
    return {text.strip() for text in (*found.found, *found.drawn)}


def given_names(numbers):
    """Texts of plan, model card and releases, which stay as they are."""
    if isinstance(numbers, dict):
        for key, value in numbers.items():
            yield key
            yield from given_names(value)
    elif isinstance(numbers, list | tuple):
        for value in numbers:
            yield from given_names(value)
    elif isinstance(numbers, str):
        yield numbers


def test_no_text_of_the_page_stays_english(both, pages):
    shown = [texts(page) | texts(summary) for page, summary in pages]
    plan, card = both[0].numbers["plan"], both[0].numbers["model_card"]
    conduct = both[0].numbers["conduct"] or {}
    given = set(given_names([plan, card, conduct]))
    own = {g[key] for g in both[0].numbers["study"]["subgroups"] for key in ("variable", "level")}
    own |= {step["step"] for step in both[0].numbers["study"]["flow"]}
    own = {name.replace("_", " ") for name in own}
    own |= {f"{v}: {level}" for v in own for level in own}
    attacks = {"interval bounds", "differencing"}  # of the simulated certificates only
    english = {
        text
        for text in shown[0] & shown[1]
        if re.search("[A-Za-z]{3}", text) and not SAME.fullmatch(text)
    }
    left = english - given - own
    assert not [text for text in left if text.split(":")[0] not in attacks]


@pytest.mark.parametrize("k", [1, 2])
def test_a_result_that_is_withheld_or_not_pooled_is_german(k, simulated, site_of, card, plan):
    none = ReleasedEstimate(withheld="suppressed")
    sites = simulated([site_of(90)] * k, auroc=none, calibration=None)
    facts = replace(plan, criteria=(*plan.criteria, Criterion("oe", at_most=1.25)))
    page = render_html(
        build(pool(tuple(sites.items())), sites, card, facts, language="de").notebook()
    )
    assert not [text for text in texts(page) if re.search("withheld|not pooled|values of", text)]
    found = "zurückgehalten" if k == 1 else "nicht zusammengefasst: Werte von 0 Standorten"
    assert f"Die AUROC: {found}" in page


def test_no_number_of_the_page_has_a_decimal_point(pages):
    page = texts(pages[1][0])
    points = [text for text in page if re.search(r"(?<![\d.])\d+\.\d+(?!\.?\d)", text)]
    assert not [text for text in points if not re.search("healthval|node-risk|Version", text)]
    ticks = {text for text in page if re.fullmatch(r"[−-]?\d,\d+", text)}
    assert {"0,2", "0,4", "0,6", "0,8"} <= ticks


def test_every_numeral_of_the_german_page_is_in_the_numbers(both, pages):
    page = pages[1][0]
    assert untraced(with_points(page), both[1].numbers) == []
    changed = page.replace(">0,", ">0,1234567", 1)
    assert changed != page
    assert untraced(with_points(changed), both[1].numbers)


def with_points(page):
    """Write each decimal comma as a point, as the numbers have it."""
    page = re.sub(r"(?<=\d),(?=\d)", ".", page)
    return page.replace("\N{NO-BREAK SPACE}%", "%").replace(" von 100", " of 100")


def test_reasons_and_notes_of_the_pooled_study_are_translated(both):
    study = both[1].numbers["study"]
    found = set(study["notes"]) | set(reasons(study))
    assert found
    with written_in("de"):
        assert not [text for text in found if reword(text) == text]
        assert not [name for name in CHECKS if reword(name.replace("-", " ")) == name]


def reasons(value):
    if isinstance(value, dict):
        yield from (v for k, v in value.items() if k == "reason" and isinstance(v, str))
        for item in value.values():
            yield from reasons(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from reasons(item)


def test_a_sentence_of_another_room_keeps_its_numbers_and_names():
    with written_in("de"):
        assert reword(
            "3 of 10 sites withheld counts; over all sites the rate is 0.101 to 0.454"
        ) == (
            "Anzahlen zurückgehalten von 3 von 10 Standorten; über alle Standorte ist die Rate "
            "0,101 bis 0,454"
        )
        assert reword("1 of the sites kept dates: Sites of 2 rooms.").endswith(
            "1 der Standorte: Sites of 2 rooms."
        )
        assert reword("an own sentence") == "an own sentence"
    assert reword("2 of 3 sites withheld counts") == "2 of 3 sites withheld counts"


def test_the_comparison_is_german_and_its_numbers_are_english(networks):
    first, second = (build(*made).numbers for made in networks.values())
    made = compare(first, second, language="de")
    assert made.numbers == compare(first, second).numbers
    page = unescape(render_html(made.notebook()))
    assert "Sensitivität beim Schwellenwert 0,5: B minus A" in page
    assert "mindestens 0,85" in page
    assert not [text for text in texts(page) if " at " in text or "hospital" in text]


def test_the_signers_fingerprint_is_in_the_language_of_the_report(both):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    blocks = with_signer(both[1], key).section("provenance").blocks
    assert "Signiert mit dem Ed25519-Schlüssel" in str(blocks[-1])


@pytest.mark.skipif(why_no_pdf() is not None, reason="Pango is not installed")
def test_the_pdf_names_its_language_and_numbers_its_pages_in_it(networks):
    german = build(*networks["three"], language="de")
    made = render_pdf(render_html(german.notebook()))
    document = PdfReader(io.BytesIO(made))
    assert document.trailer["/Root"]["/Lang"] == "de"
    n = len(document.pages)
    assert f"Seite {n} von {n}" in document.pages[-1].extract_text()
    summary = PdfReader(io.BytesIO(render_committee(german, pdf=True)["committee.pdf"]))
    assert len(summary.pages) <= 2
    assert "Seite 1 von" in summary.pages[0].extract_text()
