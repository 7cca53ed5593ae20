"""A newcomer's walk: docs/pacs.md from a real PACS to a prediction."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Ends a hanging test; far beyond what a busy machine needs.
HANG_SECONDS = 1800
SCRIPT = Path(__file__).with_name("pacs_to_prediction.py")


def namespace():
    """Command that runs a child in a separate network and process namespace."""
    flags = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), *flags]


@pytest.mark.pacs
def test_the_page_leads_from_a_pacs_to_a_prediction():
    for program in ("Orthanc", "unshare", "ip"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; see tests/install_programs.sh")
    if subprocess.run([*namespace(), "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespace can be made here")
    command = [*namespace(), sys.executable, "-W", "ignore", str(SCRIPT)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=HANG_SECONDS
    )
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["flow"]["images_deidentified"] == result["flow"]["scored"] > 0
    assert result["canary"] == "unchanged"
    assert "signature valid, signer trusted" in result["shown"][3]
