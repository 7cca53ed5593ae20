"""Canary: a unique patient value in a failing call is in no message, traceback or log."""

import traceback

import numpy as np
import pytest

from healthval import metrics as hm
from healthval.errors import MetricError

CANARY_TEXT, CANARY = "Zyxwvut-4711", 87.65432198
Y = np.array([0, 1] * 20)
P = np.linspace(0.1, 0.9, 40)


def with_canary(values, canary, kind=object):
    out = np.array(values, dtype=kind)
    out[7] = canary
    return out


@pytest.mark.parametrize(
    "call",
    [
        lambda: hm.auroc(Y, with_canary(P, CANARY_TEXT)),
        lambda: hm.auroc(with_canary(Y, CANARY_TEXT), P),
        lambda: hm.auroc(with_canary(Y, CANARY, float), P),
        lambda: hm.calibration(Y, with_canary(P, CANARY, float)),
        lambda: hm.evaluate(Y, with_canary(P, CANARY, float)),
        lambda: hm.evaluate(Y, P, cluster=with_canary(Y, CANARY_TEXT)[1:]),
        lambda: hm.evaluate(Y, P, groups=np.array([CANARY_TEXT] * 3)),
        lambda: hm.evaluate(
            Y,
            P,
            groups={
                "note": np.array([f"{CANARY_TEXT} {i}" for i in range(40)] * 3)[:40],
                "free": np.array([f"{CANARY_TEXT} {i}" for i in range(80)])[:40],
                "bad": [CANARY_TEXT],
            },
        ),
        lambda: hm.multiclass(with_canary(Y, CANARY_TEXT), np.column_stack([P, 1 - P])),
        lambda: hm.reference_standard([CANARY_TEXT, None], positive="x"),
        lambda: hm.missing_bounds(with_canary(Y, CANARY_TEXT), P, 0.5),
        lambda: hm.continuous(with_canary(P, CANARY_TEXT), P),
        lambda: hm.concordance(with_canary(P, -CANARY, float), Y, P),
        lambda: hm.confusion_at(Y, with_canary(P, CANARY, float), 0.5),
        lambda: hm.auroc([[CANARY_TEXT], CANARY_TEXT], P),
    ],
)
def test_an_error_quotes_no_value(call):
    with pytest.raises(MetricError) as caught:
        call()
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    messages = [line for line in told.splitlines() if "lambda" not in line and "CANARY" not in line]
    for secret in (CANARY_TEXT, "87.65", "Zyx"):
        assert secret not in "\n".join(messages)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_result_holds_no_score_of_a_patient():
    p = P.copy()
    p[7] = 0.8765432198
    result = hm.evaluate(Y, p, cluster=[f"{CANARY_TEXT}{i}" for i in range(40)])
    for told in (result.to_json(), repr(result), result._repr_html_()):
        assert "0.8765432" not in told
        assert CANARY_TEXT not in told
