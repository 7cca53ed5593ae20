"""External results, read for pooling: MedPerf results and NVFlare cross-site validation.

Both are free JSON at their source. The readers are closed: names have a pattern, leaves are finite
numbers, depth and size have limits; a list or a text is refused, because it may be about patients.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from healthval.aggregate.effects import LOGIT, pool_measure
from healthval.aggregate.result import PooledMeasure
from healthval.contracts.submission import ReleasedEstimate
from healthval.errors import MetricError, counted

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.@%()+-]{0,63}", re.ASCII)
_DEPTH, _METRICS, _ENTRIES = 3, 200, 100_000


@dataclass(frozen=True, slots=True)
class Imported:
    """Metrics of one model at one site; nested names are joined by a slash."""

    site: str
    model: str
    metrics: tuple[tuple[str, float], ...]


def read_medperf(parsed: Any) -> tuple[Imported, ...]:
    """Read MedPerf results: one entry, a list of entries, or a page of the server's list.

    An entry has whole numbers `benchmark`, `model` and `dataset` and a mapping `results`; the site
    is named ``dataset-<number>``. All entries must be of one benchmark.

    Raises
    ------
    MetricError
        If the shape differs, an entry is rejected, or a model occurs twice at a dataset.
    """
    page = isinstance(parsed, Mapping) and isinstance(parsed.get("results"), Sequence)
    entries = parsed["results"] if page else parsed
    rows = [entries] if isinstance(entries, Mapping) else entries
    if not isinstance(rows, list | tuple) or not 0 < len(rows) <= _ENTRIES:
        raise MetricError("MedPerf: need one result entry or a list of them")
    found, benchmarks = [], set()
    for i, row in enumerate(rows):
        where = f"MedPerf: entry {i}"
        if not isinstance(row, Mapping) or not all(
            _is_number_of(row.get(key)) for key in ("benchmark", "model", "dataset")
        ):
            raise MetricError(f"{where}: needs benchmark, model and dataset as whole numbers")
        if row.get("approval_status") == "REJECTED":
            raise MetricError(f"{where}: rejected by its benchmark's owner; leave it out")
        benchmarks.add(row["benchmark"])
        metrics = _metrics(row.get("results"), where)
        found.append(Imported(f"dataset-{row['dataset']}", f"model-{row['model']}", metrics))
    if len(benchmarks) > 1:
        raise MetricError(f"MedPerf: {counted(len(benchmarks), 'benchmark')}; pool one at a time")
    return _each_once(found, "MedPerf")


def read_nvflare(parsed: Any) -> tuple[Imported, ...]:
    """Read NVFlare's ``cross_val_results.json``: data client -> model -> metric -> number.

    Raises
    ------
    MetricError
        If the shape differs.
    """
    if not isinstance(parsed, Mapping) or not 0 < len(parsed) <= _ENTRIES:
        raise MetricError("NVFlare: need a mapping of data clients")
    found = []
    for i, (client, models) in enumerate(parsed.items()):
        where = f"NVFlare: data client {i}"
        if not _is_name(client) or not isinstance(models, Mapping) or not models:
            raise MetricError(f"{where}: needs a plain name and a mapping of models")
        for j, (model, metrics) in enumerate(models.items()):
            if not _is_name(model):
                raise MetricError(f"{where}: model {j}: needs a plain name")
            found.append(Imported(client, model, _metrics(metrics, f"{where}: model {j}")))
    return _each_once(found, "NVFlare")


def _is_number_of(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _metrics(tree: Any, where: str) -> tuple[tuple[str, float], ...]:
    if not isinstance(tree, Mapping) or not tree:
        raise MetricError(f"{where}: no metrics; need a mapping of names to numbers")
    leaves = tuple(_leaves(tree, where, ()))
    if len({name for name, _ in leaves}) < len(leaves):
        raise MetricError(f"{where}: a metric occurs twice")
    return leaves


def _leaves(
    tree: Mapping[Any, Any], where: str, path: tuple[str, ...]
) -> Iterator[tuple[str, float]]:
    if len(path) >= _DEPTH or len(tree) > _METRICS:
        raise MetricError(f"{where}: deeper than {_DEPTH} levels or more than {_METRICS} metrics")
    for i, (name, value) in enumerate(tree.items()):
        if not _is_name(name):
            raise MetricError(f"{where}: metric {i} has no plain name of up to 64 characters")
        if isinstance(value, Mapping):
            yield from _leaves(value, where, (*path, name))
        elif isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise MetricError(
                f"{where}: metric {i} is not a finite number; texts and lists are refused"
            )
        else:
            yield "/".join((*path, name)), float(value)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of floats
        return False


def _each_once(found: list[Imported], source: str) -> tuple[Imported, ...]:
    seen: set[tuple[str, str]] = set()
    for i, entry in enumerate(found):
        if (entry.site, entry.model) in seen:
            raise MetricError(
                f"{source}: a model occurs twice at one site (entry {i}); keep the latest"
            )
        seen.add((entry.site, entry.model))
    return tuple(found)


def pool_imported(
    imported: Sequence[Imported],
    metric: str,
    sizes: Mapping[str, tuple[int, int]],
    *,
    model: str | None = None,
    kind: Literal["auc", "proportion"] = "auc",
) -> PooledMeasure:
    """Pool one metric of one model over sites by random effects on the logit scale.

    The sources contain no standard error, so it is computed from the sites' sizes: Hanley &
    McNeil's for an AUC, the binomial one for a proportion of all cases such as accuracy.

    Parameters
    ----------
    metric : name as in `Imported.metrics`.
    sizes : site -> (events, non-events); a site without sizes is excluded, and named.
    model : optional where there is only one.

    References
    ----------
    Hanley & McNeil 1982, Radiology 143:29.
    """
    models = {entry.model for entry in imported}
    if model is None and len(models) != 1:
        raise MetricError(f"{counted(len(models), 'model')}; name the one to pool")
    chosen = [e for e in imported if model is None or e.model == model]
    if not any(name == metric for e in chosen for name, _ in e.metrics):
        raise MetricError("this metric of this model is missing at every site; check both names")
    error = _hanley_mcneil if kind == "auc" else _binomial
    named = [(e.site, _estimate(e, metric, sizes.get(e.site), error)) for e in chosen]
    return pool_measure(metric, named, LOGIT, leave_out=True)


def _estimate(
    entry: Imported, metric: str, size: tuple[int, int] | None, error: Any
) -> ReleasedEstimate | None:
    value = dict(entry.metrics).get(metric)
    if value is None or size is None:
        return None
    if not 0 <= value <= 1:
        raise MetricError(f"{entry.site}: the metric is outside 0 to 1; a percentage?")
    if not all(_is_number_of(x) for x in size) or min(size) < 1:
        raise MetricError(f"{entry.site}: sizes need at least one event and one non-event")
    se, method = error(value, size[0], size[1])
    return ReleasedEstimate(value=value, se=se, method=method, n=sum(size), n_events=size[0])


def _hanley_mcneil(a: float, m: int, n: int) -> tuple[float, str]:
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = (a * (1 - a) + (m - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / (m * n)
    return math.sqrt(max(variance, 0.0)), "hanley-mcneil"


def _binomial(p: float, m: int, n: int) -> tuple[float, str]:
    return math.sqrt(p * (1 - p) / (m + n)), "binomial"
