"""Readable views of the egress ledger: each entry with its time, model, number of cases and size."""

import html
from collections.abc import Sequence

from healthval.disclosure.ledger import Entry, Ledger, LedgerState
from healthval.errors import counted

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;color:#1a1a1a}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;"
    "border-bottom:1px solid #ccc;vertical-align:top}code,pre{font-size:.85em}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;max-height:30rem;overflow:auto}"
    "td.number{text-align:right}td{overflow-wrap:anywhere}"
    "caption{text-align:left;font-weight:600;padding-top:1rem}"
)
HEADINGS = ("No.", "When (UTC)", "What", "Model", "Cases", "Bytes", "SHA-256")


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


def chain_table(entries: Sequence[Entry]) -> str:
    """Render the entries as a table, in order; case digests are counted, not shown."""
    heads = "".join(f'<th scope="col">{name}</th>' for name in HEADINGS)
    rows = "\n".join(_row(entry) for entry in entries)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table>"


def _summary(state: LedgerState, entries: Sequence[Entry]) -> str:
    payloads = sum(entry.kind == "payload" for entry in entries)
    releases = sum(entry.kind == "release" for entry in entries)
    spent = sum(float(entry.body.get("epsilon") or 0) for entry in entries)
    text = (
        f"The chain of {counted(state.n_entries, 'entry')} is whole "
        f"(last hash {state.head[:16]}): "
        f"{counted(payloads, 'de-identified payload')}, {counted(releases, 'release')}"
    )
    if sums := sum(entry.kind == "sum" for entry in entries):
        text += f", {counted(sums, 'message')} of secure sums"
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
    return (
        f'<tr><td class="number">{number}</td><td>{when}</td><td>{what}</td><td>{model}</td>'
        f'<td class="number">{cases}</td><td class="number">{size}</td><td><code>{mark}</code></td></tr>'
    )
