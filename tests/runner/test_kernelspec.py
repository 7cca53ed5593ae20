"""The kernel "Python 3 (healthval)": installed, started, shown by the doctor, removed."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import start_new_kernel

from healthval.cli import cli
from healthval.errors import UsageError
from healthval.runner.doctor import diagnose
from healthval.runner.kernelspec import DISPLAY_NAME, NAME, install_kernel, remove_kernel


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """Keep Jupyter's folders of this user and of this environment out of the test."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "environment" / "share" / "jupyter"))
    monkeypatch.chdir(tmp_path)


def doctor():
    return next(found for found in diagnose() if found.what == "kernel healthval")


@pytest.mark.parametrize("user", [True, False])
def test_the_kernel_starts_and_is_removed(tmp_path, user):
    assert (doctor().ok, doctor().detail) == (False, "healthval kernel install")
    folder = install_kernel(user=user)
    assert folder.is_relative_to(tmp_path / ("data" if user else "environment"))
    assert KernelSpecManager().get_kernel_spec(NAME).display_name == DISPLAY_NAME
    assert doctor().ok
    manager, client = start_new_kernel(kernel_name=NAME)
    try:
        found = []
        code = "import os; print(os.environ['PYTHONHASHSEED'], os.environ['OMP_NUM_THREADS'], os.environ.get('HEALTHVAL_RUN'))"
        client.execute_interactive(code, output_hook=found.append, timeout=120)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "".join(m["content"].get("text", "") for m in found).split() == ["0", "1", "None"]
    assert remove_kernel() == [folder]
    assert NAME not in KernelSpecManager().find_kernel_specs()
    with pytest.raises(UsageError, match="no kernel 'healthval' is installed"):
        remove_kernel()


def test_the_command_replaces_a_kernel_of_another_environment():
    folder = install_kernel()
    spec = json.loads((folder / "kernel.json").read_text(encoding="utf-8"))
    spec["argv"][0] = "/gone/python"
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    assert doctor().detail.startswith("of another environment")
    assert CliRunner().invoke(cli, ["kernel", "install"]).output == f"installed {folder}\n"
    assert doctor().ok
    assert CliRunner().invoke(cli, ["kernel", "remove"]).output == f"removed {folder}\n"


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(monkeypatch):
    Path("file").touch()
    monkeypatch.setattr(sys, "prefix", str(Path("file").absolute()))
    with pytest.raises(UsageError, match="use --user"):
        install_kernel()
