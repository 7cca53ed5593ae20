"""Run inside a separate network namespace: store, search, retrieve, de-identify, compare.

Prints one line of JSON. Orthanc's bind option did not keep it on loopback, the namespace does.
"""

import datetime
import ipaddress
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pydicom
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydicom.data import get_testdata_file

from healthval.cohort import DimsePacs, WebPacs
from healthval.cohort.dicom.pacs import open_pacs
from healthval.contracts.images import PacsChoice
from healthval.deid import PixelPolicy, Policy, Secret, deidentify_files
from healthval.errors import CohortError

LONG = 300  # seconds; a bound for what should happen soon, on a machine that may be busy
HTTP, DICOM, DELIVERY, CUTTING = 18042, 14242, 14343, 18043
FILES = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm", "SC_rgb_jpeg_dcmtk.dcm")
PLUGINS = (
    "/usr/share/orthanc/plugins/libOrthancDicomWeb.so",
    "/usr/lib/x86_64-linux-gnu/orthanc/libOrthancDicomWeb.so",
)


def configuration(folder, **more):
    plugins = [path for path in PLUGINS if Path(path).exists()]
    made = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "HttpPort": HTTP,
        "DicomPort": DICOM,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "Plugins": plugins[:1],
        "DicomModalities": {"healthval": ["HEALTHVAL", "127.0.0.1", DELIVERY]},
        **more,
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    return path


def wait_until_ready():
    for _ in range(3000):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{HTTP}/system", timeout=LONG).read()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("Orthanc did not start")


def certificates(folder):
    """Certificate and key of the machine, signed by itself, as both parties of TLS."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "pacs.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "pacs.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )


def cut_connections(after):
    """TCP proxy before Orthanc's web port that ends each connection after some bytes."""
    listener = socket.create_server(("127.0.0.1", CUTTING))

    def serve(client):
        with client, socket.create_connection(("127.0.0.1", HTTP)) as server:
            threading.Thread(target=forward, args=(client, server), daemon=True).start()
            left = after[0]
            while left > 0 and (data := server.recv(min(left, 4096))):
                left -= len(data)
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)

    def forward(client, server):
        with suppress(OSError):
            while data := client.recv(4096):
                server.sendall(data)

    def accept():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


@contextmanager
def orthanc(folder, paths, **more):
    folder.mkdir(exist_ok=True)
    server = subprocess.Popen(
        ["Orthanc", str(configuration(folder, **more))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_ready()
        for path in paths:
            data = Path(path).read_bytes()
            urllib.request.urlopen(f"http://127.0.0.1:{HTTP}/instances", data, timeout=LONG).read()
        yield
    finally:
        server.terminate()
        server.wait(LONG)


def problem(work):
    try:
        work()
    except CohortError as failed:
        return str(failed)
    return ""


def with_tls_and_caps(folder, paths):
    """DIMSE over TLS by C-GET and C-MOVE, and searches whose results the server caps."""
    certificates(folder)
    file, key = str(folder / "pacs.pem"), str(folder / "pacs.key")
    more = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": file,
        "DicomTlsPrivateKey": key,
        "DicomTlsTrustedCertificates": file,
        "DicomModalities": {
            "healthval": {
                "AET": "HEALTHVAL",
                "Host": "127.0.0.1",
                "Port": DELIVERY,
                "UseDicomTls": True,
            }
        },
        "LimitFindResults": 2,
    }
    choice = {"dimse": f"127.0.0.1:{DICOM}:ORTHANC", "timeout": 20}
    tls = {"tls": True, "ca": file, "certificate": file, "key": key}
    with orthanc(folder / "tls", paths, **more):
        by_get = open_pacs(PacsChoice(**choice, **tls))
        by_move = open_pacs(PacsChoice(**choice, **tls, listen=f"127.0.0.1:{DELIVERY}"))
        plain = open_pacs(PacsChoice(**choice))
        web = WebPacs(f"http://127.0.0.1:{HTTP}/dicom-web")
        studies = sorted({pydicom.dcmread(path).StudyInstanceUID for path in paths})
        return {
            "capped_web": problem(lambda: list(web.search({}))),
            "capped_dimse": problem(lambda: list(by_get.search({}))),
            "tls_get": len(list(by_get.retrieve(studies, folder / "tls-get"))),
            "tls_move": len(list(by_move.retrieve(studies, folder / "tls-move"))),
            "without_tls": problem(lambda: list(plain.search({}))),
        }


def dropped(folder, study):
    """A transfer that breaks off, and the next one that continues."""
    pacs = WebPacs(f"http://127.0.0.1:{CUTTING}/dicom-web")
    left = [20_000]
    cut_connections(left)
    first = problem(lambda: list(pacs.retrieve([study], folder)))
    broken = sum(not is_readable(path) for path in folder.glob("*.dcm"))
    left[0] = 1 << 30
    got = len(list(pacs.retrieve([study], folder)))
    left[0] = 20_000  # the second time nothing is transferred
    again = len(list(pacs.retrieve([study], folder)))
    return {"dropped": first, "broken_files": broken, "after": got, "again": again}


def is_readable(path):
    return pydicom.dcmread(path).pixel_array.size > 0


def store(paths):
    from pynetdicom import AE

    for path in paths:
        dataset = pydicom.dcmread(path)
        entity = AE()
        entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        association = entity.associate("127.0.0.1", DICOM, ae_title="ORTHANC")
        assert association.is_established
        assert association.send_c_store(dataset).Status == 0
        association.release()


def compare(folder, originals):
    """Retrieved files through de-identification, pixel bytes against the originals."""
    policy = Policy(pixels=PixelPolicy(sign_off="Test"))
    made = deidentify_files(
        folder, folder.parent / f"{folder.name}-out", policy, Secret(bytes(range(32)))
    )
    after = [pydicom.dcmread(path) for path in made.outputs]
    pixels = {d.PixelData for d in after}
    return {
        "out": made.files_out,
        "same_pixel_bytes": len(pixels & {d.PixelData for d in originals}),
        "names": sum(bool(d.get("PatientName")) for d in after),
        "same_arrays": sum(
            any(np.array_equal(a.pixel_array, o.pixel_array) for o in originals) for a in after
        ),
    }


def main():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    paths = [get_testdata_file(name) for name in FILES]
    originals = [pydicom.dcmread(path) for path in paths]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with orthanc(folder, ()):
            store(paths)
            web = WebPacs(f"http://127.0.0.1:{HTTP}/dicom-web")
            dimse = DimsePacs("127.0.0.1", DICOM, "ORTHANC")
            move = DimsePacs("127.0.0.1", DICOM, "ORTHANC", listen=("127.0.0.1", DELIVERY))
            by_web, by_dimse = list(web.search({})), list(dimse.search({}))
            one = originals[0]
            filtered = list(web.search({"PatientID": str(one.PatientID)}))
            got_web = list(web.retrieve([s.study for s in by_web], folder / "web"))
            got_dimse = list(dimse.retrieve([s.study for s in by_dimse], folder / "dimse"))
            got_move = list(move.retrieve([s.study for s in by_dimse], folder / "move"))
            result = {
                "interfaces": [name for _, name in socket.if_nameindex()],
                "web_studies": len(by_web),
                "dimse_studies": len(by_dimse),
                "filtered": len(filtered),
                "web_got": len(got_web),
                "dimse_got": len(got_dimse),
                "move_got": len(got_move),
                "web": compare(folder / "web", originals),
                "dimse": compare(folder / "dimse", originals),
                "move": compare(folder / "move", originals),
                **dropped(folder / "dropped", one.StudyInstanceUID),
            }
        result |= with_tls_and_caps(folder, paths)
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
