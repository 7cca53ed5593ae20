"""Child processes: a slow start is accepted, a failure ends the wait at once, and none is left over."""

import os
import signal
import sys
import time

import pytest

from healthval.errors import HubUnavailable, UsageError
from healthval.hosting import child_process
from healthval.hosting.child_process import ChildFailed, ChildProcess, check_platform

LONG = 300.0
READY = "import sys, time; print('{\"ready\": 1}', flush=True); sys.stdin.read()"


@pytest.fixture
def start():
    made = []

    def run(code, **options):
        made.append(ChildProcess([sys.executable, "-c", code], **options))
        return made[-1]

    yield run
    for child in made:
        child.stop()


def test_a_child_gives_its_line_and_ends_when_its_input_is_closed(start):
    child = start(READY)
    assert child.first_line() == child.first_line() == {"ready": 1}
    assert child.is_alive
    child.stop()
    assert child.process.returncode == 0
    assert not child.is_alive


def test_a_slow_child_is_awaited_as_long_as_it_is_alive(start):
    child = start(f"import time; time.sleep(1); {READY}")
    assert child.first_line_within(0) is None
    assert child.first_line_within(0.01) is None
    assert child.first_line() == {"ready": 1}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit(7)", "ended with exit code 7 before it answered"),
        ("import os; os.kill(os.getpid(), 9)", "ended with exit code -9"),
        ('print(\'{"failed": "the port is taken"}\')', "^the port is taken$"),
        ("print('hello')", "not a JSON object"),
        ("print('[1]')", "not a JSON object"),
        ("import os, sys; os.close(1); sys.stdin.read()", "closed its standard output"),
    ],
)
def test_a_child_that_fails_is_reported_at_once_with_the_reason(start, monkeypatch, code, reason):
    monkeypatch.setattr(child_process, "_LAST_LINE_SECONDS", 2.0 if "close" in code else LONG)
    child = start(code, start_seconds=LONG)
    began = time.monotonic()
    with pytest.raises(ChildFailed, match=reason):
        child.first_line()
    assert time.monotonic() - began < LONG / 2


def test_the_reason_may_be_the_last_line_of_the_log(start, tmp_path):
    code = "import sys; sys.stderr.write({!r}); sys.exit(2)"
    log = tmp_path / "log"
    log.write_bytes(b'{"failed": "an earlier start"}\n')
    for written, reason in [
        ('noise\n{"failed": "the index is damaged"}\n', "^the index is damaged$"),
        ("ValueError: a value\n", "^the process ended with exit code 2"),
        ("", "^the process ended with exit code 2"),
    ]:
        with log.open("ab") as stream:
            child = start(code.format(written), log=stream)
        with pytest.raises(ChildFailed, match=reason):
            child.first_line()


def test_a_child_that_never_answers_is_killed_after_the_upper_bound(start):
    child = start("import time; time.sleep(600)", start_seconds=0.2)
    with pytest.raises(ChildFailed, match=r"did not answer within 0\.2 s"):
        child.first_line()
    child.process.wait(LONG)
    assert not child.is_alive


def test_a_child_that_ignores_its_input_is_killed(start):
    child = start('import time; print("{}", flush=True); time.sleep(600)')
    child.first_line()
    child.stop(seconds=0.2)
    assert child.process.returncode == -signal.SIGKILL


def test_a_process_that_the_child_leaves_does_not_delay_the_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(child_process, "_LAST_LINE_SECONDS", 0.2)
    file = tmp_path / "pid"
    code = f"""
import subprocess, sys
left = subprocess.Popen(["sleep", "600"])
open({str(file)!r}, "w").write(str(left.pid))
raise SystemExit(3)
"""
    child = ChildProcess([sys.executable, "-c", code])
    with pytest.raises(ChildFailed, match="exit code 3"):
        child.first_line()
    child.stop()
    assert not child.process.stdout.closed, "the process that is left holds the pipe"
    os.kill(int(file.read_text(encoding="utf-8")), signal.SIGKILL)
    child._reader.join()
    child.stop()
    assert child.process.stdout.closed


CHILD = """
import sys, threading
from pathlib import Path
from healthval.hosting.child_process import stop_with_parent

stop = threading.Event()
stop_with_parent(stop.set)
print('{"ready": 1}', flush=True)
stop.wait()
Path(sys.argv[1]).touch()
"""
PARENT = """
import json, sys, time
from healthval.hosting.child_process import ChildProcess

child = ChildProcess([sys.executable, *sys.argv[1:]])
print(json.dumps(child.first_line()), flush=True)
time.sleep(600)
"""


def test_a_child_ends_with_its_parent_also_when_that_is_killed(tmp_path):
    scripts = [tmp_path / "parent.py", tmp_path / "child.py"]
    for script, code in zip(scripts, (PARENT, CHILD), strict=True):
        script.write_text(code, encoding="utf-8")
    ended = tmp_path / "ended"
    parent = ChildProcess([sys.executable, *map(str, scripts), str(ended)])
    parent.first_line()
    assert not ended.exists()
    parent.process.kill()
    parent.stop()
    end = time.monotonic() + LONG
    while not ended.exists():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_another_system_is_refused(monkeypatch):
    check_platform()
    monkeypatch.setattr(child_process.os, "name", "nt")
    with pytest.raises(UsageError, match="needs Linux or macOS"):
        check_platform()


def test_an_embedded_hub_that_cannot_start_is_reported_at_once_with_the_reason(tmp_path):
    from healthval.demo.embedded_hub import embedded_hub

    with (
        pytest.raises(HubUnavailable, match="did not start: the operator's public key cannot"),
        embedded_hub(tmp_path / "hub", tmp_path / "none.pub"),
    ):
        pytest.fail("there is no key")
    assert "public key" in (tmp_path / "hub" / "hub.log").read_text(encoding="utf-8")
