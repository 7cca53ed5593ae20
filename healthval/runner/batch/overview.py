"""The page of a batch: every run with its varied parameters, how it ended, and links."""

import json
from pathlib import Path

from markupsafe import Markup

from healthval.errors import counted
from healthval.files import write_durably
from healthval.runner.batch.batch import Summary
from healthval.runner.batch.matrix import Run
from healthval.runner.batch.one_run import COPY, PAGE, PRINT, Outcome

OVERVIEW = "overview.html"
_STYLE = Markup(
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem;max-width:75rem;color-scheme:light dark}"
    "table{border-collapse:collapse}th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}.wide{overflow-x:auto}"
)


def write_overview(summary: Summary, folder: Path) -> Path:
    """Write the page into the folder of the batch and return its path."""
    done = sum(outcome.status == "completed" for outcome in summary.outcomes.values())
    names = list(summary.runs[0].varied)
    head = Markup("").join(Markup("<th scope='col'>{}</th>").format(name) for name in names)
    rows = Markup("").join(
        _row(run, summary.outcomes[run.id], names, folder)
        for run in summary.runs
        if run.id in summary.outcomes
    )
    page = Markup(
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'><title>Batch</title>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; "
        "style-src 'unsafe-inline'\"><style>{}</style></head><body><h1>Batch</h1>"
        "<p>{}: {} completed, {} failed.</p><div class='wide' tabindex='0'><table>"
        "<thead><tr><th scope='col'>Run</th>{}<th scope='col'>Status</th>"
        "<th scope='col'>Seconds</th><th scope='col'>Files</th></tr></thead>"
        "<tbody>{}</tbody></table></div></body></html>"
    ).format(_STYLE, counted(len(summary.runs), "run"), done, len(summary.failed), head, rows)
    write_durably(folder / OVERVIEW, page.encode())
    return folder / OVERVIEW


def _row(run: Run, outcome: Outcome, names: list[str], folder: Path) -> Markup:
    cells = Markup("").join(
        Markup("<td>{}</td>").format(json.dumps(run.varied[name], ensure_ascii=False))
        for name in names
    )
    state = outcome.status if not outcome.error else f"{outcome.status}: {outcome.error}"
    links = Markup(", ").join(
        Markup("<a href='{}'>{}</a>").format(path.relative_to(folder.absolute()).as_posix(), name)
        for name, file in (("page", PAGE), ("PDF", PRINT), ("notebook", COPY))
        for path in [run.folder / file]
        if path.exists()
    )
    return Markup(
        "<tr><th scope='row'><code>{}</code></th>{}<td>{}</td><td class='n'>{:.1f}</td><td>{}</td></tr>"
    ).format(run.id, cells, state, outcome.seconds, links)
