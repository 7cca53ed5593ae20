"""Files of every room: written durably, locked, found in the package, read as YAML."""

import errno
import json
import os
import re
import secrets
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import yaml

from healthval.errors import HealthvalError, UsageError

_PACKAGE: Final = Path(__file__).parent
# Folders of a checkout that a wheel holds under another name.
_IN_CHECKOUT: Final = {"templates": "reports/templates", "fonts": "reports/fonts"}

_DISK: Final = {
    errno.ENOSPC: "the disk is full; free some space and run the command again",
    errno.EDQUOT: "your quota on the disk is used up; free some space and run the command again",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.EACCES: "permission to read or write a file or folder is missing; choose another folder",
}


def disk_problem(error: OSError) -> str | None:
    """Message for a disk or folder that the system refuses; without the path, which may name a patient."""
    if error.errno == errno.EACCES and error.filename is None:
        return None  # a port is refused without a file's name
    return _DISK.get(error.errno or 0)


def write_durably(
    path: Path,
    content: bytes,
    *,
    mode: int = 0o600,
    replace: bool = True,
    aside: Path | None = None,
) -> bool:
    """Write a file whole or not at all, and flush it to the disk.

    Parameters
    ----------
    path : final place; readers see the old file or the new one
    mode : permissions where the system has them; owner only by default
    replace : False keeps a file that exists
    aside : folder on the same disk for the unfinished file; beside `path` by default

    Returns
    -------
    bool
        False where the file existed and `replace` is False.

    Raises
    ------
    OSError
        If the folder cannot be written; no unfinished file is left.
    """
    draft = (aside or path.parent) / f".{path.name}.{secrets.token_hex(8)}"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if os.name != "nt":
            draft.chmod(mode)  # `os.open` subtracts the umask
        if not _put_in_place(draft, path, replace=replace):
            return False
    finally:
        draft.unlink(missing_ok=True)
    flush_folder(path.parent)
    return True


def _put_in_place(draft: Path, path: Path, *, replace: bool) -> bool:
    if replace:
        draft.replace(path)
        return True
    try:
        if os.name == "nt":
            draft.rename(path)  # refuses an existing target, on Windows only
        else:
            _link(draft, path)
    except FileExistsError:
        return False
    return True


def _link(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:
        # FAT and some network drives have no hard links: claim the name first, then fill it.
        path.touch(mode=0o600, exist_ok=False)
        draft.replace(path)


def flush_folder(folder: Path) -> None:
    """Flush the entries of a folder to the disk, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, *, seconds: float, busy: HealthvalError) -> Iterator[None]:
    """Hold a lock file against other processes and threads; the system releases it at their end.

    Parameters
    ----------
    path : the lock file, made where it is missing and kept
    seconds : how long to wait for another holder; -1 waits without a limit
    busy : raised where another process still holds the lock then
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=seconds)
    try:
        lock.acquire(poll_interval=0.01)
    except Timeout:
        raise busy from None
    try:
        yield
    finally:
        lock.release()


def packaged(name: str) -> Path:
    """Return a folder shipped with the package: `notebooks`, `templates`, `fonts`, `infra`, `examples`.

    Raises
    ------
    UsageError
        If the installation lacks it.
    """
    places = (_PACKAGE / "_share" / name, _PACKAGE.parent / _IN_CHECKOUT.get(name, name))
    for folder in places:
        if folder.is_dir():
            return folder
    raise UsageError(f"the installation lacks its folder '{name}'; install healthval again")


def install_command(extra: str) -> str:
    """Return the command that adds an extra, from where this installation came.

    A clone or a built file is named by its place (PEP 610): no index has what it contains.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        record = distribution("healthval").read_text("direct_url.json")
    except PackageNotFoundError:  # run from a checkout that is not installed
        record = json.dumps({"url": _PACKAGE.parent.as_uri()})
    origin = json.loads(record) if record else {}
    url = urlsplit(origin.get("url", ""))
    if url.scheme != "file":
        return f'pip install "healthval[{extra}]"'
    editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
    return f'pip install {editable}"{url2pathname(url.path)}[{extra}]"'


def packaged_text(name: str, *, encoding: str = "utf-8") -> str:
    """Return the text of a data file inside the package, such as `deid/data/types.csv`."""
    return (_PACKAGE / name).read_text(encoding=encoding)


def read_yaml(
    path: str | Path, *, what: str, remedy: str, error: type[HealthvalError] = UsageError
) -> dict[str, Any]:
    """Read a YAML mapping from a file, scalars as in YAML 1.2: `060`, `1:30`, `on` and dates are text.

    Parameters
    ----------
    what : the file in an error message, for example "the plan"
    remedy : what to do about it, for example "compare it with one of `healthval init`"

    Raises
    ------
    error
        If the file cannot be read, is not YAML, is not a mapping or has a field twice; names the
        line and quotes nothing.
    """
    text = _read_text(path, what=what, remedy=remedy, error=error)
    return parse_yaml(text, what=what, remedy=remedy, error=error)


def parse_yaml(
    text: str, *, what: str, remedy: str, error: type[HealthvalError] = UsageError
) -> dict[str, Any]:
    """Parse a YAML mapping from a text; see `read_yaml`."""
    values = _load_yaml(text, what=what, remedy=remedy, error=error)
    if not isinstance(values, dict):
        raise error(f"{what} is not a mapping of fields; {remedy}")
    return values


def read_yaml_list(
    path: str | Path, *, what: str, remedy: str, error: type[HealthvalError] = UsageError
) -> list[Any]:
    """Read a YAML list from a file; see `read_yaml`."""
    text = _read_text(path, what=what, remedy=remedy, error=error)
    values = _load_yaml(text, what=what, remedy=remedy, error=error)
    if not isinstance(values, list):
        raise error(f"{what} is not a list; {remedy}")
    return values


def _read_text(path: str | Path, *, what: str, remedy: str, error: type[HealthvalError]) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        place = Path(path).absolute()
        raise error(
            f"{what} cannot be read: {place.name} in the folder {place.parent}; check the path"
        ) from None
    except UnicodeDecodeError:
        raise error(f"{what} is not UTF-8 text; {remedy}") from None


def _load_yaml(text: str, *, what: str, remedy: str, error: type[HealthvalError]) -> Any:
    try:
        return yaml.load(text, _Yaml12)  # noqa: S506 - derived from the safe loader
    except yaml.YAMLError as found:
        mark = getattr(found, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        why = f": {found.problem}" if isinstance(found, _RefusedError) else ""
        raise error(f"{what} is not valid YAML{where}{why}; {remedy}") from None
    except (ValueError, RecursionError):  # digits or levels beyond Python's own limits
        raise error(f"{what} is not valid YAML; {remedy}") from None


class _RefusedError(yaml.constructor.ConstructorError):
    """A problem that is named by its own text; other texts of the parser quote the file."""


class _Yaml12(yaml.SafeLoader):
    """Scalars by the core schema of YAML 1.2, numbers without leading zeros; no field twice."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse a field that is written twice: the last one would win silently."""
        written: set[str] = set()
        read: set[Hashable] = set()  # 1 and 1.0 are one key
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                value = self.construct_object(key)
                if key.value in written or value in read:
                    raise _RefusedError(
                        problem="a field is written twice", problem_mark=key.start_mark
                    )
                written.add(key.value)
                read.add(value)
        with suppress(TypeError):  # a list or mapping as a key
            return super().construct_mapping(node, deep)
        raise _RefusedError(problem="a key is not a scalar", problem_mark=node.start_mark)

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        """Decimal, 0o octal or 0x hexadecimal."""
        return int(str(self.construct_scalar(node)), 0)


_SCALARS: Final = {
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(?:(?:0|[1-9][0-9]*)?\.[0-9]+|(?:0|[1-9][0-9]*)\.)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?(?:0|[1-9][0-9]*)[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "merge": ("<<", "<"),
}
for _tag, (_pattern, _first) in _SCALARS.items():
    _Yaml12.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(f"^(?:{_pattern})$"),
        ["" if first == "\0" else first for first in _first],
    )
_Yaml12.add_constructor("tag:yaml.org,2002:int", _Yaml12.construct_integer)


class _OneLine(yaml.SafeDumper):
    """Texts that YAML 1.1 or 1.2 reads as something else are quoted, and so are line breaks."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write a repeated value in full."""
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Double quotes, which have an escape for every character, unless all are printable."""
        style = None if text.isprintable() else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


for _tag, (_pattern, _first) in _SCALARS.items():
    _OneLine.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first.replace("\0", ""))
    )
_OneLine.add_representer(str, _OneLine.represent_text)


def yaml_line(value: Any) -> str:
    """Write a value as YAML on one line that readers of YAML 1.1 and 1.2 read alike.

    >>> yaml_line({"060": ["no", "1:30", 1e3], "plain": "text"})
    "{'060': ['no', '1:30', 1000.0], plain: text}"
    """
    text: str = yaml.dump(
        value,
        Dumper=_OneLine,
        default_flow_style=True,
        sort_keys=False,
        width=10**9,
        allow_unicode=True,
    )
    return text.strip().removesuffix("...").strip()
