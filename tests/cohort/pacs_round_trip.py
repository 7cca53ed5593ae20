"""Run inside a separate network namespace: store, search, retrieve, de-identify, compare.

Prints one line of JSON. Orthanc's bind option did not keep it on loopback, the namespace does.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import pydicom
from pydicom.data import get_testdata_file

from healthval.cohort import DimsePacs, WebPacs
from healthval.deid import PixelPolicy, Policy, Secret, deidentify_files

HTTP, DICOM = 18042, 14242
FILES = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm", "SC_rgb_jpeg_dcmtk.dcm")
PLUGINS = (
    "/usr/share/orthanc/plugins/libOrthancDicomWeb.so",
    "/usr/lib/x86_64-linux-gnu/orthanc/libOrthancDicomWeb.so",
)


def configuration(folder):
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
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(made))
    return path


def wait_until_ready():
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{HTTP}/system", timeout=1).read()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("Orthanc did not start")


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
        server = subprocess.Popen(
            ["Orthanc", str(configuration(folder))],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until_ready()
            store(paths)
            web = WebPacs(f"http://127.0.0.1:{HTTP}/dicom-web")
            dimse = DimsePacs("127.0.0.1", DICOM, "ORTHANC")
            by_web, by_dimse = list(web.search({})), list(dimse.search({}))
            one = originals[0]
            filtered = list(web.search({"PatientID": str(one.PatientID)}))
            got_web = list(web.retrieve([s.study for s in by_web], folder / "web"))
            got_dimse = list(dimse.retrieve([s.study for s in by_dimse], folder / "dimse"))
            result = {
                "interfaces": [name for _, name in socket.if_nameindex()],
                "web_studies": len(by_web),
                "dimse_studies": len(by_dimse),
                "filtered": len(filtered),
                "web_got": len(got_web),
                "dimse_got": len(got_dimse),
                "web": compare(folder / "web", originals),
                "dimse": compare(folder / "dimse", originals),
            }
        finally:
            server.terminate()
            server.wait(10)
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
