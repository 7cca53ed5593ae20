"""What the demo tells at its end, read back from its products."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from healthval.costs.model import estimate, idle, overhead
from healthval.costs.prices import load_prices
from healthval.disclosure import Ledger
from healthval.plan import load_plan
from healthval.runner.demo_inputs import SITES

Numbers = dict[str, Any]


def summary(folder: Path) -> list[str]:
    """At most 15 lines: what was judged, what left, what it would have cost, where to look."""
    study: Numbers = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["study"]
    plan = load_plan(folder / "inputs" / "plan.yaml")
    sent = [
        e
        for site in SITES
        for e in Ledger(folder / "sites" / site.folder / "ledger.jsonl").entries()
    ]
    return [
        "Real patients (Wisconsin breast cancer, 569); the three sites are a split of them, names and dates invented.",
        *_numbers(study, plan.thresholds),
        *_sent(sent),
        _cost(study, len(SITES)),
        *_products(folder),
        f"next         healthval verify {folder}   healthval ledger show {folder}/sites/north   healthval doctor",
    ]


def _numbers(study: Numbers, thresholds: tuple[float, ...]) -> Iterator[str]:
    yield f"n            {_total(study['n'])} cases, {_total(study['n_events'])} malignant, at {study['k']} sites"
    values = ", ".join(
        f"{site['value']:.2f}" for site in study["auroc"]["sites"] if site["value"] is not None
    )
    yield f"AUROC        {_measure(study['auroc'])}; at the sites {values}"
    yield f"calibration  O:E {_measure(study['oe'])}, slope {_measure(study['slope'])}"
    for threshold in study["thresholds"]:
        counts = threshold["counts"]
        if counts:
            rates = ", ".join(
                f"{name} {counts[name]['value']:.2f}" for name in ("sensitivity", "specificity")
            )
            yield f"at {threshold['threshold']:<10g}{rates}, summed over {counts['k']} of {study['k']} sites (small cells stay at home)"


def _sent(entries: list[Any]) -> Iterator[str]:
    payloads = [e.body["n_bytes"] for e in entries if e.kind == "payload"]
    releases = [e.body["n_bytes"] for e in entries if e.kind == "release"]
    yield (
        f"left         {sum(payloads):,} bytes of de-identified inputs in {len(payloads)} requests,"
        f" {sum(releases):,} bytes of aggregates in {len(releases)} messages; nothing else"
    )


def _cost(study: Numbers, n_sites: int) -> str:
    prices = load_prices()
    # Rows travel in batches; counting each case as a call of its own is the upper bound.
    used = estimate(
        study["n"]["lower"], memory_mb=1024, seconds=0.05, megabytes=0.001, prices=prices
    )
    used += overhead(prices) * n_sites
    return f"on AWS       at most ${used.usd:.4f} for this study; ${idle(prices).usd:.2f} a month while nobody evaluates"


def _products(folder: Path) -> Iterator[str]:
    yield f"report       {folder / 'report.html'}"
    pdf = folder / "report.pdf"
    yield (
        f"             {pdf}"
        if pdf.exists()
        else "             no PDF without Pango: run `healthval doctor`"
    )


def _total(total: Numbers) -> str:
    exact = total["lower"] == total["upper"]
    return str(total["lower"]) if exact else f"{total['lower']} to {total['upper']}"


def _measure(measure: Numbers) -> str:
    if measure["value"] is None:
        return "not pooled"
    low, high = measure["ci"]
    return f"{measure['value']:.2f} (95% CI {low:.2f} to {high:.2f})"
