"""Model servers as child processes: a slow start is not a failure, a failed one has its reason."""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace

import pytest

from healthval.hosting.artefact import pack
from healthval.hub.backends.memory import MemoryObjects
from healthval.hub.backends.model_process import MAX_SOCKET_BYTES, HostOptions, remove_leftovers
from healthval.hub.backends.processes import ProcessHost
from healthval.hub.ports import HostedModel, HostUnavailable, ModelFailed

MODEL = HostedModel(
    name="tumour", version="1.0", artefact="0" * 64, memory_mb=1024, max_concurrency=1
)
IMPORTS = "import os, subprocess, sys, time"
BODY = b'{"instances": [1]}'


@pytest.fixture
def host(tmp_path):
    """Make hosts of a model with this code in `load`."""
    made = []

    def make(load, scores="return [0.5] * len(instances)", **options):
        folder = tmp_path / "model"
        folder.mkdir()
        code = f"{IMPORTS}\ndef load(model_dir):\n    {load}\ndef predict(model, instances):\n    {scores}\n"
        (folder / "inference.py").write_text(code, encoding="utf-8")
        packed = pack(folder)
        model = replace(MODEL, artefact=hashlib.sha256(packed).hexdigest())
        objects = MemoryObjects({f"objects/{model.artefact}.bin": packed})
        settings = HostOptions(hidden=tmp_path / "models", isolated=False, **options)
        made.append(ProcessHost(objects, tmp_path / "models", settings))
        made[-1].model = model
        return made[-1]

    yield make
    for running in made:
        running.close()


def slow(gate):
    return f"while not os.path.exists({str(gate)!r}): time.sleep(0.01)"


def test_a_model_that_is_still_loading_is_awaited_by_the_next_call(host, tmp_path):
    gate = tmp_path / "gate"
    models = host(slow(gate), wait_seconds=0.05)
    assert models.status(models.model) == "stopped"
    for call in (lambda: models.start(models.model), lambda: models.invoke(models.model, BODY)):
        with pytest.raises(HostUnavailable):
            call()
        assert models.status(models.model) == "starting"
    gate.touch()
    end = time.monotonic() + 300
    while models.status(models.model) != "serving":
        assert time.monotonic() < end
        time.sleep(0.01)
    models.start(models.model)
    assert models.invoke(models.model, BODY) == b'{"scores": [0.5]}'


def test_a_model_that_does_not_load_fails_with_its_reason_each_time(host):
    models = host("raise ValueError")
    for _ in range(2):
        with pytest.raises(ModelFailed, match=r"^the model does not load: ValueError$"):
            models.start(models.model)
        assert models.status(models.model) == "stopped"


def test_a_model_server_that_ends_while_it_loads_fails_at_once(host):
    models = host("os._exit(5)", wait_seconds=300)
    with pytest.raises(ModelFailed, match="ended with exit code 5"):
        models.start(models.model)


def test_a_model_that_never_loads_fails_after_the_upper_bound(host, tmp_path):
    models = host(slow(tmp_path / "never"), start_seconds=0.5)
    with pytest.raises(ModelFailed, match=r"did not answer within 0\.5 s"):
        models.start(models.model)
    assert models.status(models.model) == "stopped"


def test_a_model_is_stopped_while_it_loads(host, tmp_path):
    models = host(slow(tmp_path / "never"), wait_seconds=0)
    with pytest.raises(HostUnavailable):
        models.start(models.model)
    models.stop(models.model)
    assert models.status(models.model) == "stopped"


def test_a_broken_artefact_is_the_models_failure_and_leaves_no_folder(host, tmp_path):
    models = host("pass")
    model = replace(models.model, artefact=hashlib.sha256(b"no archive").hexdigest())
    models._objects.entries[f"objects/{model.artefact}.bin"] = b"no archive"
    with pytest.raises(ModelFailed, match="neither a ZIP nor a tar file"):
        models.start(model)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_stored_artefact_with_other_bytes_is_never_started(host):
    models = host("pass")
    key = f"objects/{models.model.artefact}.bin"
    models._objects.entries[key] += b"\0"
    with pytest.raises(ModelFailed, match="not the registered one"):
        models.start(models.model)


def test_a_model_server_that_ends_during_each_call_is_the_models_failure(host):
    models = host("pass", scores="os._exit(7)")
    with pytest.raises(ModelFailed, match="ended before it answered"):
        models.invoke(models.model, BODY)


def test_each_start_unpacks_anew_and_each_stop_leaves_nothing(host, tmp_path):
    models = host("pass")
    models.start(models.model)
    (run,) = (tmp_path / "models").iterdir()
    (run / "model" / "inference.py").write_text("raise ValueError", encoding="utf-8")
    models.stop(models.model)
    assert list((tmp_path / "models").iterdir()) == []
    assert models.invoke(models.model, BODY) == b'{"scores": [0.5]}'


def test_folders_of_a_killed_hub_are_deleted_and_those_of_a_running_hub_stay(host, tmp_path):
    models = host("pass")
    models.start(models.model)
    left = tmp_path / "models" / "run-killed"
    left.mkdir()
    remove_leftovers(tmp_path / "models")
    assert not left.exists()
    assert models.invoke(models.model, BODY) == b'{"scores": [0.5]}'


@pytest.fixture(params=["short", "long"])
def killed(request, artefact, tmp_path, monkeypatch):
    """Folder of a killed hub's models, and the folder for temporary files."""
    short = tmp_path / "t"
    short.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    models = short / ("m" if request.param == "short" else "m" * 100)
    code = (
        "import os, sys, pathlib\n"
        "from healthval.hub.backends.memory import MemoryObjects\n"
        "from healthval.hub.backends.model_process import HostOptions\n"
        "from healthval.hub.backends.processes import ProcessHost\n"
        "from healthval.hub.ports import HostedModel\n"
        "packed, home = pathlib.Path(sys.argv[1]).read_bytes(), pathlib.Path(sys.argv[2])\n"
        "objects = MemoryObjects({f'objects/{sys.argv[3]}.bin': packed})\n"
        "host = ProcessHost(objects, home, HostOptions(hidden=home, isolated=False))\n"
        "host.start(HostedModel(name='tumour', version='1.0', artefact=sys.argv[3],"
        " memory_mb=1024, max_concurrency=1))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    packed = tmp_path / "artefact"
    packed.write_bytes(artefact)
    names = [str(packed), str(models), hashlib.sha256(artefact).hexdigest()]
    environment = {**os.environ, "TMPDIR": str(short)}
    ended = subprocess.run([sys.executable, "-c", code, *names], env=environment, check=False)
    assert ended.returncode == -9
    return models, short


def test_a_killed_hub_leaves_nothing_outside_its_folder_after_the_next_start(killed):
    models, temporary = killed
    assert [path.name[:4] for path in models.iterdir()] == ["run-"]
    remove_leftovers(models)
    assert [path.name for path in temporary.iterdir()] == [models.name]
    assert list(models.iterdir()) == []


def test_a_socket_is_in_the_folder_of_its_model_where_its_path_is_short(killed):
    models, temporary = killed
    is_short = len(f"{models.resolve()}/run-abcdefgh/s") <= MAX_SOCKET_BYTES
    assert (len(list(temporary.iterdir())) == 1) is is_short


def test_a_group_above_its_memory_is_ended_with_that_reason(host):
    hungry = "[subprocess.Popen([sys.executable, '-c', EAT]) for _ in range(3)]; time.sleep(300)"
    models = host(
        "global EAT; EAT = 'import time; x = bytearray(400 << 20); time.sleep(300)'", scores=hungry
    )
    with pytest.raises(ModelFailed, match="exceeded its memory"):
        models.invoke(models.model, BODY)
