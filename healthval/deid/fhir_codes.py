"""Codes that may leave: closed lists and checked shapes of published systems, statuses and units.

A code of any other system is removed: it may be a name or a record number. Sources: statuses are the
code systems of FHIR R4 (4.0.1) that its elements are bound to; lists under terminology.hl7.org are code
systems of HL7 Terminology as in FHIR R4, with "presumed" of allergyintolerance-verification and "C" of
v3-MaritalStatus from its present edition (HL7/UTG); modalities are DICOM PS3.16, CID 29 and 33. Check
digits: SNOMED CT Technical Implementation Guide (Verhoeff) and LOINC Users' Guide (modulus 10). Addresses
and object identifiers of the systems: FHIR R4, "Code Systems used in FHIR"; ICD-10-GM: BfArM.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from healthval.cohort.units import read_unit

_HL7 = "http://terminology.hl7.org/CodeSystem/"
_R4 = "http://hl7.org/fhir/"
_SID = "http://hl7.org/fhir/sid/"
_OID = "urn:oid:2.16.840.1.113883.6."

STATUSES = frozenset(
    """registered preliminary final amended corrected cancelled entered-in-error unknown partial appended
    preparation in-progress not-done on-hold stopped completed active inactive draft revoked planned
    arrived triaged onleave finished available unavailable unsatisfactory intended not-taken
    health-unknown proposal plan order original-order reflex-order filler-order instance-order option
    directive routine urgent asap stat allergy intolerance food medication environment biologic low high
    unable-to-assess mild moderate severe replaced-by replaces refer seealso""".split()  # noqa: SIM905
)

_LISTS = {
    _HL7 + "condition-clinical": "active recurrence relapse inactive remission resolved",
    _HL7 + "condition-ver-status": (
        "unconfirmed provisional differential confirmed refuted entered-in-error"
    ),
    _HL7 + "condition-category": "problem-list-item encounter-diagnosis",
    _HL7 + "observation-category": (
        "social-history vital-signs imaging laboratory procedure survey exam therapy activity"
    ),
    _HL7 + "allergyintolerance-clinical": "active inactive resolved",
    _HL7
    + "allergyintolerance-verification": "unconfirmed presumed confirmed refuted entered-in-error",
    _HL7 + "data-absent-reason": (
        "unknown asked-unknown temp-unknown not-asked asked-declined masked not-applicable unsupported "
        "as-text error not-a-number negative-infinity positive-infinity not-performed not-permitted"
    ),
    _HL7 + "discharge-disposition": (
        "home alt-home other-hcf hosp long aadvice exp psy rehab snf oth"
    ),
    _HL7 + "admit-source": "hosp-trans emd outp born gp mp nursing psych rehab other",
    _HL7 + "diagnosis-role": "AD DD CC CM pre-op post-op billing",
    _HL7 + "medicationrequest-category": "inpatient outpatient community discharge",
    _HL7 + "medicationrequest-course-of-therapy": "continuous acute seasonal",
    _HL7 + "medication-admin-category": "inpatient outpatient community",
    _HL7 + "medication-statement-category": "inpatient outpatient community patientspecified",
    _HL7
    + "referencerange-meaning": "type normal recommended treatment therapeutic pre post endocrine",
    _HL7 + "v3-ActCode": "AMB EMER FLD HH IMP ACUTE NONAC OBSENC PRENC SS VR",
    _HL7 + "v3-ActPriority": "A CR CS CSP CSR EL EM P PRN R RR S T UD UR",
    _HL7 + "v3-MaritalStatus": "A D I L M C P T U W S",
    _HL7 + "v3-NullFlavor": (
        "NI INV OTH NINF PINF UNC DER UNK ASKU NAV NASK NAVU QS TRC MSK NA NP"
    ),
    _HL7 + "v3-ObservationInterpretation": (
        "A AA AC B CAR D DET E EX EXP H H> HH HM HU HX I IE IND L L< LL LU LX MS N NCL ND NEG NR NS OBX "
        "POS QCF R RR S SDD SYN-R SYN-S TOX U UNE VS W WR < >"
    ),
    _HL7 + "v3-RoleCode": (
        "FTH MTH PRN BRO SIS SIB SON DAU CHILD GRFTH GRMTH GRPRN MGRFTH MGRMTH PGRFTH PGRMTH AUNT UNCLE "
        "COUSN HUSB WIFE SPS NFTH NMTH NBRO NSIS HBRO HSIS HSIB TWIN TWINBRO TWINSIS"
    ),
    _HL7 + "v2-0074": (
        "AU BG BLB CG CUS CTH CT CH CP EC EN GE HM ICU IMM LAB MB MCB MYC NMS NMR NRS OUS OT OTH OSL PHR "
        "PT PHY PF PAT RAD RX RUS RC RT SR SP TX VUS VR XRC"
    ),
    _HL7 + "v2-0487": "BLD SER PLAS UR CSF SPT STL TISS BPU SAL ASP FLU WB BLDA BLDV",
    _HL7 + "v2-0078": "A AA B D H HH I IND L LL MS N NEG NR NS POS R RR S U W WR < >",
    _R4 + "administrative-gender": "male female other unknown",
    "http://dicom.nema.org/resources/ontology/DCM": (
        "AR BI BMD CR CT DG DX ECG EEG EMG EPS ES GM HD IO IVOCT IVUS KER LEN LS MG MR NM OAM OCT OP OPM "
        "OPT OPV OT PR PT PX REG RF RG RTDOSE RTIMAGE RTPLAN RTRECORD RTSTRUCT SEG SM SR SRF TG US VA XA "
        "XC"
    ),
}

_STATUS_SYSTEMS = frozenset(
    _R4 + name
    for name in [
        "observation-status",
        "event-status",
        "request-status",
        "request-intent",
        "request-priority",
        "encounter-status",
        "diagnostic-report-status",
        "imagingstudy-status",
        "specimen-status",
        "allergy-intolerance-type",
        "allergy-intolerance-category",
        "allergy-intolerance-criticality",
        "reaction-event-severity",
        "link-type",
        "history-status",
        "CodeSystem/medication-statement-status",
        "CodeSystem/medication-status",
        "CodeSystem/medicationrequest-intent",
        "CodeSystem/medicationrequest-status",
    ]
)


def _loinc(code: str) -> bool:
    if re.fullmatch(r"L[AP]\d{1,7}-\d", code):  # answers and parts
        return True
    if (found := re.fullmatch(r"(\d{1,6})-(\d)", code)) is None:
        return False
    total = 0
    for at, digit in enumerate(reversed(found[1])):  # modulus 10 over the digits, from the right
        doubled = int(digit) * (2 if at % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return (10 - total % 10) % 10 == int(found[2])


_TURN = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4))
_DIHEDRAL = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 4, 0, 6, 7, 8, 9, 5), (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7), (4, 0, 1, 2, 3, 9, 5, 6, 7, 8), (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2), (7, 6, 5, 9, 8, 2, 1, 0, 4, 3), (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip


def _snomed(code: str) -> bool:
    """Whether a text is a concept's SCTID: partition 00 or 10, and Verhoeff's check digit."""
    if not re.fullmatch(r"[1-9]\d{5,17}", code) or code[-3:-1] not in {"00", "10"}:
        return False
    check = 0
    for at, digit in enumerate(reversed(code)):
        value = int(digit)
        for _ in range(at % 8):
            value = _TURN[1][value]
        check = _DIHEDRAL[check][value]
    return check == 0


def _shaped(pattern: str) -> Callable[[str], bool]:
    return lambda code: re.fullmatch(pattern, code) is not None


_ICD10 = _shaped(r"[A-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?")
_ICD9 = _shaped(r"(?:\d{3}|V\d\d|E\d{3})(?:\.\d{1,2})?")
_RXNORM = _shaped(r"[1-9]\d{0,6}")
_SHAPES: dict[str, Callable[[str], bool]] = {
    "http://loinc.org": _loinc,
    _OID + "1": _loinc,
    "http://snomed.info/sct": _snomed,
    _OID + "96": _snomed,
    _SID + "icd-10": _ICD10,
    _SID + "icd-10-cm": _ICD10,
    "http://fhir.de/CodeSystem/bfarm/icd-10-gm": _ICD10,
    _OID + "3": _ICD10,
    _OID + "90": _ICD10,
    _SID + "icd-9-cm": _ICD9,
    _OID + "103": _ICD9,
    "http://www.cms.gov/Medicare/Coding/ICD10": _shaped(r"[0-9BCDFGHX][0-9A-HJ-NP-Z]{6}"),
    "http://www.nlm.nih.gov/research/umls/rxnorm": _RXNORM,
    _OID + "88": _RXNORM,
    "http://www.ama-assn.org/go/cpt": _shaped(r"\d{4}[0-9FTU]"),
    "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets": _shaped(r"[A-V]\d{4}"),
    _SID + "cvx": _shaped(r"\d{2,3}"),
    _SID + "ndc": _shaped(r"\d{4,5}-\d{3,4}-\d{1,2}"),
    "http://www.whocc.no/atc": _shaped(r"[A-DGHJ-NPRSV](?:\d\d(?:[A-Z]{1,2}(?:\d\d)?)?)?"),
    "urn:ietf:bcp:47": _shaped(r"[a-z]{2,3}(?:-[A-Z]{2})?"),
    "http://unitsofmeasure.org": lambda code: clean_unit(code) == code,
}
_VERSION = re.compile(
    r"\d\.\d{1,2}|20\d\d(?:-(?:0[1-9]|1[0-2]))?|http://snomed\.info/sct/\d{6,18}(?:/version/20\d{6})?"
)
# Notes in braces that UCUM's users write in units; all others are removed.
_NOTES = frozenset(
    "beats breaths score cells copies ratio titer INR RBC WBC index events 1.73_m2".split()  # noqa: SIM905
)


def may_leave(system: object, code: object) -> bool:
    """Whether a code is one of a published system, in that system's list or shape."""
    if not isinstance(system, str) or not isinstance(code, str):
        return False
    if system in _STATUS_SYSTEMS:
        return code in STATUSES
    if (listed := _CODES.get(system)) is not None:
        return code in listed
    shaped = _SHAPES.get(system)
    return shaped is not None and shaped(code)


def version_may_leave(version: object) -> bool:
    """Whether a text has the form of a version of a published system."""
    return isinstance(version, str) and _VERSION.fullmatch(version) is not None


def clean_unit(text: object) -> str | None:
    """Return a unit of the vocabulary without unknown notes; None for any other text."""
    if not isinstance(text, str) or len(text) > 32:
        return None
    clean = re.sub(r"\{([^{}]*)\}", lambda note: note[0] if note[1] in _NOTES else "", text)
    if clean.endswith("/"):
        clean += "1"
    clean = clean or "1"
    if re.search(r"\d{4}", clean) or clean.count(".") > 3 or read_unit(clean) is None:
        return None
    return clean


_CODES = {system: frozenset(codes.split()) for system, codes in _LISTS.items()}
