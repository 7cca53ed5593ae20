"""Statements that people make because a report cannot measure them: in the plan and on the card."""

from healthval.contracts.base import Paragraph, Wire


class StudyReporting(Wire):
    """Statements on the study, in the plan; each is an item of TRIPOD+AI, CLAIM or STARD-AI."""

    context: Paragraph = ""
    inequalities: Paragraph = ""
    data_sources: Paragraph = ""
    recruitment_dates: Paragraph = ""
    setting: Paragraph = ""
    eligibility: Paragraph = ""
    sampling: Paragraph = ""
    treatments: Paragraph = ""
    reference_assessors: Paragraph = ""
    blinding: Paragraph = ""
    verification: Paragraph = ""
    predictor_assessors: Paragraph = ""
    missing_predictors: Paragraph = ""
    independence: Paragraph = ""
    ethics: Paragraph = ""
    funding: Paragraph = ""
    conflicts: Paragraph = ""
    registration: Paragraph = ""
    involvement: Paragraph = ""


class DeveloperReporting(Wire):
    """Statements of the developer, on the model card."""

    users: Paragraph = ""
    predictors: Paragraph = ""
    predictor_definitions: Paragraph = ""
    class_imbalance: Paragraph = ""
    development_comparison: Paragraph = ""
    model_access: Paragraph = ""
    expertise: Paragraph = ""
