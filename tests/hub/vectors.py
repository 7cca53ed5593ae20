"""Vectors that the Python and the JavaScript client must agree on: `schemas/conformance.json`.

`python tests/hub/vectors.py` writes them anew from the Python package.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

import httpx
import jwt
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from healthval import metrics
from healthval.client_transport import RETRYABLE, _content, _title
from healthval.contracts.access import request_claims
from healthval.contracts.base import canonical_json
from healthval.contracts.keys import fingerprint
from healthval.credential import Credential
from healthval.errors import AccessDenied, HubError
from healthval.metrics.calibration.measures import observed_to_expected
from healthval.metrics.cases import read_cases
from healthval.metrics.confusion import confusion_at

PLACE = Path(__file__).parents[2] / "schemas" / "conformance.json"
VALUES = [
    None,
    {"b": 1, "a": [0.5, None, True], "A": "", "é": "ß", "a.b": {}},
    {"\U0001f600": 1, "\ufb01": 2, "z": 3},
    [
        'quote " and \\',
        "tab\tline\nreturn\r",
        "\x00\x1f",
        "\x7f\u2028\u2029",
        "Zoë 東京 \U0001f600",
    ],
    [
        0.1,
        1e-4,
        0.00012345,
        1.5e-05,
        9.999999e-05,
        1e-300,
        5e-324,
        123456.789,
        1.7976931348623157e308,
    ],
    [0.30000000000000004, 1e16, 1.2345e22, 2.5e-07, 4503599627370495.5, 9007199254740991, -0.0, -7],
]
PROBLEMS = [
    (400, {"title": "The request is malformed", "status": 400, "detail": "1 place"}),
    (401, {"title": "The token has expired", "status": 401, "detail": ""}),
    (403, {"title": "Access is requested", "status": 403}),
    (404, {"title": "No such model", "status": 404, "future": 1}),
    (409, {"title": "A key was used before", "status": 409, "retryable": False}),
    (413, "not json"),
    (422, {"title": "<b>", "status": 422}),
    (429, {"title": "Too many requests", "status": 429, "retryable": True}),
    (500, {"title": 1, "status": 500}),
    (502, ""),
    (503, {"title": "Busy", "status": 503}),
    (504, "late"),
    (507, {"title": "The disk is full", "status": 507}),
]
ROUNDED = [
    0.125,
    0.375,
    2.5,
    3.5,
    1.005,
    0.285,
    -0.125,
    -2.5,
    1e-9,
    0.49999999999999994,
    12345.6785,
]
LEVELS = [0.5, 0.8, 0.9, 0.95, 0.99, 0.999]


def vectors() -> dict:
    """Compute all vectors with the Python package."""
    return {
        "canonical": [_canonical(value) for value in VALUES],
        "token": _token(),
        "problems": [_problem(status, body) for status, body in PROBLEMS],
        "rounded": [[v, d, round(v, d) + 0.0] for v in ROUNDED for d in (0, 2, 3)],
        "suppressed": [
            [n, low, _shown(n, low)] for low in (5, 11) for n in (0, 1, 4, 5, 10, 11, 12)
        ],
        "metrics": [_metrics(*sample) for sample in _samples()],
        "proportions": [_proportion(k, n, level) for k, n in _counts() for level in LEVELS],
    }


def _canonical(value):
    data = canonical_json(value)
    # as text, because a JSON file that is read and written again loses the difference
    return {"json": data.decode(), "value": value, "sha256": hashlib.sha256(data).hexdigest()}


def _token():
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    credential = Credential(key)
    body = canonical_json({"model": "tumour"})
    claims = {
        "iss": credential.id,
        "sub": credential.id,
        "aud": "https://hub.example.org",
        "iat": 1_800_000_000,
        "exp": 1_800_000_060,
        "jti": base64.urlsafe_b64encode(bytes(24)).decode(),
        **request_claims("post", "/v1/reports?model=a%20b", body),
    }
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "pem": pem.decode(),
        "public_key": credential.public_key.model_dump(),
        "id": credential.id,
        "fingerprint": fingerprint(credential.public_key),
        "claims": claims,
        "method": "post",
        "target": "/v1/reports?model=a%20b",
        "body": body.decode(),
        "token": jwt.encode(claims, key, algorithm="EdDSA"),
    }


def _problem(status, body):
    text = body if isinstance(body, str) else json.dumps(body)
    response = httpx.Response(status, content=text.encode())
    known = {
        "status": status,
        "body": text,
        "retry": status in RETRYABLE,
        "title": _title(response),
    }
    try:
        _content(response)
    except AccessDenied as refusal:
        return {**known, "error": "AccessDenied", "message": str(refusal)}
    except HubError as refusal:
        return {**known, "error": "HubError", "message": str(refusal)}
    raise AssertionError("a problem is an error")


def _shown(count, minimum):
    return count if count == 0 or count >= minimum else "suppressed"


def _samples():
    rng = np.random.default_rng(7)
    for n, share, digits in ((12, 0.4, 2), (60, 0.3, 2), (200, 0.5, 17), (3000, 0.08, 3)):
        reference = (rng.random(n) < share).astype(int)
        score = np.clip(rng.beta(2, 5, n) + 0.25 * reference * rng.random(n), 0, 1).round(digits)
        yield reference.tolist(), score.tolist(), 0.95
    yield [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.9
    yield [0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.8, 0.9], 0.95
    yield [1, 1, 0, 0, 0], [0.1, 0.2, 0.3, 0.8, 0.9], 0.95
    yield [0, 1], [0.5, 0.5], 0.95
    yield [1, 0, 0, 0], [0.7, 0.2, 0.7, 0.1], 0.95


def _metrics(reference, score, level):
    cells = confusion_at(reference, score, 0.3)
    names = ("sensitivity", "specificity", "ppv", "npv", "prevalence", "accuracy")
    oe = observed_to_expected(read_cases(reference, score, None), level=level)
    return {
        "reference": reference,
        "score": score,
        "level": level,
        "threshold": 0.3,
        "confusion": {name: getattr(cells, name) for name in ("tp", "fp", "fn", "tn")},
        "rates": {name: _plain(cells.rate(name, level=level)) for name in names},
        "auroc": _plain(metrics.auroc(reference, score, level=level)),
        "oe": _plain(oe),
    }


def _counts():
    return [(0, 5), (1, 5), (5, 5), (3, 7), (50, 100), (999, 1000), (0, 0), (123456, 1_000_000)]


def _proportion(k, n, level):
    found = metrics.proportion(k, n, level=level)
    return {"k": k, "n": n, "level": level, "estimate": _plain(found)}


def _plain(estimate):
    known = estimate.to_dict()
    names = ("value", "lo", "hi", "se", "level", "method", "n", "n_events", "reason")
    return {name: known[name] for name in names}


if __name__ == "__main__":
    text = json.dumps(vectors(), indent=1) + "\n"
    if "--print" in sys.argv:
        sys.stdout.write(text)
    else:
        PLACE.write_text(text, encoding="utf-8")
