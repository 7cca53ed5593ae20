"""A real PACS: retrieved files have the stored pixels, and no names once de-identified."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("pacs_round_trip.py")
N_FILES = 5


def namespace():
    """Command that runs a child in a separate network and process namespace."""
    flags = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), *flags]


def why_not():
    for program in ("Orthanc", "unshare", "ip"):
        if shutil.which(program) is None:
            return f"{program} is not installed; see tests/install_programs.sh"
    tried = subprocess.run([*namespace(), "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "no network namespace can be made here"


@pytest.mark.pacs
def test_store_search_retrieve_deidentify_compare():
    pytest.importorskip("pynetdicom")
    pytest.importorskip("dicomweb_client")
    reason = why_not()
    if reason:
        pytest.skip(reason)
    command = [*namespace(), sys.executable, "-W", "ignore", str(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert "eth0" not in result["interfaces"]
    assert "lo" in result["interfaces"]
    assert result["web_studies"] == result["dimse_studies"] > 1
    assert result["filtered"] == 1
    assert result["web_got"] == result["dimse_got"] == result["move_got"] == N_FILES
    for door in ("web", "dimse", "move"):
        assert result[door] == {
            "out": N_FILES,
            "same_pixel_bytes": N_FILES - 1,  # one has a comment in its frame, which is removed
            "names": 0,
            "same_arrays": N_FILES,
        }
    assert "ended its transfer early" in result["dropped"]
    assert result["broken_files"] == 0
    assert result["after"] == result["again"] == 1
    assert "not complete" in result["capped_web"]
    assert "shorter periods" in result["capped_dimse"]
    assert result["tls_get"] == result["tls_move"] == N_FILES
    assert "TLS" in result["without_tls"]
