"""PAdES signature of the PDF, where the operator has a certificate (extra `pades`, pyHanko).

The signature is an incremental update: the signed PDF begins with the bytes of the unsigned one.

References
----------
ETSI EN 319 142-1 (PAdES baseline B-B); ISO 32000-2, 12.8.
"""

import io
import os
import stat
from pathlib import Path
from typing import Any

from healthval.errors import ReportError
from healthval.files import install_command

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


def sign_pdf(pdf: bytes, certificate: Path) -> bytes:
    """Sign a PDF with a certificate as its author; no later change is permitted.

    Parameters
    ----------
    certificate : PEM file of the owner only, with an unencrypted private key, its certificate and
        the certificates of the chain above it, in this order

    Raises
    ------
    ReportError
        If pyHanko is not installed, or the file is unusable.
    """
    try:
        from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
        from pyhanko.sign import signers
        from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
    except ImportError:
        raise ReportError(
            f"the PDF's signature needs pyHanko: {install_command('pades')}, or give no certificate"
        ) from None
    signer = _signer(_pem(certificate))
    facts = signers.PdfSignatureMetadata(
        field_name="healthval",
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
        reason="Validation report by healthval",
    )
    signed = io.BytesIO()
    signers.sign_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf)), facts, signer, output=signed)
    return signed.getvalue()


def _pem(certificate: Path) -> bytes:
    try:
        mode, content = certificate.stat().st_mode, certificate.read_bytes()
    except OSError:
        raise ReportError("the certificate's file cannot be read; check its path") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ReportError("others can read the certificate's file; run chmod 600 on it")
    return content


def _signer(pem: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
    )
    from cryptography.x509 import load_pem_x509_certificates

    at = pem.find(_CERTIFICATE)
    try:
        key = load_pem_private_key(pem[:at], None)
        chain = load_pem_x509_certificates(pem[at:])
    except (ValueError, TypeError):
        raise ReportError(
            "the certificate's file is unusable; it needs an unencrypted private key and then its "
            "certificate, both in PEM"
        ) from None
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if chain[0].public_key().public_bytes(*public) != key.public_key().public_bytes(*public):
        raise ReportError(
            "the first certificate in the file is not for its private key; put the signer's "
            "certificate first"
        )
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return _as_pyhanko(private, [certificate.public_bytes(Encoding.DER) for certificate in chain])


def _as_pyhanko(private: bytes, chain: list[bytes]) -> Any:
    from asn1crypto import keys, x509
    from pyhanko.sign.signers import SimpleSigner
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    first, *others = [x509.Certificate.load(certificate) for certificate in chain]
    new_store: Any = SimpleCertificateStore
    store = new_store()
    store.register_multiple(others)
    return SimpleSigner(first, keys.PrivateKeyInfo.load(private), store)
