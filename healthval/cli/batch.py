"""Commands `batch`, many runs of a notebook from one file, and `kernel`, for JupyterLab."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import click

from healthval.cli.types import FILE


@click.command()
@click.argument("matrix", type=FILE)
@click.option("--retry-failed", is_flag=True, help="Execute failed runs again.")
@click.option("--force", is_flag=True, help="Execute every run again, complete ones too.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes on this machine.")
@click.option("--scheduler", help="Address of a Dask scheduler, tcp://... or tls://...")
@click.option(
    "--engine",
    type=click.Choice(["healthval-fork", "nbclient"]),
    default="healthval-fork",
    show_default=True,
    help="Warm forked process, or a fresh kernel for each run.",
)
@click.option("--pdf", is_flag=True, help="Print the page of each run too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each event.")
def batch(matrix: Path, as_json: bool, **options: Any) -> None:
    """Execute a notebook with many parameters.

    MATRIX is a YAML file with the keys notebook, parameters, matrix, include, exclude, output, workers,
    timeout, calls, pdf and scheduler. Complete runs are skipped, so that an interrupted batch can be started
    again. The exit code is 0 if all runs completed, 1 if some failed, 2 if the file is not valid.
    """
    from healthval.runner.batch.batch import execute_batch
    from healthval.runner.batch.matrix import read_matrix
    from healthval.runner.batch.overview import write_overview

    end_in_order()
    given = {n: options[n] for n in ("workers", "scheduler", "pdf") if options[n]}
    described = read_matrix(matrix).model_copy(update=given)
    again = "all" if options["force"] else "failed" if options["retry_failed"] else ""
    with _Progress(as_json) as progress:
        summary = execute_batch(described, progress.report, again=again, engine=options["engine"])
    page = write_overview(summary, described.output)
    progress.close(summary, page)
    sys.exit(1 if summary.failed else 0)


def end_in_order() -> None:
    """End at SIGTERM as at an error, so that runs and all that they started end too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


class _Progress:
    """A bar on a terminal, else a line for each run, or events as JSON."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._counts = {"completed": 0, "failed": 0, "skipped": 0}
        self._bar: Any = None

    def __enter__(self) -> "_Progress":
        if not self._json and sys.stderr.isatty():
            from healthval.progress import tqdm

            self._bar = tqdm(unit="run", file=sys.stderr)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def report(self, run: Any, outcome: Any, known: bool) -> None:
        """Count and show one run."""
        self._counts["skipped" if known else outcome.status] += 1
        if self._json:
            event = {"run": run.id, "status": outcome.status, "known": known}
            click.echo(json.dumps(event | {"seconds": outcome.seconds, "error": outcome.error}))
        elif self._bar is not None:
            self._bar.set_postfix(self._counts, refresh=False)
            self._bar.update()
        elif not known:
            click.echo(f"{outcome.status:<9} {run.id} {outcome.seconds:8.1f} s")

    def close(self, summary: Any, page: Path) -> None:
        """Print the counts, and a table of the runs that failed."""
        if self._json:
            click.echo(json.dumps({"finished": self._counts, "overview": page.name}))
            return
        counts = ", ".join(f"{n} {name}" for name, n in self._counts.items())
        click.echo(f"finished: {counts}; {page}")
        for run, outcome in summary.failed:
            varied = ", ".join(f"{name}={json.dumps(v)}" for name, v in run.varied.items())
            click.echo(f"failed    {run.id}  {varied}\n          {outcome.error}", err=True)


@click.group()
def kernel() -> None:
    """Add or remove the kernel of JupyterLab."""


@kernel.command()
@click.option("--user", is_flag=True, help="For every Jupyter of this user, in any environment.")
def install(user: bool) -> None:
    """Install the kernel, in place of an earlier one."""
    from healthval.runner.kernelspec import install_kernel

    click.echo(f"installed {install_kernel(user=user)}")


@kernel.command()
def remove() -> None:
    """Remove the kernel wherever Jupyter finds it."""
    from healthval.runner.kernelspec import remove_kernel

    for folder in remove_kernel():
        click.echo(f"removed {folder}")
