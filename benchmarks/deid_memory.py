"""De-identification memory: peak of one process over many small files, which must stay flat.

Run: python benchmarks/deid_memory.py [files]. Default 24000; a half and all are measured. Caches of
fixed size fill during the first 10000 files.
"""

import io
import subprocess
import sys
import tempfile
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file

STUDIES, PARTS = 100, 10
LIMIT = 60  # bytes that each further file may add to the peak
DRIVER = """
import resource, sys, time
from healthval.deid import Policy, Secret, deidentify_files
source, target, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
began = time.perf_counter()
made = deidentify_files([f"{source}/{n}" for n in range(count)], target, Policy(), Secret(bytes(range(32))))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(made.files_out, peak if sys.platform == "linux" else peak / 1024, time.perf_counter() - began)
"""


def write_small(folder, count):
    """Files of 16 x 16 pixels in `PARTS` folders, equal but for UIDs and the patient's number."""
    image = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    image.Rows = image.Columns = 16
    image.PixelData = image.PixelData[:512]
    del image[0xFFFCFFFC]
    image.PatientID, image.StudyInstanceUID = "MRN00000", "2.25.100000"
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = "2.25.1000000000"
    memory = io.BytesIO()
    image.save_as(memory)
    template = memory.getvalue()
    for part in range(PARTS):
        (folder / f"{part}").mkdir()
    for number in range(count):
        study = b"%05d" % (number % STUDIES)
        content = template.replace(b"MRN00000", b"MRN" + study)
        content = content.replace(b"2.25.100000\0", b"2.25.1" + study + b"\0")
        content = content.replace(b"2.25.1000000000", b"2.25.1%09d" % number)
        (folder / f"{number * PARTS // count}" / f"{number}.dcm").write_bytes(content)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 24_000
    with tempfile.TemporaryDirectory(prefix="bench-deid-") as base:
        source = Path(base) / "source"
        source.mkdir()
        write_small(source, count)
        peaks = []
        for part in (PARTS // 2, PARTS):
            target = str(Path(base) / f"out-{part}")
            command = [sys.executable, "-c", DRIVER, str(source), target, str(part)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            files, peak, seconds = done.stdout.split()
            peaks.append((int(files), float(peak)))
            print(f"{int(files):8} files{float(peak) / 1024:10.1f} MB peak{float(seconds):10.1f} s")
        (few, low), (many, high) = peaks[0], peaks[-1]
        each = (high - low) * 1024 / (many - few)
        state = "met" if each <= LIMIT else "missed"
        print(f"each further file adds {each:.0f} bytes  <= {LIMIT}  {state}")


if __name__ == "__main__":
    main()
