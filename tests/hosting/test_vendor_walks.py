"""A vendor with a trained model of each library: the commands as the docs give them, up to a hub's scores.

Each walk trains and saves a model as its library's own guide does, starts a folder from it, fills in what
the folder asks for, checks it, and lets the model host of an embedded hub score the same rows. A library
that is not installed skips its walk.
"""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from healthval.cli import cli
from healthval.contracts.base import canonical_json
from healthval.errors import HostingError, UsageError
from healthval.hosting import sandbox
from healthval.hosting.artefact import pack
from healthval.runner.provision import read_registration

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="the hub needs Linux or macOS"),
    pytest.mark.filterwarnings("ignore"),  # of the libraries, while they save
]

ROWS = [[0.5, 1.0], [-2.0, 0.25], [1.5, -1.0]]


@pytest.fixture
def walk(tmp_path, monkeypatch):
    """A working folder with a training set; `new`, `fill`, `check` and `hosted` are the vendor's steps."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(11)
    x = rng.normal(size=(200, 2))
    y = (x[:, 0] - x[:, 1] + rng.normal(size=200) > 0).astype(int)
    table = pd.DataFrame(x, columns=["lactate", "pulse"])
    (tmp_path / "s.csv").write_text(
        "lactate,pulse\n" + "".join(f"{a},{b}\n" for a, b in ROWS) + ",1\n", encoding="utf-8"
    )
    run = CliRunner()

    def new(source):
        return run.invoke(cli, ["model", "new", "ward", "--from", source])

    def fill(**more):
        code, card = tmp_path / "ward/artefact/inference.py", tmp_path / "ward/registration.yaml"
        text = code.read_text(encoding="utf-8")
        for old, word in {
            "FILL_IN_first_input": "lactate",
            "FILL_IN_second_input": "pulse",
            **more,
        }.items():
            text = text.replace(old, word)
        code.write_text(text, encoding="utf-8")
        text = card.read_text(encoding="utf-8").replace("FILL-IN", "ward").replace("FILL IN: ", "")
        text = text.replace("FILL_IN_first_input", "lactate").replace("low: 0, high: 100, ", "")
        text = text.replace("FILL_IN_second_input", "pulse")
        card.write_text(text, encoding="utf-8")

    def check():
        return run.invoke(cli, ["model", "check", "ward/artefact", "--sample", "s.csv"])

    return SimpleNamespace(x=x, y=y, table=table, new=new, fill=fill, check=check, hosted=hosted)


def hosted():
    """Scores of the rows and of a row with a missing value, by the model host of an embedded hub."""
    from healthval.hub.backends.local import FolderObjects
    from healthval.hub.backends.model_process import HostOptions
    from healthval.hub.backends.processes import ProcessHost
    from healthval.hub.ports import HostedModel, HostUnavailable

    data = Path("hub")
    artefact = pack(Path("ward/artefact"))
    registration = read_registration(Path("ward/registration.yaml"), Path("ward/artefact"))
    FolderObjects(data / "objects").put_if_absent(
        f"objects/{registration.artefact_sha256}.bin", artefact
    )
    options = HostOptions(hidden=data, isolated=sandbox.unavailable() is None)
    host = ProcessHost(FolderObjects(data / "objects"), data / "models", options)
    served = HostedModel(
        name="ward",
        version="1.0",
        artefact=registration.artefact_sha256,
        memory_mb=4096,
        max_concurrency=1,
    )
    try:
        sent = {"columns": ["lactate", "pulse"], "rows": [*ROWS, [None, 1.0]]}
        while True:  # a library may take long to import
            with suppress(HostUnavailable):
                return json.loads(host.invoke(served, canonical_json(sent)))["scores"]
    finally:
        host.close()


def check_walk(walk, wanted, source, **filled):
    """Go from a saved model to a hub's scores, which are those of the library."""
    started = walk.new(source)
    assert started.exit_code == 0, started.output
    early = walk.check()  # nothing is filled in yet
    assert isinstance(early.exception, UsageError)
    assert "card.name" in str(early.exception)
    walk.fill(**filled)
    checked = walk.check()
    assert checked.exit_code == 0, checked.output
    assert "4 cases: 3 scored, 1 declined" in checked.output
    found = walk.hosted()
    assert found == [*(pytest.approx(score, abs=1e-5) for score in wanted), None]
    assert len({round(score, 3) for score in found[:3]}) == 3, "the scores differ by row"


@pytest.mark.parametrize("on_table", [False, True])
def test_scikit_learn(walk, on_table):
    import joblib
    from sklearn.linear_model import LogisticRegression

    trained = LogisticRegression().fit(walk.table if on_table else walk.x, walk.y)
    joblib.dump(trained, "ward.joblib")
    rows = pd.DataFrame(ROWS, columns=walk.table.columns) if on_table else ROWS
    check_walk(walk, trained.predict_proba(rows)[:, 1], "ward.joblib")


@pytest.mark.parametrize("by_column", [False, True])
def test_onnx(walk, by_column):
    pytest.importorskip("onnxruntime")
    convert = pytest.importorskip("skl2onnx")
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    kinds = convert.common.data_types
    if by_column:
        from sklearn.compose import make_column_transformer

        passed = make_column_transformer(("passthrough", ["lactate", "pulse"]))
        trained = make_pipeline(passed, LogisticRegression()).fit(walk.table, walk.y)
        shape = [(name, kinds.FloatTensorType([None, 1])) for name in walk.table.columns]
        rows = pd.DataFrame(ROWS, columns=walk.table.columns)
    else:
        trained = make_pipeline(FunctionTransformer(), LogisticRegression()).fit(walk.x, walk.y)
        shape, rows = [("input", kinds.FloatTensorType([None, 2]))], ROWS
    onnx = convert.convert_sklearn(trained, initial_types=shape)
    Path("ward.onnx").write_bytes(onnx.SerializeToString())
    check_walk(walk, trained.predict_proba(rows)[:, 1], "ward.onnx")


@pytest.mark.parametrize("output", ["logits", "probabilities"])
@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_pytorch(walk, output, suffix):
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    layers = [torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)]
    layers += [torch.nn.Sigmoid()] if output == "probabilities" else []
    trained = torch.nn.Sequential(*layers).eval()
    if suffix == ".pt2":
        n = torch.export.Dim("n")
        exported = torch.export.export(trained, (torch.zeros(3, 2),), dynamic_shapes=({0: n},))
        torch.export.save(exported, "ward.pt2")
    else:
        torch.jit.script(trained).save("ward.pt")
    with torch.no_grad():
        found = trained(torch.tensor(ROWS)).flatten()
        wanted = (found if output == "probabilities" else torch.sigmoid(found)).tolist()
    started = walk.new(f"ward{suffix}")
    assert "OUTPUT there: logits or probabilities" in started.output
    walk.fill()
    assert 'OUTPUT must be "logits" or "probabilities"' in refused(walk)
    shutil.rmtree("ward")
    check_walk(walk, wanted, f"ward{suffix}", FILL_IN_logits_or_probabilities=output)


def test_a_file_of_pytorch_without_code_is_refused_with_the_remedy(walk):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 1).state_dict(), "ward.pth")
    walk.new("ward.pth")
    walk.fill(FILL_IN_logits_or_probabilities="logits")
    assert "save it with torch.export.save" in refused(walk)


def refused(walk):
    """What a vendor reads about a model that does not score its sample."""
    checked = walk.check()
    assert isinstance(checked.exception, HostingError)
    return checked.output


@pytest.mark.parametrize("by_column", [False, True])
def test_mlflow(walk, by_column):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("mlflow.sklearn")
    from sklearn.linear_model import LogisticRegression

    table = walk.table.assign(pulse=walk.table.pulse.round()) if by_column else walk.table
    trained = LogisticRegression().fit(table, walk.y)
    more = {}
    if by_column:
        more["signature"] = mlflow.models.infer_signature(table, trained.predict_proba(table))
    mlflow.sklearn.save_model(trained, "ward-model", pyfunc_predict_fn="predict_proba", **more)
    rows = pd.DataFrame(ROWS, columns=walk.table.columns)
    check_walk(walk, trained.predict_proba(rows)[:, 1], "ward-model")


def test_an_mlflow_model_that_gives_classes_is_refused(walk):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("mlflow.sklearn")
    from sklearn.linear_model import LogisticRegression

    mlflow.sklearn.save_model(LogisticRegression().fit(walk.table, walk.y), "ward-model")
    walk.new("ward-model")
    walk.fill()
    assert "returns classes, not probabilities" in refused(walk)


@pytest.mark.parametrize("is_package", [False, True])
def test_module_and_factory(walk, tmp_path, is_package):
    code = """
def build(slope=0.1):
    def score(cases):
        return [
            None if None in case.values() else 0.5 + slope * (case["lactate"] - case["pulse"])
            for case in cases
        ]

    return score
"""
    if is_package:
        (tmp_path / "wardlib").mkdir()
        (tmp_path / "wardlib/__init__.py").write_text("", encoding="utf-8")
        (tmp_path / "wardlib/risk.py").write_text(code, encoding="utf-8")
        source = "wardlib.risk:build"
    else:
        (tmp_path / "wardrisk.py").write_text(code, encoding="utf-8")
        source = "wardrisk:build"
    check_walk(walk, [0.5 + 0.1 * (a - b) for a, b in ROWS], source)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("absent.joblib", "no file or folder absent.joblib"),
        ("absent:build", "no module absent.py and no package absent"),
        ("a-b:build", "names of Python"),
        ("s.csv", "the kind of s.csv is not known"),
    ],
)
def test_a_source_that_is_not_there_or_unknown_is_named_and_nothing_is_written(
    walk, tmp_path, source, says
):
    refused = walk.new(source)
    assert isinstance(refused.exception, UsageError)
    assert says in str(refused.exception)
    assert not (tmp_path / "ward").exists()
