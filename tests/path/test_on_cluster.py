"""De-identification on a Dask cluster: the bytes of one machine, also when workers are killed."""

import threading
import time

import numpy as np
import pydicom
import pytest
from dask_cluster import cluster
from pydicom.dataset import FileMetaDataset

from healthval import cluster as dask
from healthval.deid import Policy, Secret, deidentify_files
from healthval.deid.dicom.files import batch as room
from healthval.errors import LeakFound, UsageError

PATIENT = "Quartermaine"
NUMBER = "MRN-4711-77"


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "site.key"
    path.write_bytes(bytes(range(32)))
    return Secret.from_file(path)


def films(folder, n, **more):
    """Films of one patient; their names on disk and folders also name the patient."""
    folder = folder / PATIENT
    folder.mkdir(parents=True)
    for i in range(n):
        ds = pydicom.Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"1.2.276.0.1.{i}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.276.0.2.{i % 3}", f"1.2.276.0.3.{i % 3}"
        ds.PatientName, ds.PatientID, ds.Modality = f"{PATIENT}^Zebulon", NUMBER, "CT"
        ds.Rows = ds.Columns = 64
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel = 15, 0, 1
        ds.PhotometricInterpretation = "MONOCHROME2"
        for keyword, value in more.items():
            setattr(ds, keyword, value)
        ds.PixelData = np.random.default_rng(i).integers(0, 999, 4096, np.uint16).tobytes()
        ds["PixelData"].VR = "OW"
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        ds.save_as(folder / f"{NUMBER}-{i:04d}.dcm", enforce_file_format=True)
    return folder.parent


def contents(made):
    names = ("manifest.json", "evidence.json")
    files = [*made.outputs, *(made.folder / name for name in names)]
    return {path.relative_to(made.folder): path.read_bytes() for path in files}


def killed_after(process, cluster, folder, written):
    """Kill a process of the cluster once some outputs exist."""

    def wait():
        while len(list(folder.glob("*/*.dcm"))) < written:
            time.sleep(0.005)
        cluster.kill(process)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_cluster_writes_the_bytes_of_one_machine_and_shows_no_patient(tmp_path, secret):
    source = films(tmp_path / "in", 150)
    (source / PATIENT / "notes.txt").write_text("no DICOM", encoding="utf-8")
    given = {"policy": Policy(), "secret": secret, "known": ["Aardvark"]}
    one = deidentify_files(source, tmp_path / "one", **given)
    with cluster(tmp_path) as found:
        far = deidentify_files(source, tmp_path / "far", scheduler=found.address, **given)
        seen = found.seen()
    assert far.records == one.records
    assert contents(far) == contents(one)
    assert len(contents(far)) == 152
    assert "healthval-" in seen
    for value in (PATIENT, NUMBER, "Aardvark", str(secret._reference[1])):
        assert value not in seen


def test_a_killed_worker_loses_and_doubles_nothing(tmp_path, secret, monkeypatch):
    monkeypatch.setattr(room, "shares_of", lambda n, _: [range(i, i + 5) for i in range(0, n, 5)])
    source = films(tmp_path / "in", 300)
    one = deidentify_files(source, tmp_path / "one", Policy(), secret)
    with cluster(tmp_path) as found:
        thread = killed_after(found.workers[0], found, tmp_path / "far", 40)
        far = deidentify_files(source, tmp_path / "far", Policy(), secret, scheduler=found.address)
        thread.join()
        assert found.workers[0].returncode is not None
        again = deidentify_files(
            source, tmp_path / "far", Policy(), secret, scheduler=found.address
        )
    assert contents(far) == contents(one)
    assert [r.status for r in far.records] == ["written"] * 300
    assert again.records == far.records
    assert not (tmp_path / "far" / ".partial").exists()


def test_a_killed_scheduler_is_an_error_and_the_next_run_finishes(tmp_path, secret, monkeypatch):
    monkeypatch.setattr(dask, "CONNECT_SECONDS", 2)
    source = films(tmp_path / "in", 300)
    with cluster(tmp_path) as found:
        killed_after(found.scheduler, found, tmp_path / "far", 40)
        with pytest.raises(UsageError, match="scheduler ended during the work"):
            deidentify_files(source, tmp_path / "far", Policy(), secret, scheduler=found.address)
    made = deidentify_files(source, tmp_path / "far", Policy(), secret)
    assert contents(made) == contents(deidentify_files(source, tmp_path / "one", Policy(), secret))


def test_a_leak_on_a_worker_withdraws_the_batch(tmp_path, secret):
    source = films(tmp_path / "in", 20, SeriesDescription="chest")
    with cluster(tmp_path, workers=1) as found, pytest.raises(LeakFound):
        deidentify_files(
            source,
            tmp_path / "far",
            Policy(),
            secret,
            known=["ORIGINAL", "MONOCHROME2"],
            scheduler=found.address,
        )
    assert not list((tmp_path / "far").glob("*/*.dcm"))


def test_a_secret_from_bytes_and_a_wrong_address_are_refused_before_anything(tmp_path, secret):
    source = films(tmp_path / "in", 1)
    with pytest.raises(UsageError, match="cannot be pickled"):
        deidentify_files(
            source, tmp_path / "far", Policy(), Secret(bytes(32)), scheduler="tcp://x:1"
        )
    with pytest.raises(UsageError, match="begins with tcp://"):
        deidentify_files(source, tmp_path / "far", Policy(), secret, scheduler="http://x:1")
    assert not (tmp_path / "far").exists()
