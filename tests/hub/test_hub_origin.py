"""A hub behind a TLS proxy with a self-made certificate; and tokens for another origin."""

import datetime
import hashlib
import ipaddress
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from healthval.client import Client, Credential, published_keys
from healthval.errors import AccessDenied, HubUnavailable
from healthval.hub.__main__ import main

LONG = 300


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
