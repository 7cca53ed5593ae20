"""Coverage-guided fuzzing of the parser boundary; a run by hand or in CI, not part of `pytest`.

    pip install atheris
    python tests/deid/fuzz_parser.py -max_total_time=60 -max_len=4096

Claims: any bytes end in an output without the planted name, in a refusal by reason, or in
LeakFound; never in another exception, and never with the name in a message.
"""

import shutil
import struct
import sys
import tempfile
import traceback
from contextlib import nullcontext
from pathlib import Path

try:
    import atheris
except ImportError:  # collected for doctests where it is not installed
    atheris = None

with atheris.instrument_imports(include=["healthval", "pydicom"]) if atheris else nullcontext():
    from healthval.deid import PixelPolicy, Policy, Secret, audit, deidentify_files
    from healthval.errors import HealthvalError

SECRET = Secret(bytes(range(32)))
POLICY = Policy(options={"clean-structured-content"}, pixels=PixelPolicy(sign_off="Fuzz"))
NAME = b"Canaryx^Name"
FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-deid-"))


def element(tag, vr, value):
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + struct.pack("<H", len(value)) + value


SEED = (
    bytes(128)
    + b"DICM"
    + element(0x00020010, b"UI", b"1.2.840.10008.1.2.1\0")
    + element(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0")
    + element(0x00100010, b"PN", NAME)
    + element(0x00280010, b"US", b"\2\0")
)


def one_input(data):
    source, out = FOLDER / "in.dcm", FOLDER / "out"
    shutil.rmtree(out, ignore_errors=True)
    source.write_bytes(SEED + data if len(data) % 2 else data)
    try:
        made = deidentify_files(source, out, POLICY, SECRET)
    except HealthvalError as stopped:
        shown = "".join(traceback.format_exception(stopped))
        if "anaryx" in shown:
            raise AssertionError("a message quotes a value") from stopped
        return
    for output in made.outputs:
        assert not audit(source, output)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
