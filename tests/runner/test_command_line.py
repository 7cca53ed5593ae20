"""The command line: a help text for every command, one line and an exit code for every error."""

import errno
import subprocess
import sys
from importlib.metadata import packages_distributions, requires

import click
import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

from healthval.cli import cli, main
from healthval.cli.deid import OPTIONS
from healthval.deid import Option
from healthval.errors import UsageError
from healthval.files import install_command

# Ends a hanging test; far beyond what a busy machine needs.
HANG_SECONDS = 1800


def commands(group=cli, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands())


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_and_option_has_a_help_text(path):
    assert ALL[path].help
    for parameter in ALL[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} of {' '.join(path)}"


@pytest.mark.parametrize("path", [(), *ALL], ids=" ".join)
def test_help_fits_a_narrow_terminal(path):
    shown = CliRunner().invoke(cli, [*path, "--help"], terminal_width=60, max_content_width=60)
    assert shown.exit_code == 0
    assert max(len(line) for line in shown.output.splitlines()) <= 78


@pytest.mark.parametrize("path", [(), ("access",), ("ledger",)], ids=" ".join)
def test_a_list_of_commands_is_not_cut_in_a_narrow_terminal(path):
    shown = CliRunner().invoke(cli, [*path, "--help"], terminal_width=60, max_content_width=60)
    assert "..." not in shown.output.partition("Commands:")[2]


def test_the_options_of_deid_are_those_of_the_engine():
    assert set(OPTIONS) == {str(option) for option in Option}


def healthval(*words):
    return subprocess.run(
        [sys.executable, "-m", "healthval", *words],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("run", "evalute"), 2, "provision, evaluate, report"),
        (("params", "nothing"), 2, "choose one of"),
        (("deid", "."), 2, "--out"),
        (("verify", "."), 25, "attestation.dsse.json is missing"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_a_wrong_call_is_one_line_and_its_exit_code(words, code, says):
    done = healthval(*words)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unexpected_failure_shows_its_kind_and_no_value(monkeypatch, capsys):
    import healthval.cli as command_line

    def fail(**_):
        raise ValueError("Zyxwvut-90210-Qqq")

    monkeypatch.setattr(command_line, "cli", fail)
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    said = capsys.readouterr().err
    assert stopped.value.code == 70
    assert "ValueError" in said
    assert "Zyxwvut" not in said


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (OSError(errno.ENOSPC, "Qqq", "Qqq.dcm"), 74, "the disk is full"),
        (OSError(errno.EROFS, "Qqq", "Qqq.dcm"), 74, "the disk is read-only"),
        (PermissionError(errno.EACCES, "Qqq", "Qqq.dcm"), 74, "permission to read or write a file"),
        (PermissionError(errno.EACCES, "Qqq"), 70, "unexpected PermissionError"),  # of a port
        (OSError(errno.EIO, "Qqq", "Qqq.dcm"), 70, "unexpected OSError"),
        (
            UnicodeEncodeError("utf-8", "Qqq\udce9", 3, 4, "surrogates not allowed"),
            74,
            "valid UTF-8",
        ),
        (UnicodeEncodeError("latin-1", "Qqq", 0, 1, "no such letter"), 70, "unexpected Unicode"),
    ],
)
def test_what_the_machine_refuses_is_named_without_the_file(monkeypatch, capsys, error, code, says):
    def fail(**_):
        raise error

    monkeypatch.setattr("healthval.cli.cli", fail)
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr().err
    assert stopped.value.code == code
    assert says in said
    assert "Qqq" not in said


@pytest.mark.parametrize("words", [["hub", "--operator", "boss.pub"], ["demo"]], ids=" ".join)
def test_a_hub_is_refused_on_windows_before_anything_is_written(monkeypatch, tmp_path, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.platform", "win32")
    result = CliRunner().invoke(cli, words)
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == "healthval's hub needs Linux or macOS"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ("fcntl", "healthval's hub needs Linux or macOS"),
        ("papermill", install_command("notebooks")),
        ("requests", install_command("dicom")),
        ("distributed.client", install_command("dask")),
        ("sklearn", install_command("demo")),
        ("unheard", "`healthval doctor` lists the missing parts"),
    ],
)
def test_a_missing_module_is_explained_with_its_remedy(monkeypatch, capsys, module, remedy):
    import healthval.cli as command_line

    def fail(**_):
        raise ModuleNotFoundError(name=module)

    monkeypatch.setattr(command_line, "cli", fail)
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    assert stopped.value.code == 2
    assert remedy in capsys.readouterr().err


def test_every_extra_that_an_error_names_brings_its_modules():
    import healthval.cli as command_line

    at = {name: set(of) for name, of in packages_distributions().items()}
    wanted = {
        (Requirement(line).name, str(Requirement(line).marker)) for line in requires("healthval")
    }
    for extra, modules in command_line._EXTRAS.items():
        own = {name.lower() for name, marker in wanted if f'extra == "{extra}"' in marker}
        # a module of the extra's own package, or of one that it needs
        deep = own | {Requirement(x).name.lower() for name in own for x in requires(name) or ()}
        for module in modules:
            found = {name.lower().replace("_", "-") for name in at[module]}
            assert found & deep, (extra, module)


@pytest.mark.parametrize(
    "module",
    [
        "healthval.cli",
        "healthval.runner",
        "healthval.runner.doctor",
        "healthval.runner.execute",
        "healthval.runner.new_study",
        "healthval.runner.operator_tasks",
    ],
)
def test_the_hospitals_commands_need_no_module_that_windows_lacks(module):
    code = (
        "import importlib, sys\n"
        "for name in ('fcntl', 'grp', 'pwd', 'resource', 'termios'):\n"
        "    sys.modules[name] = None\n"
        f"importlib.import_module({module!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG_SECONDS)


def test_an_interrupted_command_exits_with_130(monkeypatch, capsys):
    import healthval.cli as command_line

    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "cli", interrupted)
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    assert stopped.value.code == 130
    assert "completed work is kept" in capsys.readouterr().err


OWN = 'n: int = 1  # number\nname = "a"'


@pytest.fixture
def own(tmp_path, monkeypatch):
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    monkeypatch.chdir(tmp_path)
    cells = [
        new_code_cell(OWN, metadata={"tags": ["parameters"]}, id="p"),
        new_code_cell("n * 2, name", id="c"),
    ]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": spec}), "own.ipynb")
    return tmp_path


def test_a_notebook_of_ones_own_runs_with_papermills_options_in_the_marked_folder(own):
    shown = CliRunner().invoke(
        cli, ["run", "own.ipynb", "-p", "n", "4", "-r", "name", "7", "-o", "out/copy-{n}.ipynb"]
    )
    assert shown.exit_code == 0, shown.output
    copy = own / "out" / "identifiable" / "copy-4.ipynb"
    assert "(8, '7')" in copy.read_text(encoding="utf-8")


def test_what_a_kernel_writes_beside_its_messages_is_not_printed(own, capfd):
    """Its late errors come with tracebacks, which may quote values."""
    import nbformat
    from nbformat.v4 import new_code_cell

    own_notebook = nbformat.read("own.ipynb", as_version=4)
    write = "import os; os.write(2, b'Zebulon'); 6 * 7"  # ipykernel does not watch it under pytest
    own_notebook.cells.append(new_code_cell(write, id="w"))
    nbformat.write(own_notebook, "own.ipynb")
    shown = CliRunner().invoke(cli, ["run", "own.ipynb", "-o", "out"])
    assert shown.exit_code == 0, shown.output
    assert "42" in (own / "out" / "identifiable" / "own.ipynb").read_text(encoding="utf-8")
    assert "Zebulon" not in "".join(capfd.readouterr())


def test_parameters_of_ones_own_notebook_are_checked_before_a_kernel_starts(own):
    for words, place in (
        (["-p", "nn", "4"], "did you mean 'n'"),
        (["-p", "n", "Zebulon"], "n: Input should be a valid integer"),
        (["-o", "out/{site}.ipynb"], "is not a given parameter"),
    ):
        shown = CliRunner().invoke(cli, ["run", "own.ipynb", *words])
        assert isinstance(shown.exception, UsageError)
        assert place in str(shown.exception)
        assert "Zebulon" not in str(shown.exception)
    assert not (own / "runs").exists()


@pytest.mark.parametrize("words", [["run", "evaluate", "--help"], ["run", "own.ipynb", "--help"]])
def test_the_help_of_run_lists_the_parameters_of_the_named_notebook(own, words):
    shown = CliRunner().invoke(cli, words)
    assert shown.exit_code == 0
    assert ("site_folder" if words[1] == "evaluate" else "  n ") in shown.output


def test_parameters_have_a_json_schema(own):
    import json

    for name, field in (("evaluate", "hub_url"), ("own.ipynb", "n")):
        shown = CliRunner().invoke(cli, ["params", name, "--schema"])
        assert field in json.loads(shown.output)["properties"]
