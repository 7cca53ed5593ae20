"""Agreement with R and the literature at a relative 1e-8."""

import numpy as np
import pytest

from healthval import metrics as hm


@pytest.mark.parametrize("model", ["p_lr", "p_rf", "p_nb"])
def test_auroc_and_its_delong_interval_are_procs(breast, r_values, close, model):
    theirs = r_values[f"bc.auc.{model}"]
    ours = hm.auroc(breast["y"], breast[model], ci="delong")
    close(
        [ours.value, ours.lo, ours.hi, ours.se**2], [theirs[k] for k in ("auc", "lo", "hi", "var")]
    )


@pytest.mark.parametrize("model", ["p_lr", "p_rf", "p_nb"])
def test_patients_with_one_case_each_change_nothing(breast, r_values, close, model):
    singletons = np.arange(breast["y"].size)
    ours = hm.auroc(breast["y"], breast[model], cluster=singletons, ci="delong")
    close(ours.se**2, r_values[f"bc.auc.{model}"]["var"])


@pytest.mark.parametrize("model", ["p_lr", "p_rf"])
def test_average_precision_is_scikit_learns_with_boyds_interval(breast, r_values, close, model):
    theirs = r_values["average_precision"][f"breast_cancer_oof.csv:{model}"]
    ours = hm.average_precision(breast["y"], breast[model])
    close([ours.value, ours.lo, ours.hi], [theirs["ap"], *theirs["boyd_logit_ci"]])


@pytest.mark.parametrize("threshold", [0.2, 0.5])
@pytest.mark.parametrize("interval", ["wilson", "clopper-pearson"])
def test_rates_at_a_threshold(breast, r_values, close, threshold, interval):
    theirs = r_values[f"bc.threshold.p_lr.{threshold}"]
    cells = hm.confusion_at(breast["y"], breast["p_lr"], threshold)
    names = {
        "sens": "sensitivity",
        "spec": "specificity",
        "ppv": "ppv",
        "npv": "npv",
        "acc": "accuracy",
    }
    for short, name in names.items():
        ours = cells.rate(name, interval=interval)
        expected = theirs[short]
        close(
            [ours.value, ours.lo, ours.hi], [expected["est"], *expected[interval.replace("-", "_")]]
        )


@pytest.mark.parametrize("threshold", [0.2, 0.5])
def test_ratios_and_predictive_values_at_other_prevalences(breast, r_values, close, threshold):
    theirs = r_values[f"bc.threshold.p_lr.{threshold}"]
    cells = hm.confusion_at(breast["y"], breast["p_lr"], threshold)
    ratios = hm.likelihood_ratios(cells)
    pairs = [
        (ratios.positive, "lr_pos"),
        (ratios.negative, "lr_neg"),
        (ratios.diagnostic_odds_ratio, "dor"),
    ]
    for ours, key in pairs:
        close([ours.value, ours.lo, ours.hi], theirs[key])
    for prevalence in (0.01, 0.05):
        ppv, npv = hm.predictive_values(cells, prevalence)
        for ours, key in ((ppv, "ppv"), (npv, "npv")):
            close([ours.value, ours.lo, ours.hi], theirs[f"prev_adj_{prevalence}"][key])


@pytest.mark.parametrize("threshold", [0.2, 0.5])
def test_net_benefit(breast, r_values, close, threshold):
    theirs = r_values[f"bc.threshold.p_lr.{threshold}"]
    curve = hm.net_benefit(breast["y"], breast["p_lr"], [threshold])
    close([curve.net_benefit[0], curve.treat_all[0]], [theirs["net_benefit"], theirs["nb_all"]])
    at = hm.at_threshold(breast["y"], breast["p_lr"], threshold).net_benefit
    close(at.value, theirs["net_benefit"])
