"""Summary of a finished demo, read from its report and ledgers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from healthval.cloud.estimate import estimate, idle, overhead
from healthval.cloud.prices import load_prices
from healthval.demo.scenes import Scene
from healthval.disclosure import Ledger
from healthval.errors import counted

Numbers = dict[str, Any]


def summary(folder: Path, scene: Scene, *, is_open: bool = False) -> list[str]:
    """At most 14 lines: patients, results, bytes that left the sites, costs on AWS, files, next commands.

    The last line leads to the dashboard's link; `is_open` is whether its hub stays open.
    """
    study: Numbers = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["study"]
    ledgers = [Ledger(folder / "sites" / site.folder / "ledger.jsonl") for site in scene.sites]
    sent = [entry for ledger in ledgers for entry in ledger.entries()]
    return [
        scene.headline,
        *_numbers(study, scene.condition),
        *_sent(sent),
        _cost(study, scene),
        *_products(folder),
        f"next         healthval verify {folder} --key {folder}/operator/operator.key.pub",
        f"             healthval ledger show {folder}/sites/north   healthval doctor",
        "dashboard    open until Ctrl-C, by this link of the model's vendor, for 8 hours:"
        if is_open
        else "dashboard    open with --serve; link of the model's vendor, for 8 hours:",
    ]


def _numbers(study: Numbers, condition: str) -> Iterator[str]:
    sites = counted(study["k"], "site")
    yield f"n            {_total(study['n'])} cases, {_total(study['n_events'])} {condition}, at {sites}"
    values = ", ".join(
        f"{site['value']:.2f}" for site in study["auroc"]["sites"] if site["value"] is not None
    )
    yield f"AUROC        {_measure(study['auroc'])}; at the sites {values}"
    yield f"calibration  O:E {_measure(study['oe'])}, slope {_measure(study['slope'])}"
    for threshold in study["thresholds"]:
        yield from _rates(threshold, study["k"])


def _rates(threshold: Numbers, k: int) -> Iterator[str]:
    counts = threshold["counts"]
    names = [n for n in ("sensitivity", "specificity") if counts and counts[n]["value"] is not None]
    if names:
        rates = ", ".join(f"{name} {counts[name]['value']:.2f}" for name in names)
        yield f"at {threshold['threshold']:<10g}{rates}, {_origin(counts, names, k)}"
    else:
        yield f"at {threshold['threshold']:<10g}every site withheld small cells"


def _origin(counts: Numbers, names: list[str], k: int) -> str:
    """Where rates are from: sums of counts, or an estimate from what is known of withheld ones."""
    if all(counts[name]["method"].startswith("wilson") for name in names):
        return f"summed over {counts['k']} of {k} sites"
    return f"estimated over {k} sites, {len(counts['excluded'])} of which withheld small cells"


def _sent(entries: list[Any]) -> Iterator[str]:
    payloads = [e.body["n_bytes"] for e in entries if e.kind == "payload"]
    releases = [e.body["n_bytes"] for e in entries if e.kind == "release"]
    yield (
        f"left         {sum(payloads):,} bytes of de-identified inputs in"
        f" {counted(len(payloads), 'request')}, {sum(releases):,} bytes of aggregates in"
        f" {counted(len(releases), 'message')}; nothing else"
    )


def _cost(study: Numbers, scene: Scene) -> str:
    prices = load_prices()
    # Rows are sent in batches; one call per case is the upper bound.
    used = estimate(
        study["n"]["lower"],
        memory_mb=scene.memory_mb,
        seconds=0.05,
        megabytes=scene.megabytes,
        prices=prices,
    )
    used += overhead(prices) * len(scene.sites)
    return f"on AWS       at most ${used.usd:.4f} for this study; ${idle(prices).usd:.2f} a month without evaluations"


def _products(folder: Path) -> Iterator[str]:
    yield f"report       {folder / 'report.html'}"
    pdf = folder / "report.pdf"
    no_pdf = "no PDF, because Pango is missing: run `healthval doctor`"
    yield f"             {pdf if pdf.exists() else no_pdf}"


def _total(total: Numbers) -> str:
    exact = total["lower"] == total["upper"]
    return str(total["lower"]) if exact else f"{total['lower']} to {total['upper']}"


def _measure(measure: Numbers) -> str:
    if measure["value"] is None:
        return "not pooled"
    low, high = measure["ci"]
    return f"{measure['value']:.2f} (95% CI {low:.2f} to {high:.2f})"
