"""Model servers as child processes: a slow start is no failure, a failed one has its reason."""

import time

import pytest

from healthval.hosting.artefact import pack
from healthval.hub.backends.memory import MemoryObjects
from healthval.hub.backends.processes import ProcessHost
from healthval.hub.ports import HostedModel, HostUnavailable, ModelFailed

MODEL = HostedModel(
    name="tumour", version="1.0", artefact="0" * 64, memory_mb=1024, max_concurrency=1
)
SCORES = "def predict(model, instances): return [0.5] * len(instances)"
BODY = b'{"instances": [1]}'


@pytest.fixture
def host(tmp_path):
    """Make hosts of a model with this code in `load`."""
    made = []

    def make(load, **options):
        folder = tmp_path / "model"
        folder.mkdir()
        code = f"import os, time\ndef load(model_dir):\n    {load}\n{SCORES}\n"
        (folder / "inference.py").write_text(code)
        objects = MemoryObjects({f"objects/{MODEL.artefact}.bin": pack(folder)})
        made.append(ProcessHost(objects, tmp_path / "models", **options))
        return made[-1]

    yield make
    for running in made:
        running.close()


def slow(gate):
    return f"while not os.path.exists({str(gate)!r}): time.sleep(0.01)"


def test_a_model_that_is_still_loading_is_awaited_by_the_next_call(host, tmp_path):
    gate = tmp_path / "gate"
    models = host(slow(gate), wait_seconds=0.05)
    assert models.status(MODEL) == "stopped"
    for call in (lambda: models.start(MODEL), lambda: models.invoke(MODEL, BODY)):
        with pytest.raises(HostUnavailable):
            call()
        assert models.status(MODEL) == "starting"
    gate.touch()
    end = time.monotonic() + 300
    while models.status(MODEL) != "serving":
        assert time.monotonic() < end
        time.sleep(0.01)
    models.start(MODEL)
    assert models.invoke(MODEL, BODY) == b'{"scores": [0.5]}'


def test_a_model_that_does_not_load_fails_with_its_reason_each_time(host):
    models = host("raise ValueError")
    for _ in range(2):
        with pytest.raises(ModelFailed, match=r"^the model does not load: ValueError$"):
            models.start(MODEL)
        assert models.status(MODEL) == "stopped"


def test_a_model_server_that_ends_while_it_loads_fails_at_once(host):
    with pytest.raises(ModelFailed, match="ended with exit code 5"):
        host("os._exit(5)", wait_seconds=300).start(MODEL)


def test_a_model_that_never_loads_fails_after_the_upper_bound(host, tmp_path):
    models = host(slow(tmp_path / "never"), start_seconds=0.5)
    with pytest.raises(ModelFailed, match=r"did not answer within 0\.5 s"):
        models.start(MODEL)
    assert models.status(MODEL) == "stopped"


def test_a_model_is_stopped_while_it_loads(host, tmp_path):
    models = host(slow(tmp_path / "never"), wait_seconds=0)
    with pytest.raises(HostUnavailable):
        models.start(MODEL)
    models.stop(MODEL)
    assert models.status(MODEL) == "stopped"


def test_a_broken_artefact_is_the_models_failure_and_leaves_no_folder(host, tmp_path):
    models = host("pass")
    models._objects.entries[f"objects/{MODEL.artefact}.bin"] = b"no archive"
    with pytest.raises(ModelFailed, match="neither a ZIP nor a tar file"):
        models.start(MODEL)
    assert list((tmp_path / "models").iterdir()) == []
