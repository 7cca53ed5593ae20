"""The demo vendor's model: a logistic regression on a film's pixels and two values of the record."""

import io
import json
import math
from pathlib import Path

from pydicom import dcmread


def load(model_dir):
    """Read the weights from the folder of this file."""
    return json.loads((Path(model_dir) / "weights.json").read_text(encoding="utf-8"))


def predict(model, instances):
    """Give the probability of pneumonia for each case; None where an input is missing."""
    return [_score(model, case) for case in instances]


def opacity(film):
    """Mean pixel of the lower half of a film above that of its upper half."""
    pixels = dcmread(io.BytesIO(film)).pixel_array.astype(float)
    middle = len(pixels) // 2
    return float(pixels[middle:].mean() - pixels[:middle].mean())


def _score(model, case):
    seen = {**case, "opacity": opacity(case["files"][0])}
    values = [seen[name] for name in model["features"]]
    if any(value is None for value in values):
        return None
    terms = zip(values, model["mean"], model["sd"], model["coefficients"], strict=True)
    return 1 / (1 + math.exp(-model["intercept"] - sum(c * (v - m) / s for v, m, s, c in terms)))
