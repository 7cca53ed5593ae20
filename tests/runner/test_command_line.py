"""The command line: every command explains itself, errors are one line with their exit code."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from healthval.cli import cli
from healthval.cli.deid import OPTIONS
from healthval.deid import Option


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


def test_the_options_of_deid_are_those_of_the_engine():
    assert set(OPTIONS) == {str(option) for option in Option}


def healthval(*words):
    return subprocess.run(
        [sys.executable, "-m", "healthval", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("run", "evalute"), 2, "provision, evaluate, report"),
        (("params", "nothing"), 2, "choose one of"),
        (("deid", "--secret", "/dev/null"), 2, "--out"),
        (("verify", "."), 2, "public key"),
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
