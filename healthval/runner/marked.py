"""The folder `identifiable/`, marked as the place of executed notebooks that may show patient data."""

import os
from pathlib import Path

IDENTIFIABLE = "identifiable"
WARNING = (
    "This folder contains executed notebooks that may show patient data.\n"
    "Keep it inside the hospital; never convert, mail or upload its files.\n"
)
# Set in the kernels of `healthval run` and `healthval batch`, whose copies are in the marked folder.
RUN_BY_HEALTHVAL = "HEALTHVAL_RUN"


def mark_identifiable(folder: Path) -> None:
    """Make a folder private and add a README that its files may show patients."""
    folder.chmod(0o700)
    (folder / "README.txt").write_text(WARNING, encoding="utf-8")


def place_of_outputs() -> str:
    """Return a line for an executed notebook: whether its outputs are in the marked folder."""
    if os.environ.get(RUN_BY_HEALTHVAL) or IDENTIFIABLE in Path.cwd().parts:
        return f"The executed copy of this notebook is kept in {IDENTIFIABLE}/."
    return (
        "The outputs of this notebook may show patient data and are saved with it, outside a folder"
        f" {IDENTIFIABLE}/: the program that runs it chooses the place. Clear them before you share"
        f" the file, or use `healthval run evaluate`, which keeps its copy in {IDENTIFIABLE}/."
    )
