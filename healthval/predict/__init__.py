"""Sends de-identified cases, pairs the answers: the only door for `DeidentifiedCases`."""

from healthval.predict.answer_cache import AnswerCache
from healthval.predict.canary import canary_cases
from healthval.predict.images import ImageCases, deidentify_images, find_images, image_cases
from healthval.predict.predictions import Predictions, predict

__all__ = ["AnswerCache", "ImageCases", "Predictions", "canary_cases", "deidentify_images", "find_images", "image_cases", "predict"]  # fmt: skip
