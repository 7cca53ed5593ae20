"""Prediction: sends de-identified cases to a hosted model and pairs the answers with the cases."""

from healthval.predict.answer_cache import AnswerCache
from healthval.predict.canary import canary_cases
from healthval.predict.images import ImageCases, deidentify_images, find_images, image_cases
from healthval.predict.predictions import Predictions, predict
from healthval.predict.session import Session

__all__ = [
    "AnswerCache",
    "ImageCases",
    "Predictions",
    "Session",
    "canary_cases",
    "deidentify_images",
    "find_images",
    "image_cases",
    "predict",
]
