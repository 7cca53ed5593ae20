"""Files of a table: CSV, Parquet, spreadsheets, and files of SAS, SPSS and Stata."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from healthval.cohort.csv_files import read_columns
from healthval.errors import CohortError, UsageError, counted, part
from healthval.files import install_command

if TYPE_CHECKING:
    import pandas as pd

_PARQUET = frozenset({".parquet", ".pq"})
_STATISTICS = {
    ".sas7bdat": "read_sas7bdat",
    ".xpt": "read_xport",
    ".sav": "read_sav",
    ".zsav": "read_sav",
    ".dta": "read_dta",
}


def read_table_file(
    path: Path, wanted: Collection[str] | None = None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read the file of a table by its suffix; a file with another suffix is read as CSV.

    ``book.xlsx#Sheet`` names a sheet; without a name the first one is read.

    Parameters
    ----------
    wanted : names of the columns to read from CSV and Parquet; all by default

    Returns
    -------
    The table, and the names of the columns that were not read.

    Raises
    ------
    CohortError
        If the file is absent or cannot be read.
    """
    name, _, sheet = path.name.partition("#")
    if sheet and not path.exists():
        path = path.with_name(name)
    suffix = path.suffix.lower()
    if path.is_dir():
        return _read_folder(path, wanted)
    if not path.is_file():
        raise CohortError("the file of the table does not exist; check the path")
    if suffix in _PARQUET:
        return _read_parquet(path, wanted)
    if suffix in {".xlsx", ".xlsm"}:
        return _read_sheet(path, sheet), ()
    if suffix in _STATISTICS:
        return _read_statistics(path, _STATISTICS[suffix]), ()
    return read_columns(path, wanted)


def _read_folder(
    path: Path, wanted: Collection[str] | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a folder of Parquet parts; ``key=value`` folders become columns."""
    visible = [
        file
        for file in path.rglob("*")
        if file.is_file() and not file.name.startswith(("_", ".")) and file.suffix != ".crc"
    ]
    others = [file for file in visible if file.suffix.lower() not in _PARQUET]
    if not visible or others:
        raise CohortError(
            f"the table is a folder with {counted(len(visible), 'file')}, and "
            f"{counted(len(others), 'is', 'are')} not Parquet; give one file, or a folder of Parquet "
            "files"
        )
    return _read_parquet(path, wanted)


def _read_parquet(
    path: Path, wanted: Collection[str] | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    import pandas as pd

    try:
        names, keys = _parquet_names(path)
        chosen = names if wanted is None else [name for name in names if name in wanted]
        is_part = len(chosen) < len(set(names))
        frame = pd.read_parquet(path, columns=chosen if is_part else None, partitioning=keys)
    except (CohortError, UsageError):
        raise
    except ImportError:
        raise UsageError(f"reading Parquet needs pyarrow: {install_command('tables')}") from None
    except Exception:  # the parser may quote the file
        raise CohortError("the table cannot be read as Parquet; export it again") from None
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.CategoricalDtype):  # a key of the partitions
            frame[name] = frame[name].astype(object)
    stored = [
        f"__index_level_{at}__" if name is None else name
        for at, name in enumerate(frame.index.names)
    ]
    if set(stored) <= set(names) - set(frame.columns):
        frame = frame.reset_index(names=stored)
    return frame, tuple(name for name in names if name not in frame.columns)


def _parquet_names(path: Path) -> tuple[list[str], Any]:
    """Names of all columns, and how ``key=value`` folders are read: as text, with leading zeros.

    Raises
    ------
    CohortError
        If files of a folder differ in their columns, or if a column is text in some of them only.
    """
    import pyarrow as pa
    from pyarrow import dataset

    folders = [file.relative_to(path).parts[:-1] for file in path.rglob("*")]
    keys = dict.fromkeys(f.partition("=")[0] for parts in folders for f in parts if "=" in f)
    how = dataset.partitioning(pa.schema([(key, pa.string()) for key in keys]), flavor="hive")
    files = dataset.dataset(path, format="parquet", partitioning=how)
    forms = [_form(file.physical_schema) for file in files.get_fragments()]
    n_other = sum(not _is_alike(form, forms[0]) for form in forms)
    if n_other:
        raise CohortError(
            f"the folder's files differ: {part(n_other, len(forms), 'file', 'have')} other columns than"
            " the first one, or text where it has numbers; export them again in one form"
        )
    return list(files.schema.names), how


def _form(schema: Any) -> dict[str, bool | None]:
    """Whether each column is text, also as a dictionary; None without any value."""
    import pyarrow as pa

    def is_text(kind: Any) -> bool | None:
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        return None if pa.types.is_null(kind) else bool(text)

    return {field.name: is_text(field.type) for field in schema}


def _is_alike(form: dict[str, bool | None], other: dict[str, bool | None]) -> bool:
    return form.keys() == other.keys() and all(
        None in (form[name], other[name]) or form[name] == other[name] for name in form
    )


def _read_sheet(path: Path, sheet: str) -> pd.DataFrame:
    """Read one sheet of a workbook: header in its first row, cells as stored."""
    try:
        import openpyxl  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise UsageError(
            f"reading .xlsx needs openpyxl: {install_command('files')}, or save as CSV"
        ) from None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        names = book.sheetnames
        known = not sheet or sheet in names
        page = book[sheet if sheet and known else names[0]]
        rows = [list(row) for row in page.iter_rows(values_only=True)]
        book.close()
    except Exception:  # the parser may quote the file
        raise CohortError("the table cannot be read as .xlsx; save it again, or as CSV") from None
    if not known:
        raise CohortError(
            f"the workbook has no sheet of that name among {counted(len(names), 'sheet')}; correct the "
            "name after '#'"
        )
    return _table_of(rows)


def _table_of(rows: list[list[Any]]) -> pd.DataFrame:
    """Table of a sheet's rows, the first of which is the header; without empty rows and columns at the end."""
    import pandas as pd

    while rows and all(cell is None for cell in rows[-1]):
        rows.pop()
    if not rows:
        raise CohortError("the sheet is empty; name another sheet after '#', as in book.xlsx#Data")
    header = ["" if name is None else str(name) for name in rows[0]]
    while header and not header[-1] and all(row[len(header) - 1] is None for row in rows):
        header.pop()
    outside = [
        n for n, row in enumerate(rows[1:]) if any(c is not None for c in row[len(header) :])
    ]
    if outside:
        raise CohortError(
            f"{counted(len(outside), 'row has', 'rows have')} cells beside the header line (first at "
            f"row {outside[0]}); name each column in the first row"
        )
    cells = [row[: len(header)] for row in rows[1:]]
    return pd.DataFrame(cells, columns=header, dtype=object)


def _read_statistics(path: Path, reader: str) -> pd.DataFrame:
    """Read a file of SAS, SPSS or Stata; codes stay codes, and user-defined missing values are missing."""
    try:
        import pyreadstat  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise UsageError(
            f"reading SAS, SPSS or Stata files needs pyreadstat: {install_command('files')}"
        ) from None
    try:
        frame, _ = getattr(pyreadstat, reader)(str(path))
    except Exception:  # the parser may quote the file
        raise CohortError("the table cannot be read; export it again, or as CSV") from None
    return frame  # type: ignore[no-any-return]
