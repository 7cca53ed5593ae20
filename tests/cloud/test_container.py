"""The images: pinned, without root, and entry points that run from the context alone, without docker."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from healthval.cli.model import model as model_command
from healthval.cloud.container import write_context
from healthval.errors import HostingError, UsageError
from healthval.hosting.child_process import ChildProcess

CONTAINER = Path(__file__).parents[2] / "infra" / "container"
FILES = sorted(CONTAINER.glob("*.Dockerfile"))
HASH = "--hash=sha256:" + "a" * 64
INFERENCE = """
def load(folder):
    return float((folder / "slope.txt").read_text())

def predict(slope, instances):
    return [slope * row["x"] for row in instances]
"""


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "vendor"
    folder.mkdir()
    (folder / "inference.py").write_text(INFERENCE, encoding="utf-8")
    (folder / "slope.txt").write_text("0.25", encoding="utf-8")
    return folder


def instructions(path):
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [line.split(maxsplit=1) for line in lines]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_an_image_is_pinned_runs_without_root_and_installs_by_hash(path):
    found = instructions(path)
    words = [word for word, _ in found]
    assert set(words) <= {"FROM", "ENV", "COPY", "RUN", "USER", "EXPOSE", "ENTRYPOINT", "CMD"}
    assert all(
        re.fullmatch(r"\S+:\S+@sha256:[0-9a-f]{64}", rest) for word, rest in found if word == "FROM"
    )
    users = [rest for word, rest in found if word == "USER"]
    assert users == ["10001"]
    assert words.index("USER") > max(i for i, word in enumerate(words) if word in {"RUN", "COPY"})
    installs = [part for word, rest in found if word == "RUN" for part in rest.split("&&")]
    assert all(
        "--require-hashes" in part and "--no-deps" in part for part in installs if "pip" in part
    )
    for word, rest in found:
        if word in {"ENTRYPOINT", "CMD"}:
            assert all(isinstance(argument, str) for argument in json.loads(rest))


def test_the_worker_copies_files_that_exist_and_names_its_handler():
    root = CONTAINER.parents[1]
    copied = [
        rest.split()[:-1]
        for word, rest in instructions(CONTAINER / "worker.Dockerfile")
        if word == "COPY"
    ]
    assert all((root / name).exists() for names in copied for name in names)
    command = json.loads(dict(instructions(CONTAINER / "worker.Dockerfile"))["CMD"])[0]
    module, _, name = command.rpartition(".")
    code = f"import {module} as m; assert callable(m.{name})"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
    assert "awslambdaric==" in (root / "requirements" / "worker.txt").read_text(encoding="utf-8")


def test_the_entry_point_serves_from_the_context_alone(model, tmp_path):
    context = write_context(model, tmp_path / "out" / "context")
    entry = json.loads(dict(instructions(context.folder / "Dockerfile"))["ENTRYPOINT"])
    command = [sys.executable, "-S", *entry[1:], "serve", "--model", str(context.folder / "model")]
    # -S: no installed package; the server's own parts come from the context
    env = {"PYTHONPATH": str(context.folder), "PATH": "/usr/bin:/bin"}
    start = [*command, "--port", "0", "--die-with-parent"]
    with (tmp_path / "log").open("ab") as log:
        child = ChildProcess(start, log=log, environment=env)
    try:
        url = f"http://127.0.0.1:{child.first_line()['ready']}"
        assert httpx.get(f"{url}/ping", trust_env=False).status_code == 200
        body = {"instances": [{"x": 1.0}, {"x": 2.0}]}
        answer = httpx.post(f"{url}/invocations", json=body, trust_env=False, timeout=300)
        assert answer.json() == {"scores": [0.25, 0.5]}, answer.text
    finally:
        child.stop()


def test_a_context_is_complete_and_the_commands_name_its_image(model, tmp_path):
    (model / "requirements.txt").write_text(f"numpy==2.1.0 \\\n    {HASH}\n# none\n", "utf-8")
    context = write_context(model, tmp_path / "context")
    copied = [
        rest.split()[:-1]
        for word, rest in instructions(context.folder / "Dockerfile")
        if word == "COPY"
    ]
    assert all((context.folder / name).exists() for names in copied for name in names)
    assert (context.folder / "requirements.txt").read_text("utf-8").startswith("numpy==2.1.0")
    build = context.commands("tumour")[2]
    assert build.endswith(str(context.folder))
    assert f"healthval/tumour:{context.artefact_sha256[:16]} " in build
    with pytest.raises(UsageError, match="exists"):
        write_context(model, context.folder)


@pytest.mark.parametrize(
    "lock",
    ["numpy\n", "numpy==2.1.0\n", f"numpy>=2 {HASH}\n", "-e .\n", "https://x.example/a.whl\n"],
)
def test_a_lock_without_versions_or_hashes_is_refused_and_nothing_is_written(model, tmp_path, lock):
    (model / "requirements.txt").write_text(lock, encoding="utf-8")
    with pytest.raises(UsageError, match="1 line has no exact version"):
        write_context(model, tmp_path / "context")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["vendor"]


def test_a_folder_without_a_model_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(HostingError, match=r"inference\.py"):
        write_context(tmp_path / "empty", tmp_path / "context")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


def test_the_command_prints_how_to_build_and_push(model, tmp_path):
    words = ["container", str(model), "-o", str(tmp_path / "context"), "--group", "tumour"]
    done = CliRunner().invoke(model_command, words)
    assert done.exit_code == 0
    assert "docker push" in done.output
    assert (tmp_path / "context" / "Dockerfile").is_file()


def test_the_folder_of_model_new_is_taken_and_missing_packages_are_named(model, tmp_path):
    (tmp_path / "ward").mkdir()
    model.rename(tmp_path / "ward" / "artefact")
    words = ["container", str(tmp_path / "ward"), "-o", str(tmp_path / "context")]
    done = CliRunner().invoke(model_command, words)
    assert done.exit_code == 0
    assert "no requirements.txt in" in done.output
    assert (tmp_path / "context" / "model" / "inference.py").is_file()
    lock = tmp_path / "ward" / "artefact" / "requirements.txt"
    lock.write_text(f"numpy==2.0 {HASH}\n", encoding="utf-8")
    again = CliRunner().invoke(model_command, [*words[:-1], str(tmp_path / "again")])
    assert "no requirements.txt" not in again.output
