"""Rendering cost: our template and those of nbconvert, one small notebook, CPU seconds in one run.

Run: python benchmarks/report.py [sites ...]. The PDF is compared with the HTML it is made from. Then the
report of a study of 15 hospitals (or of the given numbers), each with 10 subgroups: CPU seconds, warm.
"""

import io
import re
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

ROUNDS = 7


def notebook():
    """A notebook with a table and a figure with alt text, as in every evaluation."""
    from matplotlib.figure import Figure
    from nbformat import v4

    figure = Figure(figsize=(5.5, 4))
    figure.add_subplot().plot([0, 0.2, 1], [0, 0.8, 1])
    stream = io.BytesIO()
    figure.savefig(stream, format="svg")
    picture = stream.getvalue().decode()
    rows = "".join(f"<tr><th>{i}</th><td>{i / 7:.3f}</td></tr>" for i in range(40))
    outputs = [
        v4.new_output("display_data", data={"text/html": f"<table>{rows}</table>"}),
        v4.new_output(
            "display_data",
            data={"image/svg+xml": picture[picture.index("<svg") :]},
            metadata={"image/svg+xml": {"alt": "ROC curve, AUROC 0.85"}},
        ),
    ]
    cells = [
        v4.new_markdown_cell("# Report", id="a"),
        v4.new_code_cell("run()", id="b", outputs=outputs),
    ]
    return v4.new_notebook(cells=cells)


def by_nbconvert(template):
    from nbconvert import HTMLExporter

    return lambda nb: HTMLExporter(template_name=template).from_notebook_node(nb)[0]


def outside(html):
    """Count the addresses that a browser would fetch when it opens the page."""
    bare = re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    return len(re.findall(r"(?:src=|@import |from |url\()[\"']?https?://", bare))


def cpu(work, given, rounds=ROUNDS):
    work(given)
    times = []
    for _ in range(rounds):
        start = time.process_time()
        result = work(given)
        times.append(time.process_time() - start)
    return statistics.median(times), result


def released(i, folder):
    """The release of one simulated hospital with five variables of two levels."""
    from healthval.disclosure import Ledger, load_policy, release
    from healthval.metrics import SiteResult, evaluate

    rng = np.random.default_rng(i)
    n = int(rng.integers(400, 1500))
    reference = rng.random(n) < 0.3
    score = 1 / (1 + np.exp(-rng.normal(np.where(reference, 0.6, -1.2), 1.2)))
    groups = {f"group_{v}": np.where(rng.random(n) < 0.5, "yes", "no") for v in range(5)}
    result = SiteResult(
        model="node-risk",
        version="1.0",
        model_digest="a" * 64,
        plan_hash="b" * 64,
        evaluation=evaluate(reference, score, thresholds=(0.3,), groups=groups),
        flow=(("rows_read", n + 60), ("scored", n)),
        dates="removed",
        cohort=frozenset(f"{i:04x}{j:028x}" for j in range(n)),
    )
    return release(result, load_policy("cms"), Ledger(folder / f"{i}.jsonl")).submission


def study_report(sites):
    """Build the report of these releases."""
    from healthval.aggregate import pool
    from healthval.contracts.model import ModelCard
    from healthval.report import Criterion, PlanFacts, build

    card = ModelCard(
        name="node-risk",
        version="1.0",
        title="Node risk",
        developer="Example",
        intended_use="Example.",
        target_condition="sepsis",
    )
    plan = PlanFacts(
        title="Plan",
        target_condition="sepsis",
        reference_standard="Review",
        thresholds=(0.3,),
        criteria=(Criterion("auroc", at_least=0.8),),
        plan_hash="b" * 64,
    )
    study = pool(tuple(sites.items()))
    return lambda _: build(study, sites, card, plan)


def network(k, known):
    """Releases of k hospitals; beyond the known ones they are the same with another missing count."""
    return {
        f"Hospital {i + 1:02d}": known[i % len(known)].model_copy(
            update={"n_missing_reference": 20 + i}
        )
        for i in range(k)
    }


def studies(sizes):
    from healthval.report import render_html, render_pdf, why_no_pdf

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = [released(i, Path(folder)) for i in range(15)]
    for k in sizes:
        build, page = study_report(network(k, known)), None
        html, page = cpu(lambda _, b=build: render_html(b(None).notebook()), None, rounds=3)
        print(f"{k} sites: HTML {html:.1f} s, {len(page.encode()) / 1000:.0f} kB", end="")
        if why_no_pdf() is None:
            pdf, _ = cpu(render_pdf, page, rounds=3)
            print(f", PDF {pdf:.1f} s more, {html + pdf:.1f} s in all", end="")
        print()


def main():
    from healthval.report import render_html, render_pdf, why_no_pdf

    nb = notebook()
    base, ours = cpu(render_html, nb)
    print(f"{'template':<12}{'CPU':>8}{'bytes':>8}{'fetched':>9}   (ratios to ours)")
    print(f"{'healthval':<12}{1:>8.2f}{1:>8.2f}{outside(ours):>9}")
    smallest = True
    for template in ("lab", "classic"):
        seconds, html = cpu(by_nbconvert(template), nb)
        smallest &= len(html) > 3 * len(ours)
        print(
            f"{template:<12}{seconds / base:>8.2f}{len(html) / len(ours):>8.2f}{outside(html):>9}"
        )
    print(f"goal: at most a third of the bytes of either: {'met' if smallest else 'missed'}")
    print(f"goal: nothing fetched: {'met' if not outside(ours) else 'missed'}")
    if why_no_pdf() is None:
        seconds, pdf = cpu(render_pdf, ours)
        print(f"{'PDF':<12}{seconds / base:>8.2f}{len(pdf) / len(ours):>8.2f}")
        print(f"goal: equal bytes again: {'met' if render_pdf(ours) == pdf else 'missed'}")
    studies([int(k) for k in sys.argv[1:]] or [15])


if __name__ == "__main__":
    main()
