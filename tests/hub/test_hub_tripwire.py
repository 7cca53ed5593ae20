"""Files that the tripwire refuses and files that it takes."""

import base64
import bz2
import gzip
import io

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from healthval.hub.ports import Refusal
from healthval.hub.predictions import tripwire


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"]
)
def test_a_name_is_found_at_every_depth_and_in_every_encoding(kit, depth, syntax):
    dataset = pydicom.dcmread(io.BytesIO(kit.dicom(600)))
    dataset.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    dataset.save_as(out)
    tripwire.check_file(out.getvalue())
    place = dataset
    for _ in range(depth):
        place.ReferencedPatientSequence = [Dataset()]
        place = place.ReferencedPatientSequence[0]
    place.PatientName = "Zebulon^Quartermaine"
    out = io.BytesIO()
    dataset.save_as(out)
    with pytest.raises(Refusal, match="name or address"):
        tripwire.check_file(out.getvalue())


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_never_an_error(data):
    with pytest.raises(Refusal):
        tripwire.check_file(bytes(128) + b"DICM" + data)


def test_a_text_in_the_preamble_is_refused(kit):
    data = kit.dicom(600)
    with pytest.raises(Refusal, match="preamble"):
        tripwire.check_file(b"Zebulon Quartermaine".ljust(128, b"\0") + data[128:])


@pytest.mark.parametrize("wrap", [gzip.compress, base64.b64encode, bz2.compress])
def test_a_file_in_another_wrapping_is_refused(kit, wrap):
    with pytest.raises(Refusal, match="not DICOM"):
        tripwire.check_file(wrap(kit.dicom(600, PatientName="Zebulon^Quartermaine")))


def test_the_placeholder_of_our_own_deidentification_is_no_name(kit):
    tripwire.check_file(kit.dicom(600, PatientName="REMOVED"))


def test_a_file_that_inflates_beyond_the_limit_is_refused(kit, monkeypatch):
    monkeypatch.setattr(tripwire, "MAX_INFLATED_BYTES", 10_000)
    dataset = pydicom.dcmread(io.BytesIO(kit.dicom(20_000)))
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    out = io.BytesIO()
    dataset.save_as(out)
    with pytest.raises(Refusal, match="inflated"):
        tripwire.check_file(out.getvalue())
