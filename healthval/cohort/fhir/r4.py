"""Release of a resource: R4 is read, others are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from healthval.errors import CohortError, counted

# Resource types and elements that R4 does not have.
_OLD_TYPES = frozenset(
    """BodySite DataElement DeviceUseRequest DiagnosticOrder ExpansionProfile MedicationOrder
    ProcedureRequest ProcessRequest ReferralRequest Sequence""".split()  # noqa: SIM905
)
_R5_TYPES = frozenset(
    """ActorDefinition ArtifactAssessment BiologicallyDerivedProductDispense ConditionDefinition
    DeviceAssociation DeviceDispense DeviceUsage EncounterHistory FormularyItem GenomicStudy
    ImagingSelection InventoryItem InventoryReport NutritionIntake Permission Requirements
    SubscriptionTopic TestPlan Transport""".split()  # noqa: SIM905
)
# Source: FHIR R4 (4.0.1), "Resource Index".
RESOURCE_TYPES = frozenset(
    [
        "Account",
        "ActivityDefinition",
        "AdverseEvent",
        "AllergyIntolerance",
        "Appointment",
        "AppointmentResponse",
        "AuditEvent",
        "Basic",
        "Binary",
        "BiologicallyDerivedProduct",
        "BodyStructure",
        "Bundle",
        "CapabilityStatement",
        "CarePlan",
        "CareTeam",
        "CatalogEntry",
        "ChargeItem",
        "ChargeItemDefinition",
        "Claim",
        "ClaimResponse",
        "ClinicalImpression",
        "CodeSystem",
        "Communication",
        "CommunicationRequest",
        "CompartmentDefinition",
        "Composition",
        "ConceptMap",
        "Condition",
        "Consent",
        "Contract",
        "Coverage",
        "CoverageEligibilityRequest",
        "CoverageEligibilityResponse",
        "DetectedIssue",
        "Device",
        "DeviceDefinition",
        "DeviceMetric",
        "DeviceRequest",
        "DeviceUseStatement",
        "DiagnosticReport",
        "DocumentManifest",
        "DocumentReference",
        "EffectEvidenceSynthesis",
        "Encounter",
        "Endpoint",
        "EnrollmentRequest",
        "EnrollmentResponse",
        "EpisodeOfCare",
        "EventDefinition",
        "Evidence",
        "EvidenceVariable",
        "ExampleScenario",
        "ExplanationOfBenefit",
        "FamilyMemberHistory",
        "Flag",
        "Goal",
        "GraphDefinition",
        "Group",
        "GuidanceResponse",
        "HealthcareService",
        "ImagingStudy",
        "Immunization",
        "ImmunizationEvaluation",
        "ImmunizationRecommendation",
        "ImplementationGuide",
        "InsurancePlan",
        "Invoice",
        "Library",
        "Linkage",
        "List",
        "Location",
        "Measure",
        "MeasureReport",
        "Media",
        "Medication",
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationKnowledge",
        "MedicationRequest",
        "MedicationStatement",
        "MedicinalProduct",
        "MedicinalProductAuthorization",
        "MedicinalProductContraindication",
        "MedicinalProductIndication",
        "MedicinalProductIngredient",
        "MedicinalProductInteraction",
        "MedicinalProductManufactured",
        "MedicinalProductPackaged",
        "MedicinalProductPharmaceutical",
        "MedicinalProductUndesirableEffect",
        "MessageDefinition",
        "MessageHeader",
        "MolecularSequence",
        "NamingSystem",
        "NutritionOrder",
        "Observation",
        "ObservationDefinition",
        "OperationDefinition",
        "OperationOutcome",
        "Organization",
        "OrganizationAffiliation",
        "Parameters",
        "Patient",
        "PaymentNotice",
        "PaymentReconciliation",
        "Person",
        "PlanDefinition",
        "Practitioner",
        "PractitionerRole",
        "Procedure",
        "Provenance",
        "Questionnaire",
        "QuestionnaireResponse",
        "RelatedPerson",
        "RequestGroup",
        "ResearchDefinition",
        "ResearchElementDefinition",
        "ResearchStudy",
        "ResearchSubject",
        "RiskAssessment",
        "RiskEvidenceSynthesis",
        "Schedule",
        "SearchParameter",
        "ServiceRequest",
        "Slot",
        "Specimen",
        "SpecimenDefinition",
        "StructureDefinition",
        "StructureMap",
        "Subscription",
        "Substance",
        "SubstanceNucleicAcid",
        "SubstancePolymer",
        "SubstanceProtein",
        "SubstanceReferenceInformation",
        "SubstanceSourceMaterial",
        "SubstanceSpecification",
        "SupplyDelivery",
        "SupplyRequest",
        "Task",
        "TerminologyCapabilities",
        "TestReport",
        "TestScript",
        "ValueSet",
        "VerificationResult",
        "VisionPrescription",
    ]
)
_R5_ELEMENTS = {
    "Encounter": (
        "actualPeriod",
        "plannedStartDate",
        "subjectStatus",
        "admission",
        "virtualService",
    ),
    "Observation": (
        "triggeredBy",
        "instantiatesReference",
        "bodyStructure",
        "valueAttachment",
        "valueReference",
    ),
    "Condition": ("participant",),
    "Procedure": ("occurrenceDateTime", "occurrencePeriod", "recorded", "reportedBoolean"),
    "MedicationRequest": ("medication", "reason", "device", "effectiveDosePeriod"),
    "MedicationAdministration": ("medication", "occurenceDateTime", "occurencePeriod"),
    "MedicationStatement": ("medication", "adherence", "relatedClinicalInformation"),
    "DiagnosticReport": ("study", "supportingInfo", "composition"),
    "Immunization": ("administeredProduct", "basedOn", "informationSource"),
    "AllergyIntolerance": ("participant",),
    "ServiceRequest": ("focus", "orderDetailReference"),
}


def check_r4(resource: Any, place: str) -> dict[str, Any]:
    """Return the resource if it is an R4 resource.

    Raises
    ------
    CohortError
        If the value is not a resource, if the resource belongs to another release of FHIR, or if its
        contained resources refer to each other in a circle.
    """
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(kind, str) or not isinstance(resource, dict):
        raise CohortError(f"{place}: not a FHIR resource; check the source")
    wrong = kind in _R5_TYPES or any(name in resource for name in _R5_ELEMENTS.get(kind, ()))
    if wrong or (kind == "Encounter" and isinstance(resource.get("class"), list)):
        raise CohortError(f"{place}: a resource has the shape of FHIR R5; export as R4 (4.0.1)")
    if kind in _OLD_TYPES or isinstance(resource.get("clinicalStatus"), str):
        raise CohortError(f"{place}: a resource is older than FHIR R4; export as R4 (4.0.1)")
    if resource.get("contained"):
        _check_contained(resource, place)
    return resource


def _check_contained(resource: Mapping[str, Any], place: str) -> None:
    contained = resource["contained"]
    if not isinstance(contained, list):
        raise CohortError(f"{place}: 'contained' is not a list; correct the source")
    targets = {
        str(inner.get("id")): set(_local_references(inner))
        for inner in contained
        if isinstance(inner, dict)
    }
    # Repeatedly remove resources without a reference to a remaining one; circles remain.
    while done := [key for key, to in targets.items() if not to & targets.keys()]:
        for key in done:
            del targets[key]
    if targets:
        circle = counted(
            len(targets),
            "contained resource refers to itself",
            "contained resources refer to each other in a circle",
        )
        raise CohortError(f"{place}: {circle}; correct the source")


def _local_references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        reference = node.get("reference")
        if isinstance(reference, str) and reference.startswith("#"):
            yield reference[1:]
        for value in node.values():
            yield from _local_references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _local_references(item)
