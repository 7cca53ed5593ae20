"""Names are found in ideographs, kana and hangul, and in items of another character set."""

import io

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset

from healthval.deid import Policy, Secret, audit, deidentify

SECRET = Secret(bytes(range(32)))
JAPANESE = ["ISO 2022 IR 13", "ISO 2022 IR 87"]
KOREAN = ["", "ISO 2022 IR 149"]


def source(name, charset):
    ds = Dataset()
    ds.SpecificCharacterSet = charset
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.276.0.1"
    ds.PatientName, ds.PatientID = name, "0012345"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    return ds


def clean(dataset):
    return deidentify(dataset, Policy(), SECRET).dataset


def written(dataset):
    made = io.BytesIO()
    dataset.save_as(made, enforce_file_format=True)
    return made.getvalue()


def kinds(before, after):
    """Leaks in a data set; its file must have the same ones."""
    found = {leak.kind for leak in audit(before, after)}
    assert {leak.kind for leak in audit(written(before), written(after))} == found
    return found


@pytest.mark.parametrize(
    ("charset", "name", "text"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎", "山田太郎"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎", "患者山田様"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎", "太郎山田"),
        (JAPANESE, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", "山田太郎"),
        (JAPANESE, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", "山田 太郎"),
        (JAPANESE, "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", "患者山田様"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ", "ﾔﾏﾀﾞ ﾀﾛｳ"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ", "xﾔﾏﾀﾞﾀﾛｳ"),
        ("ISO_IR 192", "ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダ"),
        (KOREAN, "Hong^Gildong=洪^吉洞=홍^길동", "홍길동"),
        (KOREAN, "Hong^Gildong=洪^吉洞=홍^길동", "환자길동"),
        (KOREAN, "Hong^Gildong=洪^吉洞=홍^길동", "洪吉洞"),
        (["", "ISO 2022 IR 58"], "Zhang^XiaoDong=张^小东", "张小东"),
        (["", "ISO 2022 IR 58"], "Zhang^XiaoDong=张^小东", "患者小东"),
        ("GB18030", "Wang^XiaoDong=王^小东", "王小东"),
        ("GB18030", "Wang^XiaoDong=王^小东", "患者王小东先生"),
        ("GB18030", "Wang^Dong=王^东", "患者王东"),
        ("ISO_IR 192", "Wang=王^小东", "患者王小东先生"),
        ("ISO_IR 192", "Wang=王^东", "患者王东先生"),
        ("ISO_IR 192", "Wang=王^东", "东 王"),
        ("ISO_IR 192", "Kim=金^民", "金民"),
        ("ISO_IR 192", "Wang=王小东", "患者王小东先生"),
        ("ISO_IR 192", "Wang^Dong^Li=王^东", "患者王东先生"),
        ("ISO_IR 192", "Wang=王^东", "王\u3000东"),
        ("ISO_IR 192", "राम^प्रिया", "रोगी प्रिया"),
        ("ISO_IR 100", "Müller^Jörg", "MÜLLER"),
        ("ISO_IR 192", "Müller^Jörg", "müller"),
        ("ISO_IR 144", "Люксембург^Роза", "Люксембург"),
        ("ISO_IR 126", "Διονυσιος", "Διονυσιος"),
        ("GB18030", "Wang^XiaoDong=王^小东", "小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎", "山田"),
        (KOREAN, "Hong^Gildong=洪^吉洞", "吉洞"),
        ("ISO_IR 127", "قباني^لنزار", "قباني"),
        ("ISO_IR 138", "שרון^דבורה", "דבורה"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_name_is_found_alone_and_in_a_run_of_other_letters(charset, name, text):
    before = source(name, charset)
    assert audit(before, clean(before)) == []
    after = clean(before)
    if charset == "ISO_IR 13":  # pydicom does not write it
        after.add(DataElement(0x00181020, "UN", text.encode("shift_jis")))
    else:
        after.add(DataElement(0x00181020, "LO", text))
    assert kinds(before, after) == {"name"}


@pytest.mark.parametrize(
    ("name", "text"), [("Wang=王^小东", "王大东"), ("Yamada=山田^太郎", "山中太一"), ("Hong=홍^길동", "홍대")]
)  # fmt: skip
def test_one_letter_of_a_name_is_none(name, text):
    before = source(name, "ISO_IR 192")
    after = clean(before)
    after.add(DataElement(0x00181020, "LO", text))
    assert kinds(before, after) == set()


@pytest.mark.parametrize(
    ("outer", "inner"), [("GB18030", "ISO_IR 192"), ("ISO_IR 192", "GB18030"), ("ISO_IR 100", "GB18030")]
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_item_is_read_in_its_own_character_set(outer, inner):
    for path in (1, 2):
        item = Dataset()
        item.SpecificCharacterSet = inner
        before = source("Doe^Jane", outer)
        item.PatientName = "Wang^X=王^小东"
        before.ReferencedPatientSequence = [item]
        after, held = clean(before), Dataset()
        held.SpecificCharacterSet = inner
        held.add(DataElement(0x00181020, "LO", "王小东"))
        if path == 2:  # the one of the item around it
            deeper = Dataset()
            deeper.add(DataElement(0x00181020, "LO", "王小东"))
            del held[0x00181020]
            held.ReferencedImageSequence = [deeper]
        after.ReferencedStudySequence = [held]
        assert kinds(before, after) == {"name"}


def test_an_undecoded_item_is_read_in_the_character_set_around_it():
    before = source("Wang=王^小东", "GB18030")
    after, text = clean(before), "患者王小东".encode("gb18030")
    value = b"\x18\0\x20\x10" + len(text).to_bytes(4, "little") + text
    item = b"\xfe\xff\0\xe0" + len(value).to_bytes(4, "little") + value
    after.add(DataElement(0x00191010, "UN", item))
    assert kinds(before, after) == {"name"}


def test_a_text_in_another_character_set_than_declared_is_found():
    before = source("Wang=王^小东", "GB18030")
    after = clean(before)
    after.add(DataElement(0x00080005, "CS", "ISO_IR 100"))
    after.add(DataElement(0x00181020, "UN", "患者王小东".encode()))
    assert kinds(before, after) == {"name"}
