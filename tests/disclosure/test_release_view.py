"""The readable view of a release: all its parts, what is withheld with reason and remedy, changes."""

import json
import re
from dataclasses import replace

import numpy as np

from healthval.disclosure import load_policy, release, releases
from healthval.disclosure.release_view import html, lines
from healthval.metrics import table_one


def with_few(make_site, n=400, few=4):
    """A site where few patients have an unknown sex."""
    site = make_site(n)
    site.groups["sex"] = np.where(np.arange(n) < few, "unknown", site.groups["sex"])
    return site


def parts(text):
    """Lines of each part by its title."""
    found = {}
    for line in text:
        if line and not line.startswith(" "):
            found[line] = []
        elif line:
            found[next(reversed(found))].append(line)
    return found


def test_numbers_and_hash_are_those_of_the_message(make_site, policy, ledger):
    made = release(make_site(400).result(), policy, ledger)
    sent = json.loads(made.payload)
    text = " ".join(parts(lines(made))["What would leave"])
    auroc = sent["auroc"]
    assert made.sha256 in text
    assert f"{auroc['value']:.2f} ({auroc['lo']:.2f} to {auroc['hi']:.2f})" in text
    assert f"{sent['n']}, {sent['n_events']} with the target condition" in text
    assert str(len(made.payload)) in text


def test_a_withheld_level_is_named_with_its_reason_and_a_remedy(make_site, policy, ledger):
    made = release(with_few(make_site).result(), policy, ledger)
    withheld = parts(lines(made))["Withheld, and what would show it"]
    [line] = [line for line in withheld if "sex.unknown" in line]
    assert "too small" in line
    assert "merge the level" in line
    assert "unknown" not in made.payload.decode()


def test_reasons_are_kept_in_the_ledger_and_never_sent(make_site, policy, ledger):
    made = release(with_few(make_site).result(), policy, ledger)
    [again] = releases(ledger)
    assert again == made
    assert again.withheld == made.withheld
    assert lines(again) == lines(made)


def test_nothing_withheld_is_stated(make_site, policy, ledger):
    made = release(make_site(2000).result(), policy, ledger)
    assert not [note for note in made.withheld if note.field.startswith("subgroups")]
    named = parts(lines(made)).get("Withheld, and what would show it")
    assert bool(made.withheld) != (named == ["  nothing"])


def test_changes_are_those_between_two_messages(make_site, policy, ledger):
    site = make_site(600)
    first = release(site.result(slice(0, 400)), policy, ledger)
    second = release(site.result(slice(0, 600)), policy, ledger)
    changed = parts(lines(second, first.submission))["Changes since the last release"]
    before, after = first.submission.n, second.submission.n
    assert any(re.fullmatch(rf"  cases +{before} +-> +{after}", line) for line in changed)
    same = parts(lines(second, second.submission))["Changes since the last release"]
    assert same == ["  no number of this table changed"]


def test_the_page_has_the_same_cells_as_the_text(make_site, policy, ledger):
    made = release(with_few(make_site).result(), policy, ledger)
    cells = re.findall(r"<td>([^<]*)</td>", made._repr_html_())
    text = "\n".join(lines(made))
    assert all(cell.replace("&#x27;", "'") in text for cell in cells)
    assert html(made) == made._repr_html_()
    assert str(made) == text


def test_a_withheld_mean_and_a_threshold_of_the_data_have_their_own_remedies(make_site, ledger):
    site = make_site(400)
    cost = np.where(np.arange(400) == 7, 900_000.0, 20.0 + np.arange(400) % 9)
    result = site.result(table_one=table_one({"cost": cost}, site.outcome))
    found = replace(result.evaluation.thresholds[0], origin="data-derived")
    result = replace(result, evaluation=replace(result.evaluation, thresholds=(found,)))
    made = release(result, load_policy("cms"), ledger)
    withheld = parts(lines(made))["Withheld, and what would show it"]
    [mean] = [line for line in withheld if "table_one.mean[cost]" in line]
    assert "one or two values" in mean
    assert "merge" not in mean
    [at] = [line for line in withheld if "found on the data" in line]
    assert "state the threshold in the plan" in at


def test_an_excluded_number_near_an_earlier_one_is_not_called_small(make_site, policy, ledger):
    site = make_site(400)
    release(site.result(n_missing_reference=40), policy, ledger)
    made = release(site.result(n_missing_reference=43, model="bone-reader"), policy, ledger)
    withheld = parts(lines(made))["Withheld, and what would show it"]
    [missing] = [line for line in withheld if "n_missing_reference" in line]
    assert "earlier release" in missing
    assert "evaluate more cases" not in missing
