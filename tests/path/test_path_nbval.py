"""The notebooks run cell by cell under nbval, as a reader in JupyterLab would run them."""

import subprocess
import sys

import papermill
import pytest
from demo_process import HANG_SECONDS

from healthval.files import packaged


def prepared(name, parameters, folder):
    """A copy of a committed notebook with these parameters, not executed."""
    copy = folder / f"{name}.ipynb"
    papermill.execute_notebook(
        str(packaged("notebooks") / copy.name),
        str(copy),
        parameters=parameters,
        prepare_only=True,
        progress_bar=False,
    )
    return copy


@pytest.mark.filterwarnings("ignore")  # papermill and nbformat warn about each other
def test_every_notebook_passes_nbval(stage, tmp_path):
    stage.approved_site(tmp_path / "site")
    vendor = stage.inputs / "vendor"
    key = str(stage.folder / "operator.key")
    provision = {
        "hub_url": stage.url,
        "operator_key": key,
        "registration": str(vendor / "registration.yaml"),
        "artefact": str(vendor / "artefact"),
    }
    report = {
        "hub_url": stage.url,
        "operator_key": key,
        "plan": str(stage.inputs / "plan.yaml"),
        "out": str(tmp_path / "report"),
    }
    copies = [
        prepared("provision", provision, tmp_path),
        prepared("evaluate", stage.parameters(tmp_path / "site"), tmp_path),
        prepared("report", report, tmp_path),
    ]
    command = [sys.executable, "-m", "pytest", "-q", "--nbval-lax", "--nbval-current-env"]
    command.append(f"--nbval-kernel-startup-timeout={HANG_SECONDS}")
    isolated = ["-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*command, *isolated, *map(str, copies)],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "report" / "report.html").exists()
