"""An output saved in its encoded form is the same data set that pydicom would write."""

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from healthval.deid import PixelPolicy, Policy, Secret, deidentify
from healthval.errors import HealthvalError
from healthval.pydicom_internals import elements_of, quiet

SECRET = Secret(bytes(range(32)))
EVERYTHING = Policy(options={"clean-structured-content"}, pixels=PixelPolicy(sign_off="A. Reader"))
FOLDER = Path(pydicom.data.__file__).parent / "test_files"
BUNDLED = sorted(p for p in FOLDER.rglob("*") if p.is_file())


def cleaned(path):
    with quiet():
        return deidentify(pydicom.dcmread(path, force=True), EVERYTHING, SECRET).dataset


def by_pydicom(dataset, path):
    """The data set as written and read by pydicom."""
    Dataset.save_as(dataset, path)
    return pydicom.dcmread(path, force=True)


def same(one, other):
    assert one.file_meta == other.file_meta
    assert one.preamble == other.preamble
    assert one == other


@pytest.mark.parametrize("path", BUNDLED, ids=lambda p: p.name)
def test_every_file_is_saved_as_pydicom_would(path, tmp_path):
    with quiet():
        try:
            output = cleaned(path)
        except (HealthvalError, pydicom.errors.InvalidDicomError) as refused:
            pytest.skip(f"refused: {type(refused).__name__}")
        output.save_as(tmp_path / "ours.dcm")
        ours = pydicom.dcmread(tmp_path / "ours.dcm", force=True)
        try:
            expected = by_pydicom(cleaned(path), tmp_path / "pydicom.dcm")
        except TypeError:  # an empty raw value, which pydicom's writer does not take
            assert ours == output
        else:
            same(ours, expected)


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "JPEG2000.dcm", "ExplVR_BigEnd.dcm", "rtplan.dcm"]
)
def test_the_usual_file_is_not_written_by_pydicom(name, tmp_path, monkeypatch):
    output = cleaned(FOLDER / name)
    monkeypatch.setattr("pydicom.dataset.pydicom.dcmwrite", None)
    output.save_as(tmp_path / "ours.dcm")
    assert pydicom.dcmread(tmp_path / "ours.dcm") == output


def edit_nothing_but_look(output):
    assert str(output)
    assert output.file_meta.TransferSyntaxUID


def edit_value(output):
    output.SeriesDescription = "Straße"


def edit_meta(output):
    output.file_meta.SourceApplicationEntityTitle = "SITE"


def edit_syntax(output):
    output.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


def edit_deflated(output):
    output.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


def edit_item(output):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "1", "DCM", "One"
    output.ProcedureCodeSequence = [item]


def edit_item_of_another_encoding(output):
    big = pydicom.dcmread(FOLDER / "ExplVR_BigEnd.dcm")
    rows = big.get_item(0x00280010)
    item = Dataset({rows.tag: rows})
    item.set_original_encoding(*big.original_encoding, big.original_character_set)
    output.ProcedureCodeSequence = [item]


def edit_without_preamble(output):
    output.preamble = None


def edit_away_the_group_length(output):
    del output.file_meta.FileMetaInformationGroupLength


@pytest.mark.parametrize(
    "edit",
    [
        edit_nothing_but_look,
        edit_value,
        edit_meta,
        edit_syntax,
        edit_deflated,
        edit_item,
        edit_item_of_another_encoding,
        edit_without_preamble,
        edit_away_the_group_length,
    ],
)
def test_an_edited_output_is_saved_as_pydicom_would(edit, tmp_path):
    one, other = cleaned(FOLDER / "CT_small.dcm"), cleaned(FOLDER / "CT_small.dcm")
    edit(one)
    edit(other)
    one.save_as(tmp_path / "ours.dcm")
    same(
        pydicom.dcmread(tmp_path / "ours.dcm", force=True),
        by_pydicom(other, tmp_path / "pydicom.dcm"),
    )


def test_a_changed_character_set_changes_encoded_elements(tmp_path):
    source = pydicom.dcmread(FOLDER / "CT_small.dcm")
    source.SpecificCharacterSet, source.Manufacturer = "ISO_IR 100", "Groß"
    source.save_as(tmp_path / "source.dcm")
    output = cleaned(tmp_path / "source.dcm")
    output.SpecificCharacterSet = "ISO_IR 192"
    output.save_as(tmp_path / "ours.dcm")
    assert pydicom.dcmread(tmp_path / "ours.dcm").Manufacturer == "Groß"


def test_options_of_saving_are_those_of_pydicom(tmp_path):
    output, buffer = cleaned(FOLDER / "CT_small.dcm"), io.BytesIO()
    output.save_as(buffer, enforce_file_format=True)
    assert pydicom.dcmread(io.BytesIO(buffer.getvalue())) == output
    (tmp_path / "there").touch()
    with pytest.raises(FileExistsError):
        output.save_as(tmp_path / "there", overwrite=False)


def test_a_command_set_is_refused(tmp_path):
    output = cleaned(FOLDER / "CT_small.dcm")
    output.add_new(0x00000600, "AE", "SOMEONE")
    with pytest.raises(ValueError, match="Command Set"):
        output.save_as(tmp_path / "ours.dcm")


def test_a_value_without_one_vr_is_left_to_pydicom(tmp_path):
    output = cleaned(FOLDER / "CT_small.dcm")
    output.add_new(0x00280106, "US or SS", 5)
    with pytest.raises(ValueError, match="ambiguous"):
        output.save_as(tmp_path / "ours.dcm")


def test_saving_decodes_nothing(tmp_path):
    output = cleaned(FOLDER / "CT_small.dcm")
    parts = (output, output.file_meta)
    was = [element.is_raw for part in parts for element in elements_of(part).values()]
    output.save_as(tmp_path / "ours.dcm")
    now = [element.is_raw for part in parts for element in elements_of(part).values()]
    assert now == was
    assert sum(now) > 60
