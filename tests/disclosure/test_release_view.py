"""The readable view of a release: all its parts, what is withheld with reason and remedy, changes."""

import json
import re

import numpy as np

from healthval.disclosure import release, releases
from healthval.disclosure.release_view import html, lines


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
