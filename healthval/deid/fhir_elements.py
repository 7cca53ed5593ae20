"""Allow-list of FHIR R4 elements, with the rule for each; all other elements are removed.

The rules are defined in `healthval.deid.fhir`. Names, identifiers, telecom, photographs, narrative,
notes, attachments, free text, contained resources and extensions have no rule.
"""

from __future__ import annotations

from typing import Any

Elements = dict[str, Any]


def _elements(spec: str, **backbone: Elements) -> Elements:
    """Parse ``rule: element element; rule: ...`` and add nested elements."""
    named: Elements = {}
    for part in spec.split(";"):
        rule, _, names = part.partition(":")
        named |= dict.fromkeys(names.split(), rule.strip())
    return named | backbone


_VALUE = (
    "quantity: valueQuantity; concept: valueCodeableConcept dataAbsentReason interpretation;"
    "boolean: valueBoolean; integer: valueInteger; range: valueRange; ratio: valueRatio;"
    "date: valueDateTime; period: valuePeriod;"
)
_DRUG = "concept: medicationCodeableConcept; reference: medicationReference;"
_DOSE = _elements("quantity: doseQuantity rateQuantity; range: doseRange; ratio: rateRatio")
_DOSAGE = _elements(
    "concept: route site method additionalInstruction; integer: sequence; boolean: asNeededBoolean",
    doseAndRate=_DOSE,
)

RESOURCES: dict[str, Elements] = {
    "Patient": _elements(
        "boolean: active deceasedBoolean multipleBirthBoolean; birth_order: multipleBirthInteger;"
        "gender: gender; birth: birthDate; death: deceasedDateTime; address: address;"
        "concept: maritalStatus; reference: generalPractitioner managingOrganization",
        communication=_elements("concept: language; boolean: preferred"),
        link=_elements("reference: other; code: type"),
    ),
    "Observation": _elements(
        _VALUE + "code: status; concept: category code bodySite method;"
        "reference: subject encounter focus basedOn partOf performer specimen device hasMember "
        "derivedFrom; date: effectiveDateTime effectiveInstant issued; period: effectivePeriod",
        component=_elements(_VALUE + "concept: code"),
        referenceRange=_elements("quantity: low high; concept: type appliesTo"),
    ),
    "Condition": _elements(
        "concept: clinicalStatus verificationStatus category severity code bodySite;"
        "reference: subject encounter recorder asserter; age: onsetAge abatementAge;"
        "date: onsetDateTime abatementDateTime recordedDate; period: onsetPeriod abatementPeriod",
        stage=_elements("concept: summary type; reference: assessment"),
        evidence=_elements("concept: code; reference: detail"),
    ),
    "Encounter": _elements(
        "code: status; coding: class; concept: type serviceType priority reasonCode;"
        "reference: subject basedOn reasonReference partOf serviceProvider; period: period;"
        "quantity: length",
        diagnosis=_elements("reference: condition; concept: use; integer: rank"),
        hospitalization=_elements("concept: admitSource reAdmission dischargeDisposition"),
    ),
    "Procedure": _elements(
        "code: status; concept: statusReason category code reasonCode bodySite outcome "
        "complication followUp usedCode; age: performedAge;"
        "reference: subject encounter basedOn partOf reasonReference report complicationDetail;"
        "date: performedDateTime; period: performedPeriod"
    ),
    "MedicationRequest": _elements(
        _DRUG + "code: status intent priority; concept: statusReason category reasonCode "
        "courseOfTherapyType; boolean: doNotPerform reportedBoolean; date: authoredOn;"
        "reference: subject encounter requester reasonReference basedOn",
        dosageInstruction=_DOSAGE,
        dispenseRequest=_elements("integer: numberOfRepeatsAllowed; quantity: quantity"),
    ),
    "MedicationAdministration": _elements(
        _DRUG + "code: status; concept: statusReason category reasonCode;"
        "reference: subject context request partOf; date: effectiveDateTime; period: effectivePeriod",
        dosage=_elements(
            "concept: route site method; quantity: dose rateQuantity; ratio: rateRatio"
        ),
    ),
    "MedicationStatement": _elements(
        _DRUG + "code: status; concept: statusReason category reasonCode;"
        "reference: subject context basedOn partOf derivedFrom;"
        "date: effectiveDateTime dateAsserted; period: effectivePeriod",
        dosage=_DOSAGE,
    ),
    "Medication": _elements(
        "code: status; concept: code form; ratio: amount",
        ingredient=_elements(
            "concept: itemCodeableConcept; reference: itemReference; boolean: isActive;"
            "ratio: strength"
        ),
    ),
    "DiagnosticReport": _elements(
        "code: status; concept: category code conclusionCode;"
        "reference: subject encounter basedOn performer specimen result imagingStudy;"
        "date: effectiveDateTime issued; period: effectivePeriod"
    ),
    "ImagingStudy": _elements(
        "code: status; coding: modality; concept: procedureCode reasonCode; dicom_uid: identifier;"
        "reference: subject encounter basedOn procedureReference; date: started;"
        "integer: numberOfSeries numberOfInstances",
        series=_elements(
            "uid: uid; integer: number numberOfInstances; coding: modality bodySite laterality;"
            "date: started; reference: specimen",
            instance=_elements("uid: uid; coding: sopClass; integer: number"),
        ),
    ),
    "AllergyIntolerance": _elements(
        "concept: clinicalStatus verificationStatus code; code: type category criticality;"
        "reference: patient encounter; age: onsetAge; period: onsetPeriod;"
        "date: onsetDateTime recordedDate lastOccurrence",
        reaction=_elements(
            "concept: substance manifestation exposureRoute; date: onset; code: severity"
        ),
    ),
    "Immunization": _elements(
        "code: status; concept: statusReason vaccineCode site route reasonCode;"
        "reference: patient encounter; date: occurrenceDateTime recorded; boolean: primarySource "
        "isSubpotent; quantity: doseQuantity"
    ),
    "Specimen": _elements(
        "code: status; concept: type condition; reference: subject parent request; date: receivedTime",
        collection=_elements(
            "date: collectedDateTime; period: collectedPeriod; concept: method bodySite;"
            "quantity: quantity"
        ),
    ),
    "ServiceRequest": _elements(
        "code: status intent priority; concept: category code orderDetail reasonCode bodySite;"
        "boolean: doNotPerform asNeededBoolean; quantity: quantityQuantity;"
        "reference: subject encounter basedOn replaces reasonReference specimen;"
        "date: occurrenceDateTime authoredOn; period: occurrencePeriod"
    ),
    "FamilyMemberHistory": _elements(
        "code: status; concept: relationship sex reasonCode; reference: patient; age: ageAge "
        "deceasedAge; boolean: deceasedBoolean estimatedAge; date: date",
        condition=_elements("concept: code outcome; age: onsetAge; boolean: contributedToDeath"),
    ),
}
REFERENCED = frozenset(RESOURCES) | {
    *("CarePlan", "Device", "EpisodeOfCare", "Group", "Location", "Organization"),
    *("Practitioner", "PractitionerRole", "RelatedPerson"),
}

STATES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California",
    "CO": "Colorado", "CT": "Connecticut", "DE": "Delaware", "DC": "District of Columbia",
    "FL": "Florida", "GA": "Georgia", "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois",
    "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana",
    "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota",
    "MS": "Mississippi", "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada",
    "NH": "New Hampshire", "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York",
    "NC": "North Carolina", "ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon",
    "PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota",
    "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VA": "Virginia",
    "WA": "Washington", "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming",
    "AS": "American Samoa", "GU": "Guam", "MP": "Northern Mariana Islands", "PR": "Puerto Rico",
    "VI": "Virgin Islands",
}  # fmt: skip
