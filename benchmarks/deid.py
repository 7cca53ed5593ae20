"""De-identification speed: files per CPU-second, as ratios measured side by side in one run.

Run: python benchmarks/deid.py [files]. Each peer runs in the environment that peers.py made for it, with its
defaults, in one process.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import numpy as np
from peers import installed, interpreter
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import generate_uid

ROUNDS = 3
OURS = "from healthval.deid import Policy, Secret, audit, deidentify, deidentify_files\nsecret = Secret(bytes(range(32)))"
# name: (imports, work on `jobs`, goal)
METHODS = {
    "copy bytes": ("import shutil", "for s, t in jobs: shutil.copyfile(s, t)"),
    "copy bytes, 2 processes": (
        "import shutil",
        "child = os.fork()\n"
        "for s, t in jobs[bool(child) :: 2]: shutil.copyfile(s, t)\n"
        "if child: os.waitpid(child, 0)\n"
        "else: os._exit(0)",
    ),
    "pydicom read only": ("import pydicom", "for s, t in jobs: pydicom.dcmread(s)"),
    "pydicom read + write": (
        "import pydicom",
        "for s, t in jobs: pydicom.dcmread(s).save_as(t)",
    ),
    "ours in memory, with audit": (
        OURS + "\nimport pydicom",
        "for s, t in jobs:\n"
        "    deidentify(pydicom.dcmread(s), Policy(), secret).dataset.save_as(t)\n"
        "    assert not audit(s, t)",
    ),
    "ours spliced, with audit": (OURS, "deidentify_files(source, target, Policy(), secret)"),
    "ours, 2 processes": (OURS, "deidentify_files(source, target, Policy(), secret, workers=2)"),
    "dcmanon": (
        "import dcmanon",
        "a = dcmanon.Anonymizer()\nfor s, t in jobs: open(t, 'wb').write(a.anonymize(s))",
    ),
    "dicognito": (
        "import pydicom\nfrom dicognito.anonymizer import Anonymizer",
        "a = Anonymizer()\n"
        "for s, t in jobs:\n"
        "    with pydicom.dcmread(s) as d:\n"
        "        a.anonymize(d)\n"
        "        d.save_as(t)",
    ),
    "dicom-anonymizer": (
        "from dicomanonymizer import anonymize_dicom_file",
        "for s, t in jobs[:100]: anonymize_dicom_file(s, t)",
    ),
    "deid": (
        "import logging, sys\nlogging.disable(50)\nfrom deid.dicom import get_files, replace_identifiers\nfrom deid.config import DeidRecipe",
        "replace_identifiers(dicom_files=[s for s, _ in jobs[:50]], deid=DeidRecipe(), save=True, output_folder=target, overwrite=True)",
    ),
}
PART = {"dicom-anonymizer": 100, "deid": 50}
PEERS = {"dcmanon", "dicognito", "dicom-anonymizer", "deid"}
DRIVER = """
import json, os, resource, sys, time
source, target = sys.argv[1:3]
{imports}
os.makedirs(target, exist_ok=True)
jobs = [(os.path.join(source, n), os.path.join(target, n)) for n in sorted(os.listdir(source))]
def cpu():
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
before, wall = cpu(), time.perf_counter()
{work}
print("RESULT", json.dumps([cpu() - before, time.perf_counter() - wall]))
"""


def write_ct(folder, count):
    """Synthetic CT slices, 512 x 512 x 16 bit, with about 110 attributes like a scanner's."""
    random = np.random.default_rng(7)
    study, series, frame = (generate_uid() for _ in range(3))
    for number in range(count):
        ct = Dataset()
        ct.file_meta = FileMetaDataset()
        ct.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        ct.SpecificCharacterSet = "ISO_IR 100"
        ct.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ct.SOPClassUID, ct.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", generate_uid()
        ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.FrameOfReferenceUID = study, series, frame
        for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
            setattr(ct, keyword, "20240229")
        for keyword in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
            setattr(ct, keyword, "101112.131415")
        ct.PatientName, ct.PatientID, ct.AccessionNumber = (
            "Mustermann^Max",
            "MRN0012345",
            "ACC778899",
        )
        ct.PatientBirthDate, ct.PatientSex, ct.PatientAge = "19620312", "M", "061Y"
        ct.InstitutionName, ct.ReferringPhysicianName = "General Hospital", "Gregory^House"
        ct.StationName, ct.DeviceSerialNumber, ct.OperatorsName = "CT01", "54321", "Operator^One"
        ct.StudyDescription, ct.SeriesDescription, ct.ProtocolName = "CT Chest", "Axial", "Chest"
        ct.Manufacturer, ct.ManufacturerModelName, ct.Modality = "ACME", "Model 5", "CT"
        ct.PatientPosition, ct.BodyPartExamined, ct.ConvolutionKernel = "HFS", "CHEST", "B31f"
        ct.ImagePositionPatient, ct.ImageOrientationPatient = (
            [-250, -250, number],
            [1, 0, 0, 0, 1, 0],
        )
        ct.SamplesPerPixel, ct.PhotometricInterpretation = 1, "MONOCHROME2"
        ct.Rows, ct.Columns, ct.BitsAllocated, ct.BitsStored = 512, 512, 16, 12
        ct.HighBit, ct.PixelRepresentation, ct.PixelSpacing = 11, 0, [0.7, 0.7]
        ct.InstanceNumber, ct.SeriesNumber, ct.AcquisitionNumber = number + 1, 2, 1
        for keyword in ("KVP", "ExposureTime", "XRayTubeCurrent", "Exposure", "SliceThickness"):
            setattr(ct, keyword, 100)
        for keyword in ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"):
            setattr(ct, keyword, 1)
        for keyword in (
            "TableHeight",
            "GantryDetectorTilt",
            "DataCollectionDiameter",
            "SliceLocation",
        ):
            setattr(ct, keyword, 1.5)
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
            ct.SOPClassUID,
            generate_uid(),
        )
        ct.ReferencedImageSequence = [reference]
        for group in (0x0019, 0x0029, 0x0051):
            block = ct.private_block(group, "ACME CT HEADER", create=True)
            for element in range(10):
                block.add_new(element, "LO", f"private value {element}")
        ct.PixelData = random.integers(0, 4096, 512 * 512, dtype="u2").tobytes()
        ct["PixelData"].VR = "OW"
        ct.save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)


def run(name, source, base):
    """CPU and wall seconds of one method, or the reason why there are none."""
    imports, work = METHODS[name]
    python = interpreter(name) if name in PEERS else sys.executable
    if not Path(python).exists():
        return installed(name)
    target = base / uuid4().hex
    script = DRIVER.format(imports=imports, work=work)
    command = [python, "-c", script, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    empty(target)
    if lines:
        return json.loads(lines[-1].removeprefix("RESULT"))
    if name not in PEERS:
        sys.exit(done.stderr)
    reason = (done.stderr.strip() or "it printed no result").splitlines()[-1]
    return installed(name) if "not installed" in installed(name) else f"failed: {reason[:200]}"


def empty(folder):
    """Free the space, keep the files: ext4 searches long for a place beside inodes just deleted."""
    for file in folder.rglob("*"):
        if file.is_file():
            os.truncate(file, 0)


def measure(count):
    base = Path(tempfile.mkdtemp(prefix="bench-deid-"))
    try:
        source = base / "source"
        source.mkdir()
        write_ct(source, count)
        taken, missing = {name: [] for name in METHODS}, {}
        for _ in range(ROUNDS):
            for name in METHODS:
                if name in missing or (len(taken[name]) >= 2 and name in PART):
                    continue  # slow peers are measured twice
                found = run(name, source, base)
                if isinstance(found, str):
                    missing[name] = found
                else:
                    taken[name].append(found)
    finally:
        shutil.rmtree(base)
    cost = {
        name: [min(r[i] for r in runs) / min(PART.get(name, count), count) for i in (0, 1)]
        for name, runs in taken.items()
        if runs
    }
    return cost, missing


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    cost, missing = measure(count)
    base = cost["pydicom read + write"][0]
    print(f"{count} CT 512x512x16, least of {ROUNDS} rounds")
    spliced = cost["ours spliced, with audit"]
    print(
        f"{'step':30}{'files/cpu-s':>12}{'x read+write':>14}{'CPU / ours':>11}{'files/s wall':>14}"
    )
    for name in METHODS:
        if name in missing:
            print(f"{name:30}  {missing[name]}")
            continue
        cpu, wall = cost[name]
        ours = cpu / spliced[0]
        print(f"{name:30}{1 / cpu:12.1f}{base / cpu:14.2f}{ours:11.2f}{1 / wall:14.1f}")
    goals = [
        ("in memory with audit / read+write", base / cost["ours in memory, with audit"][0], 0.9),
        ("spliced with audit / read+write", base / spliced[0], 1.6),
        ("2 processes / 1, wall", spliced[1] / cost["ours, 2 processes"][1], 1.7),
    ]
    copied = cost["copy bytes"][1] / cost["copy bytes, 2 processes"][1]
    print(f"{'2 processes / 1 of copying, wall':40}{copied:6.2f}  this machine's limit")
    if "dcmanon" in cost:
        goals.append(("spliced with audit / dcmanon", cost["dcmanon"][0] / spliced[0], 1.3))
    for name, ratio, goal in goals:
        print(f"{name:40}{ratio:6.2f}  >= {goal}  {'met' if ratio >= goal else 'missed'}")


if __name__ == "__main__":
    main()
