"""Values planted in every row of the table, at every depth and in every encoding, are removed."""

import io
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from healthval.deid import Policy, Secret, audit, deidentify, deidentify_files
from healthval.deid.dicom.profile import rules

SECRET = Secret(bytes(range(32)))
CT = "1.2.840.10008.5.1.4.1.1.2"
SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "big endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
}
# Sequences that the table does not list: actions must reach into them all the same.
UNLISTED = (0x00082228, 0x00540016, 0x00540300, 0x00400260, 0x00082218, 0x00409096)
TEXT = {"LO", "SH", "ST", "LT", "UT", "UC", "PN", "AE", "UR", "CS"}
NUMBERS = {"DS": "7.31{:04d}", "IS": "731{:04d}"}
IMAGE = {
    "Rows": 8,
    "Columns": 8,
    "SamplesPerPixel": 1,
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
    "PhotometricInterpretation": "MONOCHROME2",
    "PixelSpacing": [0.7, 0.7],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "ImagePositionPatient": [-1.5, 2, 3],
    "RescaleSlope": 1,
    "RescaleIntercept": -1024,
    "WindowCenter": 40,
    "WindowWidth": 400,
    "SliceThickness": 5,
    "KVP": 120,
    "Modality": "CT",
    "BodyPartExamined": "CHEST",
    "ConvolutionKernel": "B31f",
    "InstanceNumber": 7,
    "Manufacturer": "SIEMENS",
}


class Planter:
    """Makes values that occur nowhere else, and remembers them."""

    def __init__(self):
        self.values = {}
        self.count = 0

    def value(self, vr, where):
        self.count += 1
        token = f"Zq{self.count:05d}xW"
        if vr == "PN":
            token = f"Zq{''.join(chr(97 + int(c)) for c in str(self.count))}xw^Given"
        made = token.upper() if vr in ("CS", "AE") else token
        if vr == "UI":
            made = f"1.2.276.0.99.{self.count}"
        if vr == "UR":
            made = f"http://{token}.example/"
        if vr in NUMBERS:
            made = NUMBERS[vr].format(self.count)
        if vr == "DA":
            made = f"17{self.count % 90 + 10:02d}0{self.count % 9 + 1}11"
        if vr == "DT":
            made = f"17{self.count % 90 + 10:02d}0{self.count % 9 + 1}11101112"
        if vr == "TM":
            made = f"1011{self.count % 50 + 10}.{self.count:06d}"
        if vr in ("OB", "UN"):
            made = token.encode()
        if vr not in ("AS", "US", "SS"):
            self.values[where] = made
        return {"AS": "077Y", "US": 31313, "SS": 31}.get(vr, made)


def element_for(rule, planter, where):
    tag = 0x50002500 if rule.tag == "50xxxxxx" else int(rule.tag.replace("x", "0"), 16)
    vr = rule.vr or ("OB" if "x" in rule.tag else "LO")
    if vr == "SQ":
        item = Dataset()
        item.add(DataElement(0x00104000, "LT", planter.value("LT", where)))
        item.add(DataElement(0x00100010, "PN", planter.value("PN", (*where, "PN"))))
        return DataElement(tag, "SQ", Sequence([item]))
    return DataElement(tag, vr, planter.value(vr, where))


def planted(planter, depth):
    """A CT with every row of the table at one depth."""
    inner = Dataset()
    for rule in rules():
        if rule.tag == "odd" or rule.tag[:4] in ("0000", "0002"):
            continue
        if depth and rule.tag == "FFFCFFFC":
            continue
        inner.add(element_for(rule, planter, (rule.tag, depth)))
    for sequence in UNLISTED[:depth]:
        outer = Dataset()
        outer.add(DataElement(sequence, "SQ", Sequence([inner])))
        inner = outer
    return inner


def image(dataset, syntax="1.2.840.10008.1.2.1"):
    for keyword, value in IMAGE.items():
        setattr(dataset, keyword, value)
    dataset.SOPClassUID = CT
    if "SOPInstanceUID" not in dataset:
        dataset.SOPInstanceUID, dataset.StudyInstanceUID = "1.2.276.0.1", "1.2.276.0.2"
        dataset.PatientID = "ID-778812"
    dataset.PixelData = np.arange(64, dtype="u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = CT
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.SourceApplicationEntityTitle = "ZQAETITLEXW"
    dataset.file_meta.PrivateInformationCreatorUID = "1.2.276.0.77.1"
    dataset.file_meta.PrivateInformation = b"ZqPrivateInfoXw"
    dataset.preamble = b"ZqPreambleXw".ljust(128, b"\0")
    return dataset


def to_file(dataset, path):
    with pydicom.config.disable_value_validation():
        dataset.save_as(path, enforce_file_format=True)
    return path


def contents(path):
    """Bytes of a file, with the inflated data set if it is deflated."""
    data = path.read_bytes()
    if pydicom.dcmread(path).file_meta.TransferSyntaxUID == SYNTAXES["deflated"]:
        start = 144 + int.from_bytes(data[140:144], "little")
        data += zlib.decompress(data[start:], -15)
    return data


def leaked(values, data):
    low = data.lower()
    found = []
    for where, value in values.items():
        forms = (
            [value]
            if isinstance(value, bytes)
            else [part.encode() for part in value.split("^")[:1]]
        )
        found += [where for form in forms if form.lower() in low]
    return found


@pytest.mark.parametrize("depth", [0, 1, 3, 6])
@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_row_of_the_table_leaks(tmp_path, syntax, depth):
    planter = Planter()
    source = to_file(image(planted(planter, depth), SYNTAXES[syntax]), tmp_path / "in.dcm")
    assert len(leaked(planter.values, contents(source))) == len(planter.values) > 700
    made = deidentify_files([source], tmp_path / "out", Policy(), SECRET)
    assert made.files_out == 1
    data = contents(made.outputs[0])
    assert leaked(planter.values, data) == []
    assert b"zqaetitle" not in data.lower()
    assert b"zqprivate" not in data.lower()
    assert b"zqpreamble" not in data.lower()
    assert audit(source, made.outputs[0]) == []


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_the_standard_lets_stay_stays(tmp_path, syntax):
    source = to_file(image(planted(Planter(), 1), SYNTAXES[syntax]), tmp_path / "in.dcm")
    made = deidentify_files([source], tmp_path / "out", Policy(), SECRET)
    before, after = pydicom.dcmread(source), pydicom.dcmread(made.outputs[0])
    assert np.array_equal(before.pixel_array, after.pixel_array)
    for keyword in IMAGE:
        assert after[keyword].value == before[keyword].value, keyword
    assert after.file_meta.TransferSyntaxUID == SYNTAXES[syntax]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_memory_path_does_the_same_as_the_file_path(tmp_path):
    planter = Planter()
    dataset = image(planted(planter, 3))
    before = dataset.to_json_dict()
    output = deidentify(dataset, Policy(), SECRET).dataset
    assert dataset.to_json_dict() == before
    buffer = io.BytesIO()
    output.save_as(buffer)
    assert leaked(planter.values, buffer.getvalue()) == []
    made = deidentify_files(
        [to_file(dataset, tmp_path / "in.dcm")], tmp_path / "out", Policy(), SECRET
    )
    assert pydicom.dcmread(made.outputs[0]).to_json_dict() == output.to_json_dict()


def private(dataset, group=0x0019, creator="ACME Zqcreatorxw"):
    block = dataset.private_block(group, creator, create=True)
    block.add_new(0x01, "LO", "Zqprivatexw")
    nested = Dataset()
    nested.PatientName = "Zqnestedxw^A"
    block.add_new(0x02, "SQ", Sequence([nested]))
    return dataset


@pytest.mark.parametrize("syntax", ["implicit", "explicit", "big endian"])
def test_private_unknown_and_disguised_attributes_go(tmp_path, syntax):
    dataset = image(Dataset(), SYNTAXES[syntax])
    inner = private(Dataset())
    dataset.add(DataElement(UNLISTED[0], "SQ", Sequence([inner])))
    private(dataset)
    dataset.add(DataElement(0x00291008, "CS", "ZQORPHANXW"))
    dataset.add(DataElement(0x000800FE, "LO", "Zqunknownxw"))  # even group, in no dictionary
    dataset.add(DataElement(0x00181008, "UN", b"Zqgantryxw "))  # GantryID as UN
    dataset.add(DataElement(0x00100010, "UN", b"Zqnamexw^UN "))
    dataset.add(DataElement(0x50000005, "US", 1))
    dataset.add(DataElement(0x50002500, "LO", "Zqcurvexw"))
    dataset.add(DataElement(0x60000022, "LO", "Zqoverlayxw"))
    dataset.add(DataElement(0x60003000, "OW", b"Zqoverlaydataxw "))
    dataset.add(DataElement(0xFFFCFFFC, "OB", b"Zqpaddingxw "))
    made = deidentify_files(
        [to_file(dataset, tmp_path / "in.dcm")], tmp_path / "out", Policy(), SECRET
    )
    data = made.outputs[0].read_bytes().lower()
    assert b"zq" not in data
    after = pydicom.dcmread(made.outputs[0])
    assert not [e for e in after.iterall() if e.tag.is_private]
    assert np.array_equal(after.pixel_array, dataset.pixel_array)


def test_twenty_levels_deep_is_as_clean_as_the_root(tmp_path):
    inner = Dataset()
    inner.PatientName = "Zqdeepxw^A"
    inner.SliceThickness = 3
    for level in range(20):
        outer = Dataset()
        outer.add(DataElement(UNLISTED[level % 5], "SQ", Sequence([inner])))
        inner = outer
    dataset = image(inner)
    made = deidentify_files(
        [to_file(dataset, tmp_path / "in.dcm")], tmp_path / "out", Policy(), SECRET
    )
    assert b"zqdeep" not in made.outputs[0].read_bytes().lower()
    assert (
        sum(e.keyword == "SliceThickness" for e in pydicom.dcmread(made.outputs[0]).iterall()) == 2
    )


def test_a_name_in_another_attribute_is_removed(tmp_path):
    dataset = image(Dataset())
    dataset.add(DataElement(0x00180022, "PN", "Zqodd^Name"))  # ScanOptions is CS
    dataset.add(DataElement(0x00280030, "UT", "Zqspacing text"))
    output = deidentify(dataset, Policy(), SECRET).dataset
    assert 0x00180022 not in output
    assert 0x00280030 not in output


def test_every_row_is_in_the_table_once():
    tags = [rule.tag for rule in rules()]
    assert len(tags) == len(set(tags))
    standard = [r for r in rules() if r.edition != "healthval"]
    assert len(standard) == 656
    counts = {a: sum(r.action == a for r in standard) for a in {r.action for r in standard}}
    assert counts == {
        "X": 416,
        "D": 93,
        "U": 55,
        "Z": 42,
        "X/D": 23,
        "X/Z": 11,
        "X/Z/D": 8,
        "Z/D": 6,
        "X/Z/U*": 2,
    }


def test_our_additions_do_not_touch_what_the_table_lists():
    ours = [rule for rule in rules() if rule.edition == "healthval"]
    assert all(dictionary_has_tag(int(rule.tag, 16)) for rule in ours)


def test_the_sequences_used_to_nest_are_not_in_the_table():
    assert not {f"{tag:08X}" for tag in UNLISTED} & {rule.tag for rule in rules()}
