"""A Dask cluster of separate processes on loopback, for tests."""

import contextlib
import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LONG = 1800  # a bound for what should happen soon, on a machine that may be busy


@dataclass
class Cluster:
    address: str
    scheduler: subprocess.Popen
    workers: list
    log: Path

    def kill(self, process):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def seen(self):
        """All that Dask shows: its logs, names of tasks, events, timeline and profile, as text."""
        from distributed import Client

        def tasks(dask_scheduler):
            known = dask_scheduler
            events = [list(topic.events) for topic in known._broker._topics.values()]
            return repr(
                (list(known.tasks), list(known.task_prefixes), list(known.task_groups), events)
            )

        with Client(self.address, timeout=LONG, set_as_default=False) as client:
            parts = [client.run_on_scheduler(tasks), client.get_task_stream(), client.profile()]
            parts += [
                client.get_scheduler_logs(),
                client.get_worker_logs(),
                client.scheduler_info(),
            ]
            parts.append(client.get_events())
        return repr(parts) + self.log.read_text(encoding="utf-8", errors="replace")


def wait_until_listening(port):
    end = time.monotonic() + LONG
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=LONG).close()
            return
        assert time.monotonic() < end
        time.sleep(0.05)


def certificate(folder):
    """Make a certificate that signs itself; scheduler, workers and commands show and trust it.

    Returns Dask's configuration by dotted keys: a nested one would replace all of `distributed`.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dask")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "dask.crt").write_bytes(made.public_bytes(pem))
    (folder / "dask.key").touch(mode=0o600)
    (folder / "dask.key").write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    pair = {"cert": str(folder / "dask.crt"), "key": str(folder / "dask.key")}
    tls = {"ca-file": pair["cert"], "scheduler": pair, "worker": pair, "client": pair}
    keys = {f"distributed.comm.tls.{name}": value for name, value in tls.items()}
    return keys | {"distributed.comm.require-encryption": True}


@contextlib.contextmanager
def cluster(folder, workers=2, tls=None):
    """A Dask scheduler and workers as processes on loopback.

    `tls` is Dask's configuration with certificates, which processes that are started read from the
    file of `DASK_CONFIG`.
    """
    pytest.importorskip("distributed")
    if tls:
        nested = {}
        pytest.importorskip("dask").config.set(tls, config=nested)
        (folder / "dask.yaml").write_text(yaml.safe_dump(nested), encoding="utf-8")
    given = {"DASK_CONFIG": str(folder / "dask.yaml")} if tls else {}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"{'tls' if tls else 'tcp'}://127.0.0.1:{port}"
    python = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    log = (folder / "dask.log").open("wb")
    common = {"cwd": folder, "stdout": log, "stderr": log, "start_new_session": True}
    common["env"] = os.environ | given
    flags = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    flags += ["--protocol", "tls"] if tls else []
    started = [subprocess.Popen([*python, *flags], **common)]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    worker += ["--host", "127.0.0.1", "--no-dashboard", "--no-nanny"]
    worker += ["--protocol", "tls"] if tls else []
    started += [subprocess.Popen(worker, **common) for _ in range(workers)]
    made = Cluster(address, started[0], started[1:], folder / "dask.log")
    try:
        wait_until_listening(port)
        made.seen()  # Dask records its timeline from here on
        yield made
    finally:
        for process in started:
            made.kill(process)
        log.close()
