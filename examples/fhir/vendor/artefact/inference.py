"""The demo vendor's model: a logistic regression on age and three measurements of the record."""

import json
import math
from pathlib import Path


def load(model_dir):
    """Read the weights from the folder of this file."""
    return json.loads((Path(model_dir) / "weights.json").read_text(encoding="utf-8"))


def predict(model, instances):
    """Give the probability of pneumonia for each row; None where an input is missing."""
    return [_score(model, row) for row in instances]


def _score(model, row):
    values = [row[name] for name in model["features"]]
    if any(value is None for value in values):
        return None
    terms = zip(values, model["mean"], model["sd"], model["coefficients"], strict=True)
    return 1 / (1 + math.exp(-model["intercept"] - sum(c * (v - m) / s for v, m, s, c in terms)))
