"""`healthval batch`: refused before a kernel starts, resumed after any end, isolated, on Dask too."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import nbformat
import pytest
import yaml
from dask_cluster import certificate, cluster
from nbformat.v4 import new_code_cell, new_notebook

from healthval.errors import RunFailed, UsageError
from healthval.report.render import why_no_pdf
from healthval.runner.batch.batch import execute_batch
from healthval.runner.batch.matrix import Matrix, read_matrix, runs_of

LONG = 1800  # a bound for what should happen soon, on a machine that may be busy
PARAMETERS = 'n: int = 1  # number\nname: str = "a"\npath_file: str = ""'
PATIENT = "Zebulon Quartermaine"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def notebook(folder, *sources, name="own.ipynb"):
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}, id="parameters")]
    cells += [new_code_cell(source, id=f"c{i}") for i, source in enumerate(sources)]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": spec}), folder / name)


def matrix(folder, **content):
    content = {"notebook": "own.ipynb", "output": "out"} | content
    (folder / "matrix.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return content


def command(folder, *options, env=None):
    return subprocess.Popen(
        [sys.executable, "-m", "healthval", "batch", "matrix.yaml", *options],
        cwd=folder,
        env=os.environ | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def batch(folder, *options):
    """Run the command to its end; its exit code, its events by run, and all that it printed."""
    process = command(folder, "--json", *options)
    out, err = process.communicate(timeout=LONG)
    events = [json.loads(line) for line in out.splitlines()]
    return process.returncode, [e for e in events if "run" in e], out + err


def statuses(events):
    return sorted((event["status"], event["known"]) for event in events)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameters": {"nn": 3}}, "no parameter 'nn' .did you mean 'n'"),
        ({"parameters": {"n": PATIENT}}, "n: Input should be a valid integer"),
        ({"matrix": {"n": []}}, "matrix"),
        ({"matrix": {"n": [1, 1]}}, "1 run of the batch repeated"),
        ({"matrix": {"n": [1]}, "exclude": [{"n": 1}]}, "has no run"),
        ({"notebooks": "x"}, "notebooks"),
        ({"notebook": "gone.ipynb"}, "no notebook of this name"),
        ({"parameters": {"n": 1}, "scheduler": "http://127.0.0.1"}, "scheduler"),
        ({"notebook": "evaluate", "parameters": {"hub_url": "https://h", "plan": "gone.yaml", "table": "", "site_label": "x", "site_folder": "s"}}, "no site folder s; looked in"),
        ({"timeout": 0}, "timeout"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_before_a_kernel_starts(folder, change, message):
    notebook(folder, "n")
    matrix(folder, **change)
    with pytest.raises(UsageError, match=message) as refused:
        runs_of(read_matrix(folder / "matrix.yaml"))
    assert PATIENT not in str(refused.value)
    assert not (folder / "out").exists()


def test_a_secret_is_no_parameter(folder):
    notebook(folder, "n", name="own.ipynb")
    source = nbformat.read("own.ipynb", 4)
    source.cells[0].source = 'api_token: str = ""'
    nbformat.write(source, "own.ipynb")
    with pytest.raises(UsageError, match="'api_token' would write a secret") as refused:
        runs_of(Matrix(notebook="own.ipynb", parameters={"api_token": "sesame"}))
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    "value",
    [
        {"db": {"password": "sesame"}},
        [{"api_key": "sesame"}],
        "postgresql://me:sesame@db/visits",
        ["https://me:sesame@host/x"],
    ],
)
def test_a_secret_inside_a_value_or_an_address_is_no_parameter(folder, value):
    notebook(folder, "n")
    source = nbformat.read("own.ipynb", 4)
    source.cells[0].source = "config = None"
    nbformat.write(source, "own.ipynb")
    with pytest.raises(UsageError, match="'config' would write a secret") as refused:
        runs_of(Matrix(notebook="own.ipynb", parameters={"config": value}))
    assert "sesame" not in str(refused.value)
    kept = {"config": "postgresql://db/visits"}
    assert len(runs_of(Matrix(notebook="own.ipynb", parameters=kept))) == 1


def test_runs_are_all_combinations_without_the_excluded_and_with_the_included(folder):
    notebook(folder, "n")
    made = Matrix(
        notebook="own.ipynb",
        parameters={"name": "x"},
        matrix={"n": [1, 2, 3], "path_file": ["", "own.ipynb"]},
        exclude=[{"n": 2}, {"n": 3, "path_file": ""}],
        include=[{"n": 9, "name": "y"}],
    )
    runs = runs_of(made)
    seen = [(r.parameters["n"], r.parameters.get("path_file"), r.parameters["name"]) for r in runs]
    assert seen == [(1, "", "x"), (1, "own.ipynb", "x"), (3, "own.ipynb", "x"), (9, None, "y")]
    assert runs_of(made) == runs
    before = {run.id for run in runs}
    notebook(folder, "n + 1")
    assert not before & {run.id for run in runs_of(made)}, "another notebook is another run"


def test_a_changed_data_file_is_another_run(folder):
    notebook(folder, "n")
    made = Matrix(notebook="own.ipynb", parameters={"path_file": "data.csv"})
    ids = set()
    for text in ("a", "b"):
        (folder / "data.csv").write_text(text, encoding="utf-8")
        ids |= {run.id for run in runs_of(made)}
    assert len(ids) == 2


def test_a_batch_is_resumed_and_failed_runs_on_request_only(folder):
    notebook(
        folder,
        f"if n == 2 and not __import__('os').path.exists('mended'): raise ValueError('{PATIENT}')\nn * 10",
    )
    matrix(folder, matrix={"n": [1, 2, 3]}, workers=2)
    code, events, printed = batch(folder)
    assert (code, statuses(events)) == (
        1,
        [("completed", False), ("completed", False), ("failed", False)],
    )
    failed = next(e for e in events if e["status"] == "failed")
    assert failed["error"] == "cell 3 failed with ValueError"
    assert PATIENT not in printed
    copy = folder / "out" / "identifiable" / failed["run"] / "notebook.ipynb"
    assert PATIENT in copy.read_text(encoding="utf-8")
    assert str(folder) not in copy.read_text(encoding="utf-8")
    page = (folder / "out" / "overview.html").read_text(encoding="utf-8")
    assert "3 runs: 2 completed, 1 failed" in page
    assert PATIENT not in page

    code, events, _ = batch(folder)
    assert (code, statuses(events)) == (
        1,
        [("completed", True), ("completed", True), ("failed", True)],
    )
    (folder / "mended").touch()
    code, events, _ = batch(folder, "--retry-failed")
    assert (code, statuses(events)) == (
        0,
        [("completed", False), ("completed", True), ("completed", True)],
    )
    (folder / "out" / "identifiable" / events[0]["run"] / "notebook.ipynb").write_text(
        "cut", encoding="utf-8"
    )
    assert statuses(batch(folder)[1]) == [
        ("completed", False),
        ("completed", True),
        ("completed", True),
    ]
    assert statuses(batch(folder, "--force")[1]) == [("completed", False)] * 3


def test_a_killed_batch_is_completed_by_the_next_and_nothing_is_doubled(folder):
    notebook(folder, "import time\nopen(f'ran-{n}', 'a').write('x')\ntime.sleep(0.3)\nn")
    matrix(folder, matrix={"n": list(range(8))}, workers=2)
    for killed in (1, 3):
        process = command(folder, "--json")
        for _ in range(killed):
            process.stdout.readline()
        process.kill()
        process.communicate(timeout=LONG)
    code, events, _ = batch(folder)
    assert code == 0
    assert len({event["run"] for event in events}) == 8
    kept = [path for path in (folder / "out" / "identifiable").iterdir() if path.is_dir()]
    assert sorted(path.name for path in kept) == sorted({event["run"] for event in events})
    assert sum(known for _, known in statuses(events)) >= 3


def errors_of(events):
    return sorted(event["error"].split(";")[0] for event in events)


def test_runs_that_end_their_process_fail_alone(folder):
    notebook(folder, "import os\nif n == 2: os._exit(1)\nif n == 3: os.kill(os.getppid(), 9)\nn")
    matrix(folder, matrix={"n": [0, 1, 2, 3, 4]}, workers=2)
    code, events, _ = batch(folder)
    errors = errors_of(events)
    assert code == 1
    assert errors[:3] == ["", "", ""]
    parts = ("notebook's process ended", "worker process ended")
    assert all(part in error for part, error in zip(parts, errors[3:], strict=True))


@pytest.mark.skipif(os.name != "posix", reason="the size of files is limited by the shell")
def test_a_run_whose_files_cannot_be_written_fails_alone_and_leaves_none(folder):
    """As on a full disk: files may have 200 kB."""
    notebook(folder, "print('x' * (400_000 if n == 1 else 10))")
    matrix(folder, matrix={"n": [1, 2]})
    words = f"ulimit -f 400; exec {sys.executable} -m healthval batch matrix.yaml --json"
    done = subprocess.run(
        ["/bin/sh", "-c", words], cwd=folder, capture_output=True, text=True, check=False
    )
    full, fine = (json.loads(line) for line in done.stdout.splitlines()[:2])
    assert done.returncode == 1
    assert "files of the run could not be written (File too large)" in full["error"]
    assert fine["status"] == "completed"
    assert [path.name for path in (folder / "out" / "identifiable").iterdir() if path.is_dir()] == [
        fine["run"]
    ]


def test_a_worker_that_a_notebook_stops_is_replaced(folder, monkeypatch):
    """The worker cannot enforce the run's time-out itself."""
    monkeypatch.setattr("healthval.runner.batch.worker.PATIENCE_SECONDS", 3.0)
    source = "import os, signal\nif n == 1: os.kill(os.getppid(), signal.SIGSTOP)\nn"
    notebook(folder, source)
    content = matrix(folder, matrix={"n": [1, 2]}, timeout=20.0)
    ended = {}
    execute_batch(
        Matrix.model_validate(content),
        lambda run, outcome, _: ended.update({run.parameters["n"]: outcome}),
    )
    assert ended[2].status == "completed"
    assert "was stuck after the run's time-out" in ended[1].error


def test_a_run_that_takes_too_long_ends_and_the_next_one_starts(folder):
    notebook(folder, "import time\ntime.sleep(10_000)")
    matrix(folder, matrix={"n": [0, 1]}, timeout=3.0)
    code, events, _ = batch(folder)
    errors = errors_of(events)
    assert code == 1
    assert len(errors) == 2
    assert all("run took longer" in error for error in errors)


def test_two_batches_never_write_to_one_folder(folder):
    notebook(folder, "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)")
    matrix(folder, matrix={"n": [1]})
    first = command(folder)
    while not (folder / "out" / "identifiable").exists():
        assert first.poll() is None
        time.sleep(0.05)
    second = command(folder)
    _, err = second.communicate(timeout=LONG)
    assert (second.returncode, "another batch" in err) == (2, True)
    (folder / "go").touch()
    first.communicate(timeout=LONG)
    assert first.returncode == 0


CALL = """
import json, time
from healthval.call_limit import place_at
with place_at("https://hub.example model 1"):
    begin = time.time()
    time.sleep(0.4)
    open(f"call-{n}", "w").write(json.dumps([begin, time.time()]))
"""


def most_at_once(folder):
    calls = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("call-*")]
    return max(sum(a <= begin < b for a, b in calls) for begin, _ in calls), len(calls)


@pytest.mark.parametrize(("limit", "seen"), [(1, {1}), (2, {2}), (None, {2, 3, 4})])
def test_calls_of_an_endpoint_are_limited_over_all_workers(folder, limit, seen):
    notebook(folder, CALL)
    matrix(folder, matrix={"n": list(range(8))}, workers=4, calls=limit)
    assert batch(folder)[0] == 0
    most, calls = most_at_once(folder)
    assert calls == 8
    assert most in seen
    assert not (folder / "out" / "identifiable" / ".calls").exists()


LEAVE = """
import os, subprocess, sys, time
nested = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)  # left-{0}']); time.sleep(600)  # left-{0}"
subprocess.Popen([sys.executable, "-c", nested.format(os.path.basename(os.getcwd()))], start_new_session=True)
time.sleep(1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are listed in /proc")
@pytest.mark.parametrize("engine", ["healthval-fork", "nbclient"])
@pytest.mark.parametrize("then", ["time.sleep(600)", "os.kill(os.getppid(), 9)", "n"])
def test_no_process_of_a_notebook_outlives_its_run(folder, engine, then):
    """Grandchildren in sessions of their own: after a time-out, a killed worker, and a success."""
    notebook(folder, LEAVE + then)
    limit = {"timeout": 8.0} if then.startswith("time") else {}
    matrix(folder, parameters={"n": 1}, **limit)
    code, events, _ = batch(folder, "--engine", engine)
    assert code == (0 if then == "n" else 1), events
    if then.startswith("time"):
        assert "took longer" in events[0]["error"]  # the run, or with nbclient its cell
    left = left_running(f"left-{folder.name}")
    for process in left:
        os.kill(int(process), signal.SIGKILL)
    assert left == []


@pytest.mark.skipif(sys.platform != "linux", reason="processes are listed in /proc")
def test_a_batch_that_is_terminated_ends_its_runs_and_can_be_resumed(folder):
    notebook(
        folder, LEAVE + "open('left', 'w').close()\nif not os.path.exists('go'): time.sleep(600)"
    )
    matrix(folder, parameters={"n": 1})
    process = command(folder, "--json")
    while not (folder / "left").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    process.communicate(timeout=LONG)
    assert process.returncode == 128 + signal.SIGTERM
    left = left_running(f"left-{folder.name}")
    for one in left:
        os.kill(int(one), signal.SIGKILL)
    assert left == []
    (folder / "go").touch()
    assert batch(folder)[0] == 0


def test_the_name_of_an_error_is_no_way_out_for_a_value(folder):
    notebook(folder, f"raise type('{PATIENT}', (Exception,), {{}})('x')")
    matrix(folder, parameters={"n": 1})
    code, events, printed = batch(folder)
    assert (code, events[0]["error"]) == (1, "cell 3 failed with an error of its own")
    assert PATIENT not in printed


def test_the_message_of_an_error_is_shown_if_our_own_code_raised_it(folder):
    """A notebook's own class may have the name of one of ours, and a notebook may raise ours."""
    notebook(
        folder,
        "import healthval\nfrom healthval.errors import CohortError\n"
        "if n == 1: healthval.load_plan('gone.yaml')\n"
        f"if n == 2: raise type('CohortError', (Exception,), {{}})('{PATIENT}')\n"
        f"if n == 3: raise CohortError('{PATIENT}')\n"
        f"raise CohortError('{PATIENT}' + chr(10) + 'File /healthval/x.py')",
    )
    matrix(folder, matrix={"n": [1, 2, 3, 4]})
    code, events, printed = batch(folder)
    overview = (folder / "out" / "overview.html").read_text(encoding="utf-8")
    assert code == 1
    assert "the plan cannot be read: gone.yaml" in events[0]["error"]
    assert {e["error"] for e in events[1:]} == {"cell 3 failed with CohortError"}
    assert PATIENT not in printed + overview
    done = subprocess.run(
        [sys.executable, "-m", "healthval", "run", "own.ipynb", "-p", "n", "4"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == RunFailed.exit_code
    assert "failed with CohortError; the error's text may quote" in done.stderr
    assert PATIENT not in done.stdout + done.stderr


def left_running(mark):
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in place.read_bytes():
                found.append(place.parent.name)
    return found


def test_a_dask_cluster_gives_the_same_bytes_and_survives_a_killed_worker(folder):
    notebook(
        folder,
        "import time\nimport numpy as np\ntime.sleep(0.2)\nnp.random.default_rng(n).normal(size=3)",
    )
    content = matrix(folder, matrix={"n": list(range(6))}, parameters={"name": PATIENT})
    code, _, _ = batch(folder)
    assert code == 0
    here = outputs(folder / "out")
    matrix(folder, **(content | {"output": "far"}))
    with cluster(folder) as found:
        process = command(folder, "--json", "--scheduler", found.address)
        process.stdout.readline()
        found.kill(found.workers[0])
        process.communicate(timeout=LONG)
        assert process.returncode == 0
        seen = found.seen()
    assert outputs(folder / "far") == here
    assert all(f"healthval-{name}" in seen for name in here)
    assert PATIENT not in seen


@pytest.mark.skipif(why_no_pdf() is not None, reason="WeasyPrint or Pango is not installed")
def test_the_warm_process_prints_the_page_too(folder):
    """Each run still has a process of its own: the printer starts no thread in the worker."""
    notebook(folder, "import os\nassert os.getsid(0) == os.getpid()\nprint('Grüße', n)")
    content = matrix(folder, matrix={"n": [1, 2, 3]})
    assert statuses(batch(folder)[1]) == [("completed", False)] * 3
    assert not list((folder / "out").glob("*/*/notebook.pdf"))
    assert statuses(batch(folder, "--pdf")[1]) == [("completed", False)] * 3
    assert statuses(batch(folder, "--pdf")[1]) == [("completed", True)] * 3
    assert statuses(batch(folder)[1]) == [("completed", True)] * 3
    matrix(folder, **(content | {"output": "again", "pdf": True, "workers": 2}))
    assert batch(folder)[0] == 0
    first, again = (
        {path.parent.name: path.read_bytes() for path in (folder / name).glob("*/*/notebook.pdf")}
        for name in ("out", "again")
    )
    assert len(first) == 3
    assert again == first
    assert all(data.startswith(b"%PDF-") for data in first.values())
    overview = (folder / "out" / "overview.html").read_text(encoding="utf-8")
    assert overview.count("/notebook.pdf'>PDF</a>") == 3


def test_a_page_that_cannot_be_printed_fails_its_run_alone(folder):
    notebook(folder, "print(chr(0x1F9E0) if n == 2 else 'plain')")
    matrix(folder, matrix={"n": [1, 2]}, pdf=True)
    code, events, _ = batch(folder)
    assert code == 1
    assert [event["status"] for event in events] == ["completed", "failed"]
    assert events[1]["error"]


def test_a_cluster_with_certificates_admits_those_who_have_them(folder):
    """Over tls:// the same bytes; without the certificate neither the command nor plain TCP gets in."""
    pytest.importorskip("distributed")
    import dask

    notebook(folder, "n * 7")
    content = matrix(folder, matrix={"n": [1, 2]})
    assert batch(folder)[0] == 0
    here = outputs(folder / "out")
    matrix(folder, **(content | {"output": "far"}))
    (folder / "keys").mkdir()
    config = certificate(folder / "keys")
    with dask.config.set(config), cluster(folder, workers=1, tls=config) as found:
        assert found.address.startswith("tls://")
        given = {"DASK_CONFIG": str(folder / "dask.yaml")}
        process = command(folder, "--json", "--scheduler", found.address, env=given)
        _, err = process.communicate(timeout=LONG)
        assert process.returncode == 0, err
        assert outputs(folder / "far") == here
        plain = found.address.replace("tls:", "tcp:")
        reasons = {found.address: "tls:// needs certificates", plain: "no Dask scheduler responds"}
        for address, reason in reasons.items():
            stranger = command(folder, "--force", "--scheduler", address)
            _, err = stranger.communicate(timeout=LONG)
            assert stranger.returncode == 2
            assert reason in err
            assert "Traceback" not in err


SLURM = """#!/bin/sh
# In place of srun: one task here.
echo "$@" >> asked
exec "$@"
"""


def test_the_documented_job_for_slurm_runs_scheduler_workers_and_batch(folder):
    """As the queue would run it, with `srun` and `hostname` of this test."""
    pytest.importorskip("distributed")
    text = (Path(__file__).parents[2] / "docs" / "batch.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```sh\n(#!/bin/sh\n#SBATCH.*?)```", text, re.DOTALL)
    (folder / "job.sh").write_text(script, encoding="utf-8")
    (folder / "bin").mkdir()
    programs = {
        "srun": SLURM,
        "hostname": "#!/bin/sh\necho 127.0.0.1\n",
        "healthval": f'#!/bin/sh\nexec {sys.executable} -m healthval "$@"\n',
        "dask": f'#!/bin/sh\npart=$1; shift\nexec {sys.executable} -m distributed.cli.dask_$part --host 127.0.0.1 "$@"\n',
    }
    for name, content in programs.items():
        (folder / "bin" / name).write_text(content, encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)
    notebook(folder, "n * 7")
    matrix(folder, matrix={"n": [1, 2]})
    given = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    with (folder / "job.log").open("wb") as log:  # no pipe, which a process that is left would hold
        done = subprocess.run(
            ["sh", "job.sh"],
            cwd=folder,
            env=given,
            stdout=log,
            stderr=log,
            timeout=LONG,
            check=False,
        )
    assert done.returncode == 0, (folder / "job.log").read_text(encoding="utf-8")
    assert len(outputs(folder / "out")) == 2
    # The scheduler deletes its file at its end.
    (address,) = set(
        re.findall(r"tcp://[\d.]+:\d+", (folder / "asked").read_text(encoding="utf-8"))
    )
    end = time.monotonic() + LONG
    while left := left_running("scheduler.json") + left_running(address):  # they end on request
        assert time.monotonic() < end, left
        time.sleep(0.05)


def test_a_killed_scheduler_is_an_error_and_the_next_batch_completes(folder):
    notebook(folder, "open(f'ran-{n}', 'a').write('x')\nn * 7")
    content = matrix(folder, matrix={"n": list(range(8))}, output="whole")
    assert batch(folder)[0] == 0
    matrix(folder, **(content | {"output": "out"}))
    with cluster(folder, workers=1) as found:
        process = command(folder, "--scheduler", found.address)
        process.stdout.readline()
        found.kill(found.scheduler)
        _, err = process.communicate(timeout=LONG)
    assert process.returncode == 2
    assert "the Dask scheduler ended during the work" in err
    assert "Traceback" not in err
    code, events, _ = batch(folder)
    assert code == 0
    assert len(events) == 8
    assert any(known for _, known in statuses(events))
    assert outputs(folder / "out") == outputs(folder / "whole")


def scheduled_commands():
    """Commands of the documented crontab line and of the step of the GitHub workflow."""
    text = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"```\n((?:[\d*]+ +){5}.*)\n```", text)
    assert "%" not in line, "a line break in a crontab"
    cron = line.split(maxsplit=5)
    assert len(cron) == 6
    (flow,) = [
        yaml.safe_load(body)
        for body in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
        if "runs-on" in body
    ]
    assert flow[True]["schedule"][0]["cron"] == " ".join(cron[:5])  # YAML 1.1 reads "on" as true
    (step,) = flow["jobs"]["watch"]["steps"]
    return cron[5], f"cd {step['working-directory']} && {step['run']}"


class Task:
    """Stand-in for Airflow's BashOperator: the command of a task, and of those after it."""

    def __init__(self, *, task_id, cwd, bash_command):
        self.command = f"cd {cwd} && {bash_command.strip()}"

    def __rshift__(self, other):
        other.command = f"{self.command} && {other.command}"


def airflow_commands(monkeypatch):
    """Command of the last task of the documented DAG, after those before it."""
    text = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    dag = lambda *_, **given: contextlib.nullcontext(given["schedule"])  # noqa: E731
    for name in ("airflow", "airflow.providers", "airflow.providers.standard"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "airflow.sdk", types.SimpleNamespace(DAG=dag))
    bash = types.SimpleNamespace(BashOperator=Task)
    operators = types.ModuleType("airflow.providers.standard.operators")
    monkeypatch.setitem(sys.modules, operators.__name__, operators)
    monkeypatch.setitem(sys.modules, f"{operators.__name__}.bash", bash)
    names = {}
    exec(compile(block, "docs/monitoring.md", "exec"), names)
    return names["watch"].command


def test_the_documented_schedules_run_in_the_environment_of_cron(folder, monkeypatch):
    """A new extract is a new run, and an unchanged one is skipped."""
    notebook(folder, "len(open(path_file).read())")
    content = {"notebook": "own.ipynb", "matrix": {"path_file": ["extract.csv"]}}
    (folder / "watch.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (folder / "extract.sh").write_text("#!/bin/sh\ncp next.csv extract.csv\n", encoding="utf-8")
    (folder / "extract.sh").chmod(0o755)
    (folder / "bin").mkdir()
    program = folder / "bin" / "healthval"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m healthval "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    root = Path(__file__).parents[2]
    given = {
        "PATH": f"{program.parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "PYTHONPATH": str(root),
    }
    said = []
    cron, github = (one.replace("/srv/study", str(folder)) for one in scheduled_commands())
    airflow = airflow_commands(monkeypatch).replace("/srv/study", str(folder))
    for extract, script in (("a", cron), ("a", github), ("a", airflow), ("b", cron)):
        (folder / "next.csv").write_text(extract, encoding="utf-8")
        done = subprocess.run(
            ["/bin/sh", "-c", script], env=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert json.loads(said[1].splitlines()[0])["known"]
    assert json.loads(said[2].splitlines()[0])["known"]
    log = (folder / "watch.log").read_text(encoding="utf-8")
    assert log.count("completed ") == 2
    assert len(outputs(folder / "runs")) == 2


def outputs(place):
    found = {}
    for copy in (place / "identifiable").glob("*/notebook.ipynb"):
        cells = nbformat.read(copy, 4).cells
        found[copy.parent.name] = [(c.id, c.source, c.get("outputs")) for c in cells]
        page = copy.with_name("notebook.html").read_bytes()
        found[copy.parent.name].append(page)
    return found


def test_no_scheduler_is_a_usage_error(folder, monkeypatch):
    monkeypatch.setattr("healthval.cluster.CONNECT_SECONDS", 1)  # nobody will answer
    notebook(folder, "n")
    matrix(folder, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(UsageError, match="no Dask scheduler responds") as refused:
        execute_batch(read_matrix(folder / "matrix.yaml"), lambda *_: None)
    assert refused.value.exit_code == 2


def test_the_demo_page_can_be_opened_from_the_overview(folder):
    notebook(folder, "n")
    matrix(folder, matrix={"n": [1, 2]})
    assert batch(folder)[0] == 0
    page = (folder / "out" / "overview.html").read_text(encoding="utf-8")
    links = [part.split("'")[0] for part in page.split("href='")[1:]]
    assert len(links) == 4
    assert all((folder / "out" / Path(link)).is_file() for link in links)
