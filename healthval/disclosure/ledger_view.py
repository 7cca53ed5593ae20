"""Readable views of the egress ledger: each entry with its time, model, number of cases and size."""

import html
import json
from collections.abc import Sequence
from pathlib import Path

from healthval.disclosure.ledger import Entry, Ledger, LedgerState
from healthval.errors import counted

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;color:#1a1a1a}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;"
    "border-bottom:1px solid #ccc;vertical-align:top}code,pre{font-size:.85em}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;max-height:30rem;overflow:auto}"
    "td.number{text-align:right}"
)
HEADINGS = ("No.", "When (UTC)", "What left", "Model", "Cases", "Bytes", "SHA-256")


def show(ledger: Ledger) -> list[str]:
    """Check the chain; return a line about it and one line for each entry."""
    entries = ledger.entries()
    lines = [_summary(ledger.verify(), entries)]
    for entry in entries:
        number, when, what, model, cases, size, mark = _cells(entry)
        about = counted(int(cases), "case") if cases else ""
        lines.append(
            f"{number:>5}  {when}  {what:<8} {model:<28} {about:>15} "
            f"{counted(int(size), 'byte'):>17}  {mark[:16]}"
        )
    return lines


def verify(ledger: Ledger) -> str:
    """Check the chain anew and describe it; raises LedgerError where it is broken."""
    return _summary(ledger.verify(), ledger.entries())


def export(ledger: Ledger, path: Path | str) -> Path:
    """Write the whole ledger as one readable HTML file, releases in full, and return its path."""
    target = Path(path)
    target.write_text(ledger_html(ledger), encoding="utf-8")
    return target


def ledger_html(ledger: Ledger) -> str:
    """Render the ledger as a page without scripts; case digests are counted, not shown."""
    entries = ledger.entries()
    summary = html.escape(_summary(ledger.verify(), entries))
    heads = "".join(f'<th scope="col">{name}</th>' for name in HEADINGS)
    rows = "\n".join(_row(entry) for entry in entries)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Egress ledger</title>'
        f"<style>{STYLE}</style></head><body><h1>Egress ledger</h1>"
        "<p>Everything that left this site, in order. Each entry carries the hash of the one before.</p>"
        f"<p>{summary}</p><table><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table>"
        "</body></html>\n"
    )


def _summary(state: LedgerState, entries: Sequence[Entry]) -> str:
    payloads = sum(entry.kind == "payload" for entry in entries)
    releases = sum(entry.kind == "release" for entry in entries)
    spent = sum(float(entry.body.get("epsilon") or 0) for entry in entries)
    text = (
        f"The chain of {counted(state.n_entries, 'entry')} is whole "
        f"(last hash {state.head[:16]}): "
        f"{counted(payloads, 'de-identified payload')}, {counted(releases, 'release')}"
    )
    if state.n_torn:
        text += f", {counted(state.n_torn, 'torn line')} set aside and never sent"
    if spent:
        text += f"; privacy budget spent on histograms: epsilon {spent:g}"
    return text + "."


def _cells(entry: Entry) -> tuple[str, str, str, str, str, str, str]:
    body = entry.body
    about = body.get("payload", body)
    model = f"{about['model']} {about['version']}" if "model" in about else ""
    cases = body["n_cases"] if entry.kind == "payload" else len(body.get("cohort", ()))
    shown = str(cases) if entry.kind != "torn" else ""
    when = entry.when[:19].replace("T", " ")
    return (str(entry.seq), when, entry.kind, model, shown, str(body["n_bytes"]), body["sha256"])


def _row(entry: Entry) -> str:
    number, when, what, model, cases, size, mark = (html.escape(cell) for cell in _cells(entry))
    if entry.kind == "release":
        whole = html.escape(json.dumps(entry.body["payload"], indent=1, ensure_ascii=False))
        what = f"<details><summary>{what}</summary><pre>{whole}</pre></details>"
    return (
        f'<tr><td class="number">{number}</td><td>{when}</td><td>{what}</td><td>{model}</td>'
        f'<td class="number">{cases}</td><td class="number">{size}</td><td><code>{mark}</code></td></tr>'
    )
