"""Kernelspec "Python 3 (healthval)": this environment's interpreter as a kernel of JupyterLab."""

import json
import sys
import tempfile
from pathlib import Path

from healthval.errors import UsageError
from healthval.runner.execute import KERNEL_ENVIRONMENT

NAME = "healthval"
DISPLAY_NAME = "Python 3 (healthval)"
# In JupyterLab figures are shown by its own backend, and outputs are saved where the user works.
_INTERACTIVE = ("PYTHONHASHSEED", "TZ", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def install_kernel(*, user: bool = False) -> Path:
    """Install the kernelspec, in place of an earlier one; return its folder.

    It has the hash seed, time zone and single thread of `healthval run`, so that a notebook has the
    same numbers in JupyterLab.

    Parameters
    ----------
    user : for every Jupyter of this user instead of the one in this environment

    Raises
    ------
    UsageError
        If the folder of kernels cannot be written.
    """
    from jupyter_client.kernelspec import KernelSpecManager

    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": DISPLAY_NAME,
        "language": "python",
        "env": {name: KERNEL_ENVIRONMENT[name] for name in _INTERACTIVE},
        "metadata": {"debugger": True},
    }
    manager = KernelSpecManager()
    with tempfile.TemporaryDirectory() as made:
        (Path(made) / "kernel.json").write_text(json.dumps(spec, indent=1) + "\n", encoding="utf-8")
        try:
            return Path(
                manager.install_kernel_spec(
                    made, NAME, user=user, prefix=None if user else sys.prefix
                )
            )
        except OSError as failed:
            raise UsageError(
                f"the folder of kernels cannot be written ({failed.strerror}); use --user, or an "
                "environment that is yours"
            ) from None


def remove_kernel() -> list[Path]:
    """Remove every kernelspec of this name that Jupyter finds here; return their folders.

    Raises
    ------
    UsageError
        If there is none, or one cannot be removed.
    """
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    manager, removed = KernelSpecManager(), list[Path]()
    while NAME in manager.find_kernel_specs():
        try:
            removed.append(Path(manager.remove_kernel_spec(NAME)))
        except (OSError, NoSuchKernel):
            raise UsageError("the kernel is in a folder that you cannot write") from None
    if not removed:
        raise UsageError("no kernel 'healthval' is installed; `healthval kernel install` adds it")
    return removed


def interpreter_of_kernel() -> Path | None:
    """Return the interpreter that the installed kernelspec starts; None without a kernelspec."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        return Path(KernelSpecManager().get_kernel_spec(NAME).argv[0])
    except (NoSuchKernel, IndexError, ValueError):
        return None
