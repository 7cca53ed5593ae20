"""The demo's closing lines: each says where its number is from."""

from healthval.demo.summary import _rates


def counts(method, k, n_excluded):
    rate = {"value": 0.736, "method": method}
    excluded = [{"site": str(i), "reason": "suppressed cells"} for i in range(n_excluded)]
    return {"k": k, "excluded": excluded, "sensitivity": rate, "specificity": rate}


def test_a_rate_is_called_a_sum_only_if_it_is_one():
    (line,) = _rates({"threshold": 0.4, "counts": counts("wilson perturbed", 3, 0)}, 3)
    assert line.endswith("sensitivity 0.74, specificity 0.74, summed over 3 of 3 sites")
    (line,) = _rates({"threshold": 0.4, "counts": counts("interval-censored", 1, 2)}, 3)
    assert line.endswith("estimated over 3 sites, 2 of which withheld small cells")
    assert "sum" not in line


def test_without_a_rate_every_site_withheld():
    given = counts("bounds", 0, 3)
    given["sensitivity"] = given["specificity"] = {"value": None, "method": "bounds"}
    (line,) = _rates({"threshold": 0.4, "counts": given}, 3)
    assert line.endswith("every site withheld small cells")
