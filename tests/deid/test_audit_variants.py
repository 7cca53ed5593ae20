"""Ids, dates and names are found in the forms that people and systems give them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset

from healthval.deid import Policy, Secret, audit, deidentify

SECRET = Secret(bytes(range(32)))


def source(name="Mustermann^Erika", patient="0012345", born="19620312"):
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.276.0.1"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = name, patient, born
    ds.StudyDate, ds.Modality = "20190517", "CT"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    return ds


def kinds(before, text, vr="LT"):
    after = deidentify(before, Policy(), SECRET).dataset
    after.SpecificCharacterSet = "ISO_IR 192"
    after.add(DataElement(0x00180022, vr, text))
    return {leak.kind for leak in audit(before, after)}


@pytest.mark.parametrize(
    "text",
    ["ID12345", "P12345", "MRN12345", "12345A", "12.345", "P-12345", "no. 12.345, seen", "PID_0012345", "pat12345x"],
)  # fmt: skip
def test_an_id_is_found_with_letters_before_or_behind_it(text):
    assert kinds(source(), text) == {"id"}


@pytest.mark.parametrize("text", ["12345", "0012345", "MRN 12345", "id=12345"])
def test_the_number_of_an_id_is_found_without_its_letters(text):
    assert kinds(source(patient="MRN0012345"), text) == {"id"}


@pytest.mark.parametrize(
    "text", ["VERSION12345", "12345ABC", "112345", "A123456", "1.12345.6x7", "12.3456", "1.2.345", "112.345", "12.345.678"]
)  # fmt: skip
def test_what_only_holds_the_digits_of_an_id_is_none(text):
    assert kinds(source(), text.replace("1.12345.6x7", "1.123456.7")) == set()


def test_a_short_number_with_letters_is_a_version():
    assert kinds(source(patient="2012"), "syngo 2012B VB2012") == set()


@pytest.mark.parametrize(
    "text",
    [
        "17.5.2019", "5/17/2019", "17/5/2019", "2019-5-17", "17 May 2019", "May 17, 2019", "17-MAY-2019", "17MAY2019",
        "17th of May 2019".replace(" of", ""), "may 17 2019", "2019 May 17", "17052019", "17 05 2019", "17. May 2019",
        "20190517", "2019-05-17T10:15", "17.05.2019",
    ],
)  # fmt: skip
def test_a_date_is_found_however_it_is_written(text):
    assert kinds(source(), f"scan {text} done") == {"date"}


@pytest.mark.parametrize(
    "text", ["12 Mar 1962", "March 12, 1962", "12.3.1962", "3/12/1962", "mar 12 1962"]
)
def test_a_birth_date_is_found_however_it_is_written(text):
    assert kinds(source(), text) == {"birth date"}


@pytest.mark.parametrize(
    "text", ["17.5.20191", "117.5.2019", "17.6.2019", "May 2019", "17 May 2018", "1.17.5.2019.2".replace("1.17", "1.18"), "0.17052019123"]
)  # fmt: skip
def test_what_only_resembles_a_date_is_none(text):
    assert kinds(source(), text) == set()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Mustermann^Erika", "Muster mann"),
        ("Mustermann^Erika", "M u s t e r m a n n"),
        ("Mustermann^Erika", "MUSTER\\MANN"),
        ("Mustermann^Erika", "muster-mann"),
        ("De La Cruz^Ana", "DELACRUZ"),
        ("De La Cruz^Ana", "ana delacruz"),
        ("De La Cruz^Ana", "DelacruzAna"),
        ("O'Brien^Pat", "OBrien"),
        ("Müller-Lüdenscheid^A", "muellerluedenscheid"),
        ("Müller^Jörg", "mueller"),
        ("Müller^Jörg", "MULLER"),
        ("Müller^Jörg", "JOERG"),
        ("Müller^Jörg", "mu\u0308ller"),
        ("Mu\u0308ller^Anna", "MÜLLER"),
        ("Mueller^Anna", "Müller"),
        ("Weiß^Jürgen", "WEIẞ"),
        ("Weiß^Jürgen", "WEISS"),
        ("Weiss^Anna", "Weiß"),
        ("Şahin^İbrahim", "şahin"),
        ("Şahin^İbrahim", "SAHIN"),
        ("Şahin^İbrahim", "ibrahim"),
        ("Nguyễn^Văn An", "NGUYEN"),
        ("Nguyễn^Văn An", "nguyễn"),
        ("Łukasz^Jan", "ŁUKASZ"),
        ("ΔΙΟΝΥΣΙΟΣ", "Διονύσιος".replace("ύ", "υ")),
    ],
)
def test_a_name_is_found_however_it_is_spelled(name, text):
    assert kinds(source(name), text) == {"name"}


def test_a_name_is_found_in_two_values():
    assert kinds(source(), ["MUSTER", "MANN"], "CS") == {"name"}


@pytest.mark.parametrize(
    ("name", "text"),
    [("Stander^Ann", "first and erased"), ("Anders^Bo", "can der so"), ("Meyer^Al", "so me year"), ("De La Cruz^Ana", "model a cruise")],
)  # fmt: skip
def test_letters_that_run_through_other_words_are_no_name(name, text):
    assert kinds(source(name), text) == set()


@settings(max_examples=60, deadline=None)
@given(
    st.dates(),
    st.sampled_from(
        ["%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%d", "%d %b %Y", "%B %d, %Y", "%Y%m%d", "%d/%m/%Y"]
    ),
)
def test_any_birth_date_is_found_in_any_form(day, form):
    text = day.strftime(form.replace("%Y", f"{day.year:04d}"))
    before = source(born=f"{day:%Y%m%d}".zfill(8))
    if before.PatientBirthDate != "19000101":
        assert "birth date" in kinds(before, f"born {text}.")
