"""A hub behind a TLS proxy with a self-made certificate; and tokens for another origin."""

import datetime
import hashlib
import ipaddress
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from healthval.client import Client, Credential, published_keys
from healthval.contracts.access import AccessDecision
from healthval.errors import AccessDenied, HubError, HubUnavailable
from healthval.hub.__main__ import main

LONG = 300
HUB_PAGE = Path(__file__).parents[2] / "docs" / "hub.md"


def certificate(folder: Path) -> Path:
    """Make a certificate for 127.0.0.1, signed by itself; return its file, with the key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub.example")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "hub.pem"
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path


class TlsProxy:
    """Ends TLS and passes the bytes on, as a proxy on the hub's machine does."""

    def __init__(self, pem: Path):
        self.target = None
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.origin = f"https://127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self):
        with suppress(OSError):
            while True:
                link, _ = self._listening.accept()
                self._threads.append(threading.Thread(target=self._relay, args=(link,)))
                self._threads[-1].start()

    def _relay(self, link):
        with (
            link,
            suppress(OSError),
            self._context.wrap_socket(link, server_side=True) as inside,
            socket.create_connection(("127.0.0.1", self.target)) as outside,
        ):
            back = threading.Thread(target=self._copy, args=(outside, inside), daemon=True)
            back.start()
            self._copy(inside, outside)
            back.join()

    @staticmethod
    def _copy(source, sink):
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(LONG)


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def served(kit, pem, tmp_path_factory, operator_key):
    """A hub that knows its origin, behind a proxy."""
    proxy = TlsProxy(pem)
    running = kit.HubProcess(tmp_path_factory.mktemp("hub") / "data", Path(f"{operator_key}.pub"))
    running.start(options=["--origin", proxy.origin])
    proxy.target = running.port
    yield proxy, running
    running.stop()
    proxy.close()


def test_the_path_over_a_tls_proxy(kit, served, pem, operator_key, artefact, tmp_path, monkeypatch):
    proxy, _ = served
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with (
        Client(proxy.origin, Credential.load(operator_key)) as operator,
        Client(proxy.origin, Credential.create(tmp_path / "site.key")) as site,
    ):
        operator.register_model(kit.registration_of(artefact), artefact)
        operator.start_model("tumour", "1.0")
        kit.approve(operator, site)
        assert site.predict(kit.batch(2.0, 4.0)).predictions[0].score == 0.5
        large = bytes(3 * 1024 * 1024)
        operator.transport.send("PUT", f"/v1/objects/{hashlib.sha256(large).hexdigest()}", large)
        assert len(published_keys(proxy.origin).keys) == 3


def documented(kind):
    """Return the configuration of a proxy in docs/hub.md."""
    blocks = re.findall(r"```\n(.*?)```", HUB_PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return next(block for block in blocks if kind in block)


def nginx(folder, pem, port, hub_port):
    """Write nginx's configuration around the documented server; return its command."""
    server = documented("proxy_pass")
    server = server.replace("listen 443 ", f"listen 127.0.0.1:{port} ")
    server = server.replace("127.0.0.1:8765", f"127.0.0.1:{hub_port}")
    server = server.replace("/etc/ssl/hub.pem", str(pem)).replace("/etc/ssl/hub.key", str(pem))
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}{server} }}\n",
        encoding="utf-8",
    )
    return ["nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]


def caddy(folder, pem, port, hub_port):
    """Write the documented Caddyfile with a certificate of its own; return Caddy's command."""
    site = documented("reverse_proxy").replace("127.0.0.1:8765", f"127.0.0.1:{hub_port}")
    site = site.replace("hub.example {", f"https://127.0.0.1:{port} {{\n    tls {pem} {pem}")
    options = "{\n    admin off\n    auto_https disable_redirects\n}\n"
    (folder / "Caddyfile").write_text(options + site, encoding="utf-8")
    return ["caddy", "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.fixture(scope="module", params=[nginx, caddy], ids=["nginx", "caddy"])
def behind(request, kit, pem, tmp_path_factory, operator_key):
    """The origin of a hub behind a real proxy, configured as documented."""
    if shutil.which(request.param.__name__) is None:
        pytest.skip(f"needs {request.param.__name__}")
    folder, port = tmp_path_factory.mktemp("proxy"), free_port()
    running = kit.HubProcess(tmp_path_factory.mktemp("hub") / "data", Path(f"{operator_key}.pub"))
    running.start(options=["--origin", f"https://127.0.0.1:{port}"])
    command = request.param(folder, pem, port, running.port)
    with (folder / "log").open("wb") as log:
        environment = {**os.environ, "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        proxy = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        end = time.monotonic() + LONG
        while proxy.poll() is None and time.monotonic() < end:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        assert proxy.poll() is None, (folder / "log").read_text(encoding="utf-8")
        yield f"https://127.0.0.1:{port}"
    finally:
        proxy.terminate()
        proxy.wait(LONG)
        running.stop()


def test_the_path_through_a_real_proxy(
    kit, behind, pem, operator_key, artefact, tmp_path, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with (
        Client(behind, Credential.load(operator_key)) as operator,
        Client(behind, Credential.create(tmp_path / "site.key")) as site,
    ):
        model = operator.register_model(kit.registration_of(artefact), artefact)
        operator.start_model("tumour", "1.0")
        site.request_access(label="St. Elsewhere", **kit.SUBJECT)
        (asked,) = operator.access_requests()
        operator.decide_access(asked, AccessDecision(status="approved"))
        assert site.predict(kit.batch(2.0, 4.0)).predictions[0].score == 0.5
        receipt = site.submit(kit.payload(model.digest))
        assert receipt.active == receipt.submission_sha256
        large = bytes(5 * 1024 * 1024)
        operator.transport.send("PUT", f"/v1/objects/{hashlib.sha256(large).hexdigest()}", large)
        assert len(published_keys(behind).keys) == 3
        with pytest.raises(HubError, match="too large"):
            site.transport.send("POST", "/v1/submissions", bytes(2 * 1024 * 1024))


def test_an_unknown_certificate_is_no_response(served, tmp_path, monkeypatch):
    proxy, _ = served
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(HubUnavailable, match="no response"):
        published_keys(proxy.origin)


def test_a_token_for_another_origin_is_refused_with_the_reason(
    kit, pem, operator_key, tmp_path, monkeypatch
):
    proxy = TlsProxy(pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    running = kit.HubProcess(tmp_path / "data", Path(f"{operator_key}.pub")).start()
    try:
        proxy.target = running.port
        with (
            Client(proxy.origin, Credential.load(operator_key)) as operator,
            pytest.raises(AccessDenied, match=r"another origin.*--origin"),
        ):
            operator.models()
        with (
            Client(proxy.origin, Credential.create(tmp_path / "stranger.key")) as stranger,
            pytest.raises(AccessDenied, match="not signed by a key that this hub knows"),
        ):
            stranger.models()
    finally:
        running.stop()
        proxy.close()


@pytest.mark.parametrize(
    "origin", ["hub.example", "http://hub.example", "https://a/b", "https://u@a"]
)
def test_an_origin_is_https_without_a_path(origin, operator_key, tmp_path, capsys):
    command = ["--data", str(tmp_path / "hub"), "--operator", f"{operator_key}.pub"]
    assert main([*command, "--origin", origin, "--trust-models"]) == 2
    assert "address" in capsys.readouterr().err
    assert not (tmp_path / "hub").exists()
