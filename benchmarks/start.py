"""Start-up: CPU of `import healthval` and `healthval --help` beside a bare interpreter."""

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

REPEATS = 9
HEALTHVAL = str(Path(sys.executable).with_name("healthval"))
COMMANDS = {
    "python -c pass": ([sys.executable, "-c", "pass"], None),
    "import click (peer floor)": ([sys.executable, "-c", "import click"], None),
    "import healthval": ([sys.executable, "-c", "import healthval"], 0.3),
    "healthval --help": ([HEALTHVAL, "--help"], 0.2),
}


def cpu(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):  # in turn, so that a busy machine affects all
        for name, (command, _) in COMMANDS.items():
            times[name].append(cpu(command))
    floor = statistics.median(times["python -c pass"])
    print(f"{'':28}{'CPU s':>8}{'x bare python':>15}  goal")
    for name, (_, goal) in COMMANDS.items():
        median = statistics.median(times[name])
        verdict = "" if goal is None else f"< {goal} s: {'met' if median < goal else 'MISSED'}"
        print(f"{name:28}{median:8.3f}{median / floor:15.1f}  {verdict}")


if __name__ == "__main__":
    main()
