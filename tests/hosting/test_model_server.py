"""The model container's server, as a process: contract, limits, silence, end of life."""

import signal
import socket
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from healthval.hosting.child_process import ChildFailed, ChildProcess
from healthval.hosting.server import ModelServer

CANARY = "Zebulon-Quartermaine-1931"
TCP = Path("/proc/net/tcp")
LIMIT = 4 * 1024 * 1024
LONG = 300
MODEL = f"""
import os, sys, time

def load(model_dir):
    print("loading {CANARY}")
    return 0.5

def predict(model, instances):
    print(instances); print(instances, file=sys.stderr); os.system("echo {CANARY}")
    first = instances[0] if instances else {{}}
    if not isinstance(first, dict):
        return [0.25] * len(instances)
    wish = first.get("wish")
    if wish == "raise":
        raise ValueError(first["name"])
    if wish == "sleep":
        time.sleep(600)
    if wish == "wait":
        open(first["begun"], "w").close()
        while not os.path.exists(first["gate"]):
            time.sleep(0.01)
    if wish == "eat":
        bytearray(8 * 1024 ** 3)
    if wish == "answer":
        return first["answer"]
    return [model] * len(instances)
"""


class Served:
    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "healthval.hosting", "serve", "--model", str(folder)]
        command += ["--port", "0", "--die-with-parent", *options]
        self.log = folder.parent / "server.log"
        with self.log.open("ab") as log:
            self.child = ChildProcess(command, log=log)
        self.process = self.child.process
        self.port = self.child.first_line()["ready"]
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=LONG)

    def ask(self, **row):
        return self.http.post("/invocations", json={"instances": [row]})

    def wait(self, gate: Path) -> "Waiting":
        return Waiting(self, gate)

    def end(self) -> bytes:
        self.process.stdin.close()
        self.process.wait(LONG)
        output = self.process.stdout.read()
        self.child.stop()
        self.http.close()
        return output


class Waiting:
    """A request that the model holds until `release`; it is being scored when this is made."""

    def __init__(self, served: Served, gate: Path) -> None:
        self._gate, self._answers = gate, []
        begun = gate.with_suffix(".begun")
        row = {"wish": "wait", "gate": str(gate), "begun": str(begun)}
        self._thread = threading.Thread(target=lambda: self._answers.append(served.ask(**row)))
        self._thread.start()
        until(begun.exists)

    def release(self) -> httpx.Response:
        self._gate.touch()
        self._thread.join()
        return self._answers[0]


def until(holds) -> None:
    end = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("server") / "model"
    made.mkdir()
    (made / "inference.py").write_text(MODEL, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def served(folder):
    running = Served(folder, "--memory-mb=1024", "--max-concurrency=2")
    yield running
    running.end()


def test_ping_answers_and_rows_files_and_instances_are_scored(served):
    assert served.http.get("/ping").status_code == 200
    table = {"columns": ["a", "b"], "rows": [[1, 2], [3, None]]}
    for body, n in ((table, 2), ({"files": ["AAAA"]}, 1), ({"instances": []}, 0)):
        response = served.http.post("/invocations", json=body)
        assert response.status_code == 200
        assert len(response.json()["scores"]) == n


def test_the_sagemaker_runtime_path_is_the_same(served):
    path = "/endpoints/healthval-x-1/invocations"
    assert served.http.post(path, json={"instances": [{}]}).json() == {"scores": [0.5]}


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1])
def test_a_request_holds_four_megabytes(served, size):
    frame = b'{"instances": [{"x": "%s"}]}'
    body = frame % (b"a" * (size - len(frame) + 2))
    assert len(body) == size
    assert served.http.post("/invocations", content=body).status_code == (
        413 if size > LIMIT else 200
    )


MALFORMED = rb"""
{
[]
7
{"rows": [[1]]}
{"columns": ["a"], "rows": [[1, 2]]}
{"columns": 3, "rows": [[1]]}
{"columns": [[1]], "rows": [[1]]}
{"files": ["?"]}
{"instances": 3}
"""


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[" * 100_000, *MALFORMED.split(b"\n")], ids=range(14)
)
def test_a_malformed_body_is_400_and_not_repeated(served, body):
    response = served.http.post("/invocations", content=body)
    assert response.status_code == 400
    assert response.headers["x-amzn-errortype"] == "ValidationError"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([0.1, 0.2], "2 scores for 1"),
        ([1.5], "1 of 1 score is outside 0 to 1 (first at 0)"),
        ([-0.01], "outside 0 to 1"),
        (["high"], "not a list of numbers"),
        (None, "not a list of numbers"),
    ],
)
def test_an_answer_that_is_no_list_of_scores_is_the_models_failure(served, answer, why):
    response = served.ask(wish="answer", answer=answer)
    assert response.status_code == 500
    assert why in response.json()["error"]


@pytest.mark.parametrize(("answer", "score"), [([0], 0.0), ([1], 1.0), ([None], None)])
def test_scores_from_nought_to_one_and_none_are_taken(served, answer, score):
    assert served.ask(wish="answer", answer=answer).json() == {"scores": [score]}


def test_a_raising_model_is_named_by_kind_and_serves_on(served):
    response = served.ask(wish="raise", name=CANARY)
    assert (response.status_code, response.json()) == (
        500,
        {"error": "the model raised ValueError"},
    )
    assert served.ask().status_code == 200


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not limit the address space")
def test_a_model_beyond_its_memory_fails_and_the_server_remains(served):
    response = served.ask(wish="eat")
    assert response.json() == {"error": "the model exceeded its memory"}
    assert served.ask().status_code == 200


def test_more_requests_than_places_are_refused(served, tmp_path):
    waiting = [served.wait(tmp_path / f"gate{i}") for i in range(2)]
    assert [served.ask().status_code for _ in range(2)] == [429, 429]
    assert [request.release().status_code for request in waiting] == [200, 200]
    assert served.ask().status_code == 200


def raw(served, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", served.port), LONG) as link:
        link.sendall(request)
        link.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := link.recv(65536):
            answer += piece
    return answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /invocations HTTP/1.1\r\n\r\n", b"411"),
        (b"POST /invocations HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"411"),
        (b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST /invocations HTTP/1.1\r\nContent-Length: 9\r\n\r\n{}", b"400"),
        (b"POST /%s HTTP/1.1\r\nContent-Length: 0\r\n\r\n" % CANARY.encode(), b"404"),
        (b"%s / HTTP/1.1\r\n\r\n" % CANARY.encode(), b"501"),
        (b"GET /%s HTTP/1.1\r\n\r\n" % CANARY.encode(), b"404"),
        (b"%s\r\n\r\n" % CANARY.encode(), b"400"),
        (b"GET / HTTP/9.%s\r\n\r\n" % CANARY.encode(), b"400"),
        (b"GET /%s HTTP/1.1\r\n\r\n" % (b"x" * 70_000), b"414"),
        (b"GET / HTTP/1.1\r\n%s\r\n\r\n" % (b"x: y\r\n" * 200), b"431"),
    ],
    ids=range(11),
)
def test_requests_that_are_none_are_refused_without_an_echo(served, request_, status):
    answer = raw(served, request_)
    assert answer.split()[1] == status
    assert b"Zebulon" not in answer


def test_a_wrong_content_type_is_refused(served):
    response = served.http.post("/invocations", content=b"{}", headers={"Content-Type": "text/csv"})
    assert response.status_code == 415


def test_nothing_that_was_sent_or_printed_is_in_its_output(folder):
    running = Served(folder)
    running.ask(name=CANARY)
    running.ask(wish="raise", name=CANARY)
    assert b"Zebulon" not in running.end() + running.log.read_bytes()


def test_a_model_that_takes_too_long_ends_its_process(folder):
    running = Served(folder, "--seconds", "2")
    assert running.ask().status_code == 200
    assert running.ask(wish="sleep").status_code == 504
    assert running.process.wait(LONG) == 0
    running.end()


@pytest.fixture
def in_process():
    """A server in this process, whose model waits for `gate`, or for ever at the first call."""
    gate = threading.Event()

    def predict(instances):
        assert gate.wait(LONG)
        return [0.5] * len(instances)

    server = ModelServer(("127.0.0.1", 0), predict, seconds=0.2)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    with httpx.Client(
        base_url=f"http://127.0.0.1:{server.server_address[1]}", timeout=LONG
    ) as http:
        yield server, http, gate
    gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_whose_model_took_too_long_is_unhealthy_and_has_sent_its_answer(in_process):
    server, http, _ = in_process
    assert http.get("/ping").status_code == 200
    assert http.post("/invocations", json={"instances": [1]}).status_code == 504
    assert server.timeout_sent.wait(LONG)
    assert http.get("/ping").status_code == 503


def test_the_time_without_requests_begins_when_an_answer_is_sent(in_process):
    server, http, gate = in_process
    gate.set()
    server.seconds = LONG
    server.last_used -= 2 * LONG
    assert server.idle_seconds > LONG
    assert http.post("/invocations", json={"instances": [1]}).status_code == 200
    assert server.idle_seconds < LONG


def test_head_and_body_of_an_answer_are_one_segment(in_process, monkeypatch):
    _, http, gate = in_process
    gate.set()
    http.get("/ping")
    sent, send = [], socket.SocketIO.write

    def write(self, data):
        sent.append(bytes(data))
        return send(self, data)

    monkeypatch.setattr(socket.SocketIO, "write", write)
    for call in range(1, 4):
        assert http.get("/ping").status_code == 200
        until(lambda call=call: len(sent) >= call)
    assert len(sent) == 3, "a split head and body cost 44 ms a call (Nagle and delayed ACK)"
    assert all(answer.endswith(b"\r\n\r\n{}") for answer in sent)


def test_sigterm_lets_a_running_request_finish(folder, tmp_path):
    running = Served(folder)
    waiting = running.wait(tmp_path / "gate")
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)  # the server is shutting down
    assert waiting.release().status_code == 200
    assert running.process.wait(LONG) == 0
    running.end()


def test_it_ends_with_its_parent(folder):
    running = Served(folder)
    running.process.stdin.close()
    assert running.process.wait(LONG) == 0
    running.end()


def test_it_ends_with_its_parent_also_while_the_model_loads(tmp_path):
    folder, begun = tmp_path / "model", tmp_path / "begun"
    folder.mkdir()
    code = f"import time; open({str(begun)!r}, 'w').close(); time.sleep(600)"
    (folder / "inference.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "healthval.hosting", "serve", "--model", str(folder)]
    child = ChildProcess([*command, "--port", "0", "--die-with-parent"])
    until(begun.exists)
    child.process.stdin.close()
    assert child.process.wait(LONG) == 0
    child.stop()


def test_unused_it_ends_by_itself(folder):
    running = Served(folder, "--idle-seconds", "1")
    assert running.process.wait(LONG) == 0
    running.end()


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (None, r"no inference\.py"),
        (f"raise ValueError('{CANARY}')", "does not load: ValueError"),
        (f"{CANARY} =", "does not load: SyntaxError"),
        ("import nothing_like_it", "Python module nothing_like_it is not installed"),
        ("def predict(model, instances): ...", "does not load: AttributeError"),
    ],
)
def test_a_model_that_does_not_load_is_reported_by_the_type_of_error(tmp_path, code, why):
    folder = tmp_path / "model"
    folder.mkdir()
    if code is not None:
        (folder / "inference.py").write_text(code, encoding="utf-8")
    log = tmp_path / "server.log"
    command = [sys.executable, "-m", "healthval.hosting", "serve", "--model", str(folder)]
    with log.open("ab") as stream:
        child = ChildProcess([*command, "--port", "0"], log=stream)
    with pytest.raises(ChildFailed, match=why) as failed:
        child.first_line()
    assert child.process.wait(LONG) == 26
    assert b"Zebulon" not in child.process.stdout.read() + log.read_bytes()
    assert CANARY not in str(failed.value)
    child.stop()


def test_it_listens_on_loopback_only(served):
    sockets = TCP.read_text(encoding="utf-8") if TCP.exists() else ""
    port = f":{served.port:04X} "
    listening = [line for line in sockets.splitlines() if port in line and " 0A " in line]
    assert all("0100007F" in line for line in listening)


def test_only_files_below_the_inputs_are_read(folder, tmp_path):
    inputs = tmp_path / "in puts"
    inputs.mkdir()
    (inputs / "one.dcm").write_bytes(b"pixels")
    (tmp_path / "secret.dcm").write_bytes(b"secret")
    running = Served(folder, "--inputs", f"{inputs.as_uri()}/")

    def ask(address):
        return running.http.post("/invocations", json={"addresses": [address]})

    assert ask(f"{inputs.as_uri()}/one.dcm").json() == {"scores": [0.25]}
    root = inputs.as_uri()
    for address in (
        f"{root}/none.dcm",
        f"{root}/../secret.dcm",
        f"{root}/%2e%2e/secret.dcm",
        (tmp_path / "secret.dcm").as_uri(),
        "/etc/passwd",
        "s3://bucket/one.dcm",
        "http://127.0.0.1/",
        "",
        7,
    ):
        assert ask(address).status_code == 400, address
    running.end()


def test_without_inputs_no_address_is_read(served, folder):
    address = (folder / "inference.py").as_uri()
    response = served.http.post("/invocations", json={"addresses": [address]})
    assert response.status_code == 400
