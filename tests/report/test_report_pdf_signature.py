"""PAdES signature of the PDF: valid, by the given certificate, over the whole file."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from healthval.errors import ReportError
from healthval.report import publish, write
from healthval.report.proof.pdf_signature import sign_pdf
from healthval.report.render import render_pdf

NOW = datetime.now(UTC)


def pem(path, *, key=None, of=None):
    """A file with a key and a self-signed certificate: for that key, or for another one (`of`)."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Platform of the test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key((of or key).public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=9))
        .sign(of or key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def pdf():
    return render_pdf('<html lang="en"><title>t</title><h1>A report</h1></html>')


def status_of(signed):
    pytest.importorskip("pyhanko")
    from asn1crypto import x509 as asn1
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

    embedded = PdfFileReader(io.BytesIO(signed)).embedded_signatures[0]
    trusted = asn1.Certificate.load(embedded.signer_cert.dump())
    context = ValidationContext(trust_roots=[trusted])
    return validate_pdf_signature(embedded, context), embedded


def test_the_signed_pdf_is_intact_and_names_its_certificate(pdf, tmp_path):
    pytest.importorskip("pyhanko")
    signed = sign_pdf(pdf, pem(tmp_path / "platform.pem"))
    assert signed.startswith(pdf)
    status, embedded = status_of(signed)
    assert status.intact
    assert status.valid
    assert embedded.sig_object["/SubFilter"] == "/ETSI.CAdES.detached"
    assert "Platform of the test" in embedded.signer_cert.subject.human_friendly


def test_a_changed_byte_breaks_the_signature(pdf, tmp_path):
    pytest.importorskip("pyhanko")
    signed = bytearray(sign_pdf(pdf, pem(tmp_path / "platform.pem")))
    signed[len(pdf) // 2] ^= 1
    status, _ = status_of(bytes(signed))
    assert not status.intact


def test_a_signed_pdf_is_kept_by_the_next_writing_of_an_equal_report(
    report, tmp_path, monkeypatch, pdf
):
    pytest.importorskip("pyhanko")
    monkeypatch.setattr(publish, "render_pdf", lambda _: pdf)
    certificate = pem(tmp_path / "platform.pem")
    first = write(report, tmp_path / "out", certificate=certificate)
    assert write(report, tmp_path / "out", certificate=certificate) == first
    monkeypatch.setattr(publish, "render_pdf", lambda _: pdf + b"\n")
    assert write(report, tmp_path / "out", certificate=certificate) != first


def test_an_unusable_certificate_is_refused_and_not_quoted(pdf, tmp_path):
    pytest.importorskip("pyhanko")
    good = pem(tmp_path / "good.pem")
    cases = {
        "empty": (b"", "unusable"),
        "other": (b"Canary", "unusable"),
        "only_key": (good.read_bytes().split(b"-----BEGIN CERT")[0], "unusable"),
    }
    for name, (content, words) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(ReportError, match=words) as told:
            sign_pdf(pdf, path)
        assert "Canary" not in str(told.value)
    with pytest.raises(ReportError, match="not for its private key"):
        sign_pdf(pdf, pem(tmp_path / "two.pem", of=ec.generate_private_key(ec.SECP256R1())))
    good.chmod(0o640)
    with pytest.raises(ReportError, match="others can read"):
        sign_pdf(pdf, good)
    with pytest.raises(ReportError, match="cannot be read"):
        sign_pdf(pdf, tmp_path / "missing.pem")


def test_without_pyhanko_one_line_names_the_extra(pdf, tmp_path, monkeypatch):
    import sys

    for name in [m for m in sys.modules if m.split(".")[0] == "pyhanko"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyhanko", None)
    with pytest.raises(ReportError, match=r"\[pades\]\","):
        sign_pdf(pdf, pem(tmp_path / "platform.pem"))
