"""The DICOM contract of a plan: images of a case, their PACS, and their de-identification."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from healthval.contracts.base import Line
from healthval.contracts.table import Declared, NotText, SourceColumn

_Pixel = Annotated[int, Field(ge=0, le=65535)]
Rectangle = tuple[_Pixel, _Pixel, _Pixel, _Pixel]
Keyword = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]{1,63}$")]
Tag = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{4},[0-9A-Fa-f]{4}$")]
AeTitle = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,16}$")]
_Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
_Option = Literal[
    "clean-graphics",
    "clean-structured-content",
    "clean-descriptors",
    "retain-patient-characteristics",
    "retain-device-identity",
    "retain-uids",
    "retain-safe-private",
    "retain-institution-identity",
]


class RegionChoice(Declared):
    """Rectangles to blank in the images of one device; see `deid.RegionRule`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    when: Annotated[dict[Keyword, Line | int], Field(min_length=1, max_length=20)]
    blank: Annotated[tuple[Rectangle, ...], Field(max_length=100)] = ()
    keep: Rectangle | None = None
    ultrasound_regions: bool = False


class PixelChoice(Declared):
    """Treatment of text that may be burned into the images; see `deid.PixelPolicy`."""

    text: Literal["ignore", "refuse", "blank"] = "ignore"
    sign_off: Line | None = None
    rules: Annotated[tuple[RegionChoice, ...], Field(max_length=1000)] = ()


class PrivateAttribute(Declared):
    """Private attribute: its creator, group and element within the creator's block."""

    creator: Line
    group: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{3}[13579BDFbdf]$")]
    element: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{2}$")]


class ProfileChoice(Declared):
    """Options of the confidentiality profile, attributes that are kept, and attributes that are removed."""

    options: Annotated[tuple[_Option, ...], Field(max_length=8)] = ()
    private_allowlist: Annotated[tuple[PrivateAttribute, ...], Field(max_length=1000)] = ()
    public_allowlist: Annotated[tuple[Tag, ...], Field(max_length=1000)] = ()
    remove: Annotated[tuple[Keyword | Tag, ...], Field(max_length=1000)] = ()


class PacsChoice(Declared):
    """A PACS that has the images: DICOMweb (`url`) or DIMSE (`dimse`, HOST:PORT:AET).

    `token` is the name of an environment variable; `ca`, `certificate` and `key` are files. With
    `listen` (HOST:PORT) the PACS sends to this address (C-MOVE), else on the same connection
    (C-GET). `timeout` is in seconds. None of this is part of the plan's hash.
    """

    url: Annotated[str, Field(pattern=r"^https?://[^\s<>]{1,1000}$")] | None = None
    dimse: (
        Annotated[str, Field(pattern=r"^[^\s:]{1,253}:[0-9]{1,5}:[A-Za-z0-9_.-]{1,16}$")] | None
    ) = None
    calling: AeTitle = "HEALTHVAL"
    listen: Annotated[str, Field(pattern=r"^[^\s:]{1,253}:[0-9]{1,5}$")] | None = None
    tls: bool = False
    token: _Variable | None = None
    ca: Line | None = None
    certificate: Line | None = None
    key: Line | None = None
    timeout: Annotated[float, NotText, Field(gt=0, le=86400)] = 60

    @model_validator(mode="after")
    def _is_one_pacs(self) -> Self:
        if (self.url is None) == (self.dimse is None):
            raise ValueError("a PACS has either 'url' or 'dimse'")
        if self.url is not None and (self.listen or self.tls):
            raise ValueError("'listen' and 'tls' belong to 'dimse'; 'url' has its own scheme")
        if self.dimse is not None and self.token:
            raise ValueError("'token' belongs to 'url'; DIMSE has 'certificate' and 'key'")
        if self.dimse is not None and (self.ca or self.certificate) and not self.tls:
            raise ValueError("'ca' and 'certificate' need 'tls: true'")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("give both 'certificate' and 'key'")
        return self


class ImageInputs(Declared):
    """The DICOM contract: the images of a case, and the unit that is one case.

    Column `on` of the cohort contains the identifier named by `by`; each value must name exactly one
    study, series or image, as set by `case`. Column `patient`, if given, must equal the images'
    Patient ID, so that no case has the images of another patient.
    """

    modalities: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Z]{2,4}$")], ...],
        Field(min_length=1, max_length=16),
    ]
    case: Literal["study", "series", "image"] = "study"
    on: SourceColumn
    by: Literal["accession", "study", "series", "instance", "patient"] = "accession"
    patient: SourceColumn | None = None
    pixels: PixelChoice = PixelChoice()
    profile: ProfileChoice = ProfileChoice()
    pacs: PacsChoice | None = None

    @model_validator(mode="after")
    def _can_be_searched(self) -> Self:
        if self.pacs is not None and self.by in ("series", "instance"):
            raise ValueError("images from a PACS are found by 'accession', 'study' or 'patient'")
        return self
