"""Run the known attacks again: the test of each promise in SECURITY.md, and every test that attacks.

`make attack` prints a line for each promise and each set of attacks, and fails if one does not hold.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What is attacked -> files of tests whose author wanted to break it.
ATTACKS = {
    "DICOM: planted identifiers, hidden text, odd files": (
        "tests/deid/test_leak_probe.py",
        "tests/deid/test_streams_planted.py",
        "tests/deid/test_audit_variants.py",
        "tests/deid/test_odd_files.py",
    ),
    "tables: identifiers under other names": ("tests/deid/test_table_identifiers.py",),
    "gate: solver with known scores, differencing, planted leaks, neighbours": (
        "tests/disclosure/test_solver_attack.py",
        "tests/disclosure/test_integer_programme.py",
        "tests/disclosure/test_differencing.py",
        "tests/disclosure/test_planted_leaks.py",
        "tests/disclosure/test_neighbours.py",
        "tests/disclosure/test_known_scores.py",
    ),
    "hub: roles and tenants, floods, hostile models, kills": (
        "tests/hub/test_hub_attacks.py",
        "tests/hub/test_hub_matrix.py",
        "tests/hub/test_hub_roles.py",
        "tests/hub/test_hub_sandbox.py",
        "tests/hub/test_hub_tripwire.py",
        "tests/hub/test_hub_restart.py",
    ),
    "report: forged signatures, changed files": ("tests/report/test_report_trust.py",),
    "templates: hidden idle costs": ("tests/cloud/test_audit_attacks.py",),
}


class Outcomes:
    """Outcomes of the tests, by the node id of the function (all its parameters together)."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the outcome of each call, and of each set-up that did not pass."""
        if report.when == "call" or report.outcome != "passed":
            self.found[report.nodeid.split("[")[0]].append(report.outcome)

    def line(self, name: str, prefix: str | tuple[str, ...]) -> bool:
        """Print one line; return whether something was tried and all of it held."""
        outcomes = [one for test, of in self.found.items() if test.startswith(prefix) for one in of]
        count = {word: outcomes.count(word) for word in ("passed", "failed", "skipped")}
        is_held = not count["failed"] and count["passed"] > 0
        word = "held" if is_held else "BROKEN" if count["failed"] else "NOT TRIED"
        numbers = ", ".join(f"{n} {kind}" for kind, n in count.items() if n)
        print(f"{word:<10} {name} ({numbers or 'no test'})")
        return is_held


def promises() -> dict[str, str]:
    """Return the promises of SECURITY.md with the test of each."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \|[^|]+\| `(tests/[^`]+)` \|$", text, re.MULTILINE)
    return dict(rows)


def main() -> int:
    """Run all; 0 if everything held."""
    outcomes, tests = Outcomes(), promises()
    files = [file for group in ATTACKS.values() for file in group]
    alone = [test for test in tests.values() if test.split("::")[0] not in files]
    pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", *files, *alone], plugins=[outcomes])
    print("\nattacks")
    held = [outcomes.line(name, group) for name, group in ATTACKS.items()]
    print("\npromises of SECURITY.md")
    held += [outcomes.line(name, test) for name, test in tests.items()]
    print(f"\n{sum(held)} of {len(held)} held")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
