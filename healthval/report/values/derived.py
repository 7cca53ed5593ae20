"""Numbers that the report computes from the releases; ``metrics.json`` has them under `derived`."""

from dataclasses import asdict
from typing import Any

from healthval.aggregate.result import ThresholdPool
from healthval.report.figures.roc_region import Region, pooled_region, site_region
from healthval.report.findings import Findings
from healthval.report.sections.disclosure import checks_by_attack, suppressed_cells
from healthval.report.sections.thresholds import predictive_values, summed_rates
from healthval.report.values.site_values import reader

MEASURES = ("auroc", "oe", "slope", "citl", "brier")
RATES = ("sensitivity", "specificity", "ppv", "npv", "net_benefit")
_LEFT_OUT = ("n_indeterminate", "n_missing_reference")


def derived(findings: Findings) -> dict[str, Any]:
    """Return means over sites, sums at the thresholds, ROC regions, and each site's own numbers."""
    study, e = findings.study, findings.study.estimands
    together = pooled_region(study.display) if study.k > 1 else None
    known = e.mixture is not None and e.mixture_bound is not None
    return {
        "means": {name: _mean(findings, name) for name in MEASURES},
        "thresholds": [_threshold(findings, at) for at in study.thresholds],
        "mixture": [e.mixture - e.mixture_bound, e.mixture + e.mixture_bound] if known else None,  # type: ignore[operator]
        "roc": {
            "together": _region(together),
            "sites": {site: _region(site_region(r)) for site, r in findings.released.items()},
        },
        "sites": {site: _site(findings, site) for site in findings.released},
        "attacks": checks_by_attack(findings),
        "noise": None if findings.noise is None else asdict(findings.noise),
    }


def _mean(findings: Findings, name: str, threshold: float | None = None) -> dict[str, Any]:
    mean = findings.mean(name, threshold)
    return {"value": mean.value, "ci": mean.ci, "prediction": mean.prediction, "k": mean.k}


def _threshold(findings: Findings, at: ThresholdPool) -> dict[str, Any]:
    c = at.counts
    n, marked = c.tp + c.fp + c.fn + c.tn, c.tp + c.fp
    sums = {name: (s.value, s.lo, s.hi) for name, s in summed_rates(findings.released, at).items()}
    cells = {"tp": c.tp, "fp": c.fp, "fn": c.fn, "tn": c.tn, "marked": marked}
    return {
        "threshold": at.threshold,
        "means": {name: _mean(findings, name, at.threshold) for name in RATES},
        "sums": sums,
        "shares": {name: cell / n for name, cell in cells.items()} if n else {},
        "totals": {"with_condition": c.tp + c.fn, "without_condition": c.fp + c.tn},
        "missed": [1 - value for value, *_ in sums.values() if value is not None],
        "prevalence": (c.tp + c.fn) / n if n else None,
        "marked_for_each_found": marked / c.tp if c.tp else None,
        "predictive_values": predictive_values(findings.released, at),
    }


def _region(region: Region | None) -> dict[str, Any] | None:
    if region is None:
        return None
    points = [{"at": v.at, "fpr": v.fpr, "tpr": v.tpr, "ci": v.interval} for v in region.inner]
    return {"area": region.area(), "points": points}


def _site(findings: Findings, site: str) -> dict[str, Any]:
    release = findings.released[site]
    own = []
    for criterion in findings.plan.criteria:
        value, ci = reader(criterion.measure, criterion.threshold).own(release)
        own.append({"criterion": criterion.name(), "value": value, "ci": ci})
    return {
        "criteria": own,
        "suppressed_cells": suppressed_cells(release.model_dump(mode="json")),
        "checks": sum(attack.checked for attack in release.certificate.attacks),
        "attacks": sum(bool(attack.checked) for attack in release.certificate.attacks),
        "shares": {name: _share(release, name) for name in _LEFT_OUT},
    }


def _share(release: Any, name: str) -> float | None:
    part, n = getattr(release, name), release.n
    if not isinstance(part, int) or not isinstance(n, int) or not part + n:
        return None
    return part / (part + n)
