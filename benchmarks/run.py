"""Run the benchmarks, and write what they print, with versions and goals, to benchmarks/results.md.

Run: python benchmarks/run.py [name ...]. Without names all are run. Each is a process of its own; one that fails
is recorded with its last lines, and the others are run all the same. A peer that cannot be imported is
recorded as not installed.
"""

import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from peers import installed, peers

HERE = Path(__file__).parent
NO_BENCHMARK = {"peers", "run", "solver_attack"}
BAR = "%|"  # part of a progress bar, which is no result
OWN = ("healthval", "numpy", "scipy", "pandas")
GOAL = re.compile(
    r"^(?P<name>\S.*?)\s{2,}(?P<found>\S.*?)[ :;]+(?P<state>met|missed)$", re.IGNORECASE
)
NUMBER = r"(?P<{0}>[\d,]*\.?\d+) ?(?P<{0}_unit>ms|s|MB|kB|%|x)?"
# The first number of a line is the measured one; the sign stands before the limit.
MARGIN = re.compile(
    NUMBER.format("value") + r"(?![\w.]).*?(?P<sign>[<>])=? ?" + NUMBER.format("limit")
)
ABSENT = re.compile(r"^(?P<name>\S.*?)\s{2,}(?P<why>(?:\S+ )?(?:not installed|failed:).*)$")


@dataclass(frozen=True)
class Goal:
    """One value with its goal; `found` is both, as the benchmark printed them."""

    benchmark: str
    name: str
    found: str
    met: bool

    @property
    def margin(self) -> float | None:
        """How many times better than the goal; below 1 it is missed. None where the goal is in words."""
        found = MARGIN.match(self.found)
        units = {found["value_unit"], found["limit_unit"]} - {None, "x"} if found else set()
        if found is None or len(units) > 1:
            return None
        value, limit = (float(found[name].replace(",", "")) for name in ("value", "limit"))
        if not value or not limit:
            return None
        margin = limit / value if found["sign"] == "<" else value / limit
        # A first number that is not the one with the goal would be drawn as what it is not.
        return margin if (margin >= 1) == self.met else None


@dataclass(frozen=True)
class Run:
    """What one benchmark printed."""

    name: str
    text: str
    seconds: float
    code: int

    @property
    def goals(self) -> list[Goal]:
        """Lines that end in a goal and whether it was met."""
        found = (GOAL.match(line.strip()) for line in self.text.splitlines())
        return [
            Goal(self.name, f["name"], f["found"], f["state"].lower() == "met") for f in found if f
        ]

    @property
    def absent(self) -> list[str]:
        """Comparisons without a number, because a peer is not installed or failed, with the reason."""
        found = (ABSENT.match(line.strip()) for line in self.text.splitlines())
        return [f"{f['name']}: {f['why'].strip()}" for f in found if f]


def run(name: str) -> Run:
    """Run one benchmark and show its lines while it prints them."""
    began = time.monotonic()
    lines = []
    with subprocess.Popen(
        [sys.executable, str(HERE / f"{name}.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "TQDM_DISABLE": "1"},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if BAR not in line and (line.strip() or not lines or lines[-1].strip()):
                lines.append(line)
    return Run(name, "".join(lines), time.monotonic() - began, process.returncode)


def page(runs: list[Run], now: datetime) -> str:
    """The whole results page."""
    goals = [goal for one in runs for goal in one.goals]
    missed = sum(not goal.met for goal in goals)
    lines = [
        "# Results of `make bench`",
        "",
        f"{now:%Y-%m-%d %H:%M} UTC, Python {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} processors. Ratios are of one run on this machine.",
        "",
        "| package | version |",
        "|---|---|",
        *(f"| {name} | {_cell(installed(name))} |" for name in (*OWN, *peers())),
        "",
        f"{len(goals)} values have a goal; {missed} missed it. The whole took "
        f"{sum(one.seconds for one in runs) / 60:.0f} minutes.",
        "",
    ]
    if any(goal.margin for goal in goals):
        lines += ["![How many times better than its goal each value is](results.svg)", ""]
    lines += ["| benchmark | what | measured, goal | |", "|---|---|---|---|"]
    lines += [
        f"| {g.benchmark} | {_cell(g.name)} | {_cell(g.found)} | {'met' if g.met else '**missed**'} |"
        for g in goals
    ]
    absent = [f"{one.name}: {name}" for one in runs for name in one.absent]
    if absent:
        lines += ["", "Not measured:", ""]
        lines += [f"- {line}" for line in absent]
    for one in runs:
        state = "" if one.code == 0 else f", ended with {one.code}"
        lines += ["", f"## {one.name}", "", f"{one.seconds:.0f} s{state}.", ""]
        lines += ["```text", one.text.rstrip() or "(nothing printed)", "```"]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def plot(goals: list[Goal], path: Path) -> None:
    """A bar for each value: how many times better than its goal, on a logarithmic axis."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shown = [(f"{g.benchmark}: {g.name}", g.margin) for g in goals if g.margin]
    if not shown:
        return
    figure = Figure(figsize=(9, 0.9 + 0.22 * len(shown)), layout="constrained")
    ax = figure.subplots()
    colours = ["#0072B2" if margin >= 1 else "#D55E00" for _, margin in shown]
    # From the line of the goal to the value.
    ax.barh(range(len(shown)), [m - 1 for _, m in shown], left=1, color=colours)
    ax.set_xscale("log")
    ax.axvline(1, color="black", linewidth=0.8)
    ax.set_yticks(range(len(shown)), [name for name, _ in shown], fontsize=7)
    ax.invert_yaxis()
    ax.set_xlabel("times better than the goal (1: just met)")
    with rc_context({"svg.hashsalt": "healthval"}):
        figure.savefig(path, metadata={"Date": None})


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; write results.md and results.svg."""
    known = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NO_BENCHMARK)
    unknown = set(names) - set(known)
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return 2
    runs = []
    for name in names or known:
        print(f"== {name}", flush=True)
        runs.append(run(name))
        # after each: a run that is stopped keeps what it has measured
        plot([goal for one in runs for goal in one.goals], HERE / "results.svg")
        (HERE / "results.md").write_text(page(runs, datetime.now(UTC)), encoding="utf-8")
    print(f"written: {HERE / 'results.md'}")
    return 1 if any(one.code for one in runs) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
