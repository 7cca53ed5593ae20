"""Rendering cost: our template and those of nbconvert, one small notebook, CPU seconds in one run.

Run: python benchmarks/report.py. The PDF is compared with the HTML it is made from.
"""

import io
import re
import statistics
import time

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


def cpu(work, given):
    work(given)
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        result = work(given)
        times.append(time.process_time() - start)
    return statistics.median(times), result


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


if __name__ == "__main__":
    main()
