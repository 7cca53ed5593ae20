"""The embedded hub beside its model server called directly: latency, throughput, large batches, start.

Requests are signed before they are timed, because the clients share the machine with the hub.
"""

import hashlib
import http.client
import json
import secrets
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from healthval.client import Client, Credential, wire_bytes
from healthval.contracts.access import AccessDecision
from healthval.contracts.model import InputContract, InputField, ModelCard, ModelRegistration
from healthval.contracts.prediction import PredictionRequest, TableInstances
from healthval.hosting.artefact import pack, unpack
from healthval.hosting.child_process import ChildProcess

PLAN = "a" * 64
SUBJECT = {"model": "tumour", "version": "1.0", "plan_hash": PLAN}
CALLS = 200
CLIENTS = 8
INFERENCE = """
def load(model_dir): return 0.25
def predict(slope, instances): return [row["size"] * slope / 100 for row in instances]
"""
BODY = b'{"columns":["size"],"rows":[[2.0]]}'


def batch(n: int) -> PredictionRequest:
    rows = TableInstances(columns=("size",), rows=tuple((float(i % 100),) for i in range(n)))
    return PredictionRequest(
        **SUBJECT, cases=tuple(f"case-{i:016x}" for i in range(n)), instances=rows
    )


def signed(credential: Credential, origin: str, body: bytes) -> dict[str, str]:
    token = credential.sign("POST", origin, "/v1/predictions", body)
    key = secrets.token_urlsafe(24)
    kind = "application/json"
    return {"Authorization": f"Bearer {token}", "Idempotency-Key": key, "Content-Type": kind}


def timed(port: int, target: str, calls: list[tuple[bytes, dict[str, str]]]) -> list[float]:
    """Send calls one after the other on one connection; return seconds of each."""
    link, times = http.client.HTTPConnection("127.0.0.1", port, timeout=60), []
    for body, headers in calls:
        began = time.perf_counter()
        link.request("POST", target, body, headers)
        answer = link.getresponse()
        content = answer.read()
        times.append(time.perf_counter() - began)
        assert answer.status == 200, content
    return times


def together(port: int, target: str, prepared: list[list]) -> tuple[list[float], float]:
    """Let several clients send their calls at once; return all times and calls per second."""
    found: list[list[float]] = [[] for _ in prepared]

    def one(i: int) -> None:
        found[i] = timed(port, target, prepared[i])

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(prepared))]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = [t for own in found for t in own]
    return times, len(times) / (time.perf_counter() - began)


def p50(times: list[float]) -> float:
    return 1000 * statistics.median(times)


def line(name: str, value: str, goal: str, met: bool) -> None:
    print(f"{name:44}{value:>24}   {goal}: {'met' if met else 'MISSED'}")


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder / "operator.key"
        Credential.create(self.key)
        self.hub = self.started()

    def started(self) -> ChildProcess:
        command = [sys.executable, "-m", "healthval.hub", "--data", str(self.folder / "hub")]
        command += ["--operator", f"{self.key}.pub", "--die-with-parent", "--trust-models"]
        child = ChildProcess(command)
        self.url = child.first_line()["url"]
        self.port = int(self.url.rsplit(":", 1)[1])
        return child

    def model(self) -> int:
        """Register the model at the hub, and serve it directly; return the direct server's port."""
        source = self.folder / "model"
        source.mkdir()
        (source / "inference.py").write_text(INFERENCE, encoding="utf-8")
        artefact = pack(source)
        registration = ModelRegistration(
            card=ModelCard(
                name="tumour",
                version="1.0",
                title="T",
                developer="V",
                intended_use="bench",
                target_condition="t",
            ),
            inputs=InputContract(fields=(InputField(name="size", low=0, high=100),)),
            artefact_sha256=hashlib.sha256(artefact).hexdigest(),
            max_concurrency=CLIENTS,
        )
        with Client(self.url, Credential.load(self.key)) as operator:
            operator.register_model(registration, artefact)
            operator.start_model("tumour", "1.0")
        served = self.folder / "served"
        served.mkdir()
        unpack(artefact, served)
        command = [sys.executable, "-m", "healthval.hosting", "serve", "--port", "0"]
        command += ["--model", str(served), "--die-with-parent", "--max-concurrency", str(CLIENTS)]
        self.direct = ChildProcess(command)
        return self.direct.first_line()["ready"]

    def site(self, name: str) -> Credential:
        credential = Credential.create(self.folder / f"{name}.key")
        with (
            Client(self.url, credential) as site,
            Client(self.url, Credential.load(self.key)) as operator,
        ):
            grant = site.request_access(label="Bench", **SUBJECT)
            decision = AccessDecision(status="approved", max_cases=10_000_000)
            operator.decide_access(grant, decision)
        return credential

    def prepared(self, credential: Credential, n: int) -> list[tuple[bytes, dict[str, str]]]:
        body = wire_bytes(batch(1))
        return [(body, signed(credential, self.url, body)) for _ in range(n)]


def latency(bench: Bench, direct_port: int) -> None:
    plain = [(BODY, {"Content-Type": "application/json"})] * CALLS
    sites = [bench.site(f"site{i}") for i in range(CLIENTS)]
    timed(bench.port, "/v1/predictions", bench.prepared(sites[0], 50))  # warm
    timed(direct_port, "/invocations", plain[:50])
    base = p50(timed(direct_port, "/invocations", plain))
    one = p50(timed(bench.port, "/v1/predictions", bench.prepared(sites[0], CALLS)))
    line(
        "overhead, 1 client, p50",
        f"{one - base:.1f} ms ({one:.1f} - {base:.1f})",
        "<= 4 ms",
        one - base <= 4,
    )
    base, direct = together(direct_port, "/invocations", [plain] * CLIENTS)
    for name, own in (("8 sites", sites), ("8 clients of a site", sites[:1] * CLIENTS)):
        prepared = [bench.prepared(site, CALLS) for site in own]
        times, rate = together(bench.port, "/v1/predictions", prepared)
        over = p50(times) - p50(base)
        line(f"overhead, {name}, p50", f"{over:.1f} ms", "<= 20 ms", over <= 20)
        line(f"predictions/s, {name} (direct {direct:.0f})", f"{rate:.0f}", ">= 400", rate >= 400)


def large(bench: Bench) -> None:
    credential = bench.site("large")
    with Client(bench.url, credential) as client:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(2):
                client.predict(batch(10_000))
            times.append(time.perf_counter() - began)
    best = statistics.median(times)
    line("20,000 rows end to end", f"{best:.2f} s", "<= 0.5 s", best <= 0.5)


def many(bench: Bench) -> None:
    """Latency with 1e6 more entries of stored answers in the index."""
    import sqlite3

    credential = bench.site("many")
    before = p50(timed(bench.port, "/v1/predictions", bench.prepared(credential, CALLS)))
    db = sqlite3.connect(bench.folder / "hub" / "index.sqlite", timeout=60)
    end = int(time.time()) + 86_400
    value = json.dumps({**SUBJECT, "status": "done", "lease": 0, "answer": {}})
    rows = (
        ("predictions", f"site-{i % 97:08d}#prediction-{i:032x}", value, 2, end)
        for i in range(1_000_000)
    )
    with db:
        db.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", rows)
    db.close()
    timed(bench.port, "/v1/predictions", bench.prepared(credential, 50))
    after = p50(timed(bench.port, "/v1/predictions", bench.prepared(credential, CALLS)))
    line(
        "p50 with 1e6 stored answers",
        f"{after / before:.2f} x ({after:.1f} ms)",
        "<= 1.2 x",
        after <= 1.2 * before,
    )


def start(bench: Bench) -> None:
    bench.hub.stop()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        bench.hub = bench.started()
        link = http.client.HTTPConnection("127.0.0.1", bench.port, timeout=60)
        link.request("GET", "/v1/health")
        assert link.getresponse().status == 200
        times.append(time.perf_counter() - began)
        bench.hub.stop()
    best = statistics.median(times)
    line("start to first answer", f"{best:.2f} s", "<= 1 s", best <= 1)


def main() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder))
        direct_port = bench.model()
        latency(bench, direct_port)
        large(bench)
        start(bench)
        bench.hub = bench.started()
        with Client(bench.url, Credential.load(bench.key)) as operator:
            operator.start_model("tumour", "1.0")
        many(bench)
        start(bench)
        bench.direct.stop()


if __name__ == "__main__":
    main()
