"""A vendor's code inside the sandbox: what it sees, reaches and leaves behind."""

import hashlib
import json
import os
import shutil
import socket
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from healthval.errors import UsageError
from healthval.hosting import sandbox, syscall_filter
from healthval.hosting.artefact import pack
from healthval.hub import __main__ as command
from healthval.hub.backends import model_process
from healthval.hub.backends.local import FolderObjects
from healthval.hub.backends.model_process import HostOptions
from healthval.hub.backends.processes import ProcessHost
from healthval.hub.ports import HostedModel, ModelFailed

needs_sandbox = pytest.mark.skipif(
    sandbox.unavailable() is not None, reason="models cannot be isolated on this machine"
)
HOSTILE = """
import ctypes, os, socket, subprocess, sys, time
from pathlib import Path
libc = ctypes.CDLL(None)
def load(model_dir): return model_dir
def predict(model_dir, instances):
    return [float(bool(eval(row["try"], globals() | {"model_dir": model_dir}))) for row in instances]
"""


@pytest.fixture
def attempt(tmp_path):
    """Run an expression inside a hostile model; True if it succeeds with a true value."""
    data, source = tmp_path / "data", tmp_path / "source"
    objects = FolderObjects(data / "objects")
    (data / "upload.secret").write_bytes(b"secret" * 9)
    source.mkdir()
    (source / "inference.py").write_text(HOSTILE, encoding="utf-8")
    packed = pack(source)
    artefact = hashlib.sha256(packed).hexdigest()
    objects.put_if_absent(f"objects/{artefact}.bin", packed)
    host = ProcessHost(objects, data / "models", HostOptions(hidden=data))
    model = HostedModel(
        name="spy", version="1", artefact=artefact, memory_mb=1024, max_concurrency=1
    )

    def run(expression: str) -> bool:
        body = json.dumps({"instances": [{"try": expression}]}).encode()
        try:
            return json.loads(host.invoke(model, body))["scores"] == [1.0]
        except ModelFailed:
            return False

    run.data, run.host, run.model = data, host, model
    yield run
    host.close()


@needs_sandbox
def test_a_model_reads_its_own_artefact_only(attempt):
    assert attempt("(model_dir / 'inference.py').read_text()")
    assert not attempt(f"os.path.exists({str(attempt.data / 'upload.secret')!r})")
    assert not attempt("any('upload.secret' in names for _, _, names in os.walk('/'))")
    assert not attempt(f"os.path.exists({str(Path.home() / '.ssh')!r})")


@needs_sandbox
@pytest.mark.parametrize("place", ["/x", "/usr/x", "/model/x", "/inputs/x", "/dev/x", "/etc/x"])
def test_a_model_writes_to_its_private_folder_only(attempt, place):
    assert attempt("Path('/tmp/x').write_text('x')")
    assert not attempt(f"Path({place!r}).write_text('x')")


@needs_sandbox
def test_a_model_has_no_network(attempt):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not attempt(f"socket.create_connection(('127.0.0.1', {port}), 2)")


@needs_sandbox
def test_a_model_sees_no_process_of_the_hub(attempt):
    assert attempt("len([name for name in os.listdir('/proc') if name.isdigit()]) <= 3")


@needs_sandbox
def test_a_model_cannot_make_namespaces_to_escape(attempt):
    assert not attempt("subprocess.run(['unshare', '-Ur', 'true']).returncode == 0")


@needs_sandbox
def test_a_model_sees_no_variable_and_no_file_of_the_hub(attempt, monkeypatch, tmp_path):
    monkeypatch.setenv("HUB_TOKEN", "secret")
    with (tmp_path / "open").open("w", encoding="utf-8") as file:
        os.set_inheritable(file.fileno(), True)
        assert not attempt(
            "'HUB_TOKEN' in os.environ or 'secret' in open('/proc/1/environ').read()"
        )
        files = "[os.readlink(f'/proc/self/fd/{fd}') for fd in range(99) if os.path.lexists(f'/proc/self/fd/{fd}')]"
        assert attempt(f"len({files}) >= 3")
        assert not attempt(f"any(name.startswith('/') and name != '/dev/null' for name in {files})")


@needs_sandbox
@pytest.mark.skipif(syscall_filter.program() is None, reason="no filter for this machine")
def test_a_model_holds_no_memory_that_no_process_has_and_traces_nothing(attempt):
    assert not attempt("os.memfd_create('x')")
    assert not attempt("libc.shmget(0, 1 << 20, 0o1600) >= 0")
    assert not attempt("libc.ptrace(16, 1, 0, 0) >= 0")
    assert not attempt("libc.syscall(250, 0, -3, 0, 0, 0) > 0")  # keys of the hub's session


@needs_sandbox
def test_files_in_the_private_folders_count_as_memory(attempt):
    small = replace(attempt.model, memory_mb=300)
    write = "[open(f'{place}/x', 'wb').write(b'x' * (200 << 20)) for place in ('/tmp', '/dev/shm')]"
    body = json.dumps({"instances": [{"try": f"{write}, time.sleep(60)"}]}).encode()
    with pytest.raises(ModelFailed, match="exceeded its memory"):
        attempt.host.invoke(small, body)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_refuses_its_calls_and_no_other(machine):
    audit, calls = syscall_filter._MACHINES[machine]
    refused = set(calls.values())
    program = syscall_filter.program(machine)
    for number in range(500):
        assert (outcome(program, audit, number) == syscall_filter._ALLOW) is (number not in refused)
    foreign = outcome(program, 0x40000003, 1), outcome(program, audit, 0x40000001)
    assert set(foreign) == {syscall_filter._REFUSE}


def outcome(program: bytes, audit: int, number: int) -> int:
    """What classic BPF returns for a call of this number on a machine of this audit number."""
    steps = list(struct.iter_unpack("=HBBI", program))
    at, held = 0, 0
    while steps[at][0] != syscall_filter._RETURN:
        code, yes, no, value = steps[at]
        if code == syscall_filter._LOAD:
            held = {0: number, 4: audit}[value]
        else:
            holds = held == value if code == syscall_filter._EQUAL else held >= value
            at += yes if holds else no
        at += 1
    return steps[at][3]


ENDLESS = """
def answer(head, part, pause):
    for fd in range(3, 20):  # the connection to the hub is one of the open files
        try:
            link = socket.socket(fileno=os.dup(fd))
            link.getpeername()
        except OSError:
            continue
        link.setblocking(True)
        link.sendall(head)
        while True:
            link.sendall(part)
            time.sleep(pause)
"""


@needs_sandbox
@pytest.mark.parametrize(
    ("head", "part", "pause", "says"),
    [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"1" * 65536,
            0,
            "more than 4 MB",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"1", 0.1, "took more than 2 s"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"1", 0.1, "took more than 2 s"),
    ],
)
def test_an_answer_without_end_is_the_models_failure(attempt, monkeypatch, head, part, pause, says):
    monkeypatch.setattr(model_process, "ANSWER_SECONDS", 60.0 if pause == 0 else 2.0)
    (attempt.data.parent / "source" / "inference.py").write_text(
        HOSTILE + ENDLESS, encoding="utf-8"
    )
    packed = pack(attempt.data.parent / "source")
    sha256 = hashlib.sha256(packed).hexdigest()
    attempt.host._objects.put_if_absent(f"objects/{sha256}.bin", packed)
    body = json.dumps({"instances": [{"try": f"answer({head!r}, {part!r}, {pause})"}]}).encode()
    with pytest.raises(ModelFailed, match=says):
        attempt.host.invoke(replace(attempt.model, artefact=sha256), body)


@needs_sandbox
def test_processes_that_a_model_leaves_end_with_it(attempt, processes_with):
    name = f"left-behind-{os.urandom(8).hex()}"  # the same test may run beside this one
    left = f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)', '{name}'], start_new_session=True)"
    assert attempt(left)
    attempt.host.stop(attempt.model)
    assert processes_with(name) == []


@needs_sandbox
def test_a_large_file_is_shown_during_its_call_only(attempt):
    key = "uploads/site-aaaaaaaa/upload-1.dcm"
    attempt.host._objects.put_if_absent(key, b"pixels")
    address = attempt.host._objects.address(key)
    process = attempt.host._ready(attempt.model)
    sent = []
    process.post = lambda body: sent.append(json.loads(body)["addresses"]) or (200, b"{}")
    for places in ([address], [[address, address]]):
        attempt.host._send(process, json.dumps({"addresses": places}).encode())
    (first,), ((second, third),) = sent
    assert {place.rpartition("/")[0] for place in (first, second, third)} == {"file:///inputs"}
    assert list(process._folder.joinpath("inputs").iterdir()) == []


def test_without_bubblewrap_the_hub_refuses_unless_models_are_trusted(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UsageError, match=r"bubblewrap is not installed.*--trust-models"):
        command._isolates(trust_models=False)
    assert command._isolates(trust_models=True) is False
    assert "models are not isolated" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["operator.key", "data/operator.key.pub"])
def test_the_operators_key_is_a_public_one_outside_the_data_folder(tmp_path, name):
    with pytest.raises(UsageError, match=r"public key|keep it elsewhere"):
        command.check_apart(tmp_path / name, tmp_path / "data")
    assert command.check_apart(tmp_path / "boss.pub", tmp_path / "data") == tmp_path / "boss"
