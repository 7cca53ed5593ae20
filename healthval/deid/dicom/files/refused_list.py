"""Local list of refused files with reason and remedy; it names files and stays in the hospital."""

import csv
import io
import os
from pathlib import Path
from typing import Final

from healthval.deid.dicom.files.records import Records
from healthval.deid.refuse import Reason, remedy_of
from healthval.files import write_durably

NAME: Final = "refused.csv"


def identifiable_folder(out: Path) -> Path:
    """Folder beside the output, for files that name sources."""
    return out.with_name(f"{out.name}-identifiable")


def write_refused(out: Path, records: Records) -> Path | None:
    """Write the list of refused files beside the output; None, and no list, if there are none."""
    rows = [
        (os.path.abspath(file), reason, places, remedy_of(Reason(reason)))  # noqa: PTH100
        for file, reason, places in records.refused()
    ]
    target = identifiable_folder(out.absolute()) / NAME
    if not rows:
        target.unlink(missing_ok=True)
        return None
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("file (identifiable)", "reason", "places", "remedy"))
    writer.writerows(rows)
    write_durably(target, text.getvalue().encode("utf-8", "surrogateescape"))
    return target
