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
        ours = cells.rate(name, ci=interval)
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


@pytest.mark.parametrize(("key", "other"), [("lr_rf", "p_rf"), ("lr_nb", "p_nb")])
def test_paired_comparison_is_procs(breast, r_values, close, key, other):
    theirs = r_values[f"bc.paired.{key}"]
    ours = hm.compare_auroc(breast["y"], breast["p_lr"], breast[other])
    close([ours.a.value, ours.b.value, ours.z], [theirs[k] for k in ("auc1", "auc2", "statistic")])
    close(ours.p, theirs["p"])
    close([ours.difference.lo, ours.difference.hi], theirs["ci_diff"])


def test_unpaired_comparison_has_welchs_degrees_of_freedom(breast, close):
    # pROC 1.18.0: roc.test(A, B, method = "delong", paired = FALSE) on p_rf by group
    parts = [(breast["y"][g], breast["p_rf"][g]) for g in (breast["group"] == k for k in "AB")]
    ours = hm.compare_auroc_unpaired(*parts[0], *parts[1])
    close(
        [ours.z, ours.df, ours.p], [-0.1099912813482227, 397.5259673978353021, 0.9124717941958346]
    )


PARTIAL = [
    # pROC 1.18.0: auc(partial.auc, partial.auc.focus, partial.auc.correct)
    ("p_lr", {"fpr": (0, 0.1)}, 0.04278182971301727, 0.6988517353316699),
    ("p_lr", {"fpr": (0.05, 0.3)}, 0.1787200729348343, 0.8272001768117196),
    ("p_lr", {"tpr": (0.9, 1)}, 0.05847999577189364, 0.781473661957335),
    ("p_lr", {"tpr": (0.7, 0.95)}, 0.1880820252629354, 0.8498958188192373),
    ("p_nb", {"fpr": (0, 0.1)}, 0.02393108186670894, 0.5996372729826787),
    ("p_nb", {"fpr": (0.05, 0.3)}, 0.1502794514032028, 0.7582532155229158),
    ("p_nb", {"tpr": (0.9, 1)}, 0.04511389461444954, 0.7111257611286819),
    ("p_nb", {"tpr": (0.7, 0.95)}, 0.161793774113419, 0.7861667251234399),
]


@pytest.mark.parametrize(("model", "where", "bare", "mcclish"), PARTIAL)
def test_partial_areas_are_procs(breast, close, model, where, bare, mcclish):
    y, p = breast["y"], breast[model]
    close(hm.partial_auroc(y, p, **where, corrected=False).value, bare)
    close(hm.partial_auroc(y, p, **where).value, mcclish)


CALIBRATION = {
    # R 4.2.2 glm(epsilon = 1e-15), Hmisc 4.8 rcspline.eval(nk = 5); p_rf clipped to .001, .999:
    # CITL, SE, intercept, SE, slope, SE, U chi2, ICI, E50, E90, z, Brier, HL chi2, curve at .3, lo, hi
    "p_lr": (0.014049285931604141, 0.115352240044386767, 0.008192812003415546, 0.117405724864480976, 0.980291363122727688, 0.084729631165058633, 0.068271108968815497, 0.027033358797462399, 0.029022479369506582, 0.046003342810217826, 0.463914281266880724, 0.135419869549991218, 8.761224821195453316, 0.347621574700364699, 0.261551634731917504, 0.444948780434309910),
    "p_rf": (-0.03969454788553162, 0.11476165913201127, -0.01149188587414821, 0.12130652919920047, 1.10049929149583692, 0.09183020524075650, 1.38966118157617302, 0.02018025448184406, 0.01903790104698468, 0.03993595928433313, -1.37005381476194388, 0.12313059929701230, 10.06176562102545802, 0.27936886918849074, 0.20429243495328672, 0.36923280608161640),
}  # fmt: skip


@pytest.mark.parametrize("model", CALIBRATION)
def test_calibration_is_rs(breast, close, model):
    y, p = breast["y"], np.clip(breast[model], 0.001, 0.999)
    c, hl = hm.calibration(y, p), hm.hosmer_lemeshow(y, p)
    at = dict(c.curve)[0.3]
    ours = [
        c.citl.value, c.citl.se, c.intercept.value, c.intercept.se, c.slope.value, c.slope.se,
        c.joint_test.value, c.ici_rcs5.value, c.e50.value, c.e90.value, c.spiegelhalter.value,
        c.brier.value, hl.chi2, at.value, at.lo, at.hi,
    ]  # fmt: skip
    # glm's standard errors carry the weights of the last iteration but one
    close(ours, CALIBRATION[model], rel=1e-7)
    values = [0, 2, 4, 6, 7, 8, 9, 10, 11, 12, 13]
    close(np.array(ours)[values], np.array(CALIBRATION[model])[values])


def test_clipping_is_recorded_and_gives_the_values_of_clipped_scores(breast, close):
    y, p = breast["y"], breast["p_rf"]
    ours = hm.calibration(y, p, clip=1e-3)
    close(ours.slope.value, CALIBRATION["p_rf"][4])
    assert "clip 0.001" in ours.slope.method


def test_several_classes(wine, r_values, close):
    theirs = r_values["wine.multiclass"]
    scores = np.column_stack([wine[f"p{k}"] for k in range(3)])
    ours = hm.multiclass(wine["y"].astype(int), scores)
    close(ours.hand_till.value, theirs["hand_till"])
    close([e.value for e in ours.one_vs_rest], theirs["ovr"])
    close([ours.macro.value, ours.weighted.value], [theirs["ovr_macro"], theirs["ovr_weighted"]])
    close([ours.accuracy.value, ours.kappa.value], [theirs["accuracy"], theirs["kappa"]])
    close(ours.kappa_quadratic.value, theirs["kappa_quadratic"])
    close([ours.brier.value, ours.log_loss.value], [theirs["brier_multi"], theirs["logloss"]])
    assert ours.confusion == tuple(map(tuple, theirs["confusion"]))


def test_a_quantity(diabetes, r_values, close):
    theirs = r_values["diabetes.regression"]
    c = hm.continuous(diabetes["y"], diabetes["yhat"])
    close([c.mae.value, c.rmse.value, c.bias.value], [theirs[k] for k in ("mae", "rmse", "bias")])
    close([c.bias.lo, c.bias.hi], theirs["bias_ci_t"])
    close([c.lower_limit.value, c.upper_limit.value], theirs["loa"])
    close([c.lower_limit.se, c.r2.value], [theirs["loa_se"], theirs["r2"]])
    close([c.pearson.value, c.spearman.value], [theirs["pearson"], theirs["spearman"]])
    close([c.pearson.lo, c.pearson.hi], theirs["pearson_ci"])
    close([c.ccc.value, c.ccc.lo, c.ccc.hi], theirs["ccc"])
    close([c.intercept.value, c.slope.value], [theirs["calib_intercept"], theirs["calib_slope"]])
    close([c.slope.lo, c.slope.hi], theirs["calib_slope_ci"])
    close(c.median_absolute_error.value, theirs["medae"])


def test_holm(r_values, close):
    close(hm.holm(r_values["bc.holm"]["p"]), r_values["bc.holm"]["holm"])


def test_mcnemar(breast, r_values, close):
    theirs = r_values["bc.mcnemar.accuracy.lr_rf"]
    ours = hm.mcnemar(breast["y"], breast["p_lr"] >= 0.5, breast["p_rf"] >= 0.5)
    assert {ours.only_a, ours.only_b} == {theirs["n01"], theirs["n10"]}
    close([ours.chi2, ours.p, ours.exact_p], [theirs["chisq"], theirs["p"], theirs["exact_p"]])


@pytest.fixture
def follow_up(diabetes):
    """Times and censoring made from the diabetes data by a fixed rule, with many ties."""
    i = np.arange(1, diabetes["y"].size + 1)
    time, censored = np.round((400 - diabetes["y"]) / 10), (i * 37) % 41
    return np.minimum(time, censored), time <= censored, diabetes["yhat"], (i - 1) // 2


def test_concordance_is_survivals(follow_up, close):
    # survival 3.5-3: concordance(Surv(o, e) ~ x, reverse = TRUE, cluster=, timewt=, ymax=)
    time, event, score, patient = follow_up
    assert event.sum() == 177
    ours = hm.concordance(time, event, score)
    close([ours.value, ours.se], [0.81751636871919375, 0.01450049831812652])
    ours = hm.concordance(time, event, score, cluster=patient)
    close([ours.value, ours.se], [0.81751636871919375, 0.01470600957886662])
    ours = hm.concordance(time, event, score, method="uno", tau=25)
    close([ours.value, ours.se], [0.81269388388250352, 0.01764941646330763])


def test_observed_to_expected_over_time_is_kaplan_meiers(follow_up, close):
    # survival 3.5-3: survfit(Surv(o, e) ~ 1) at 20: .687052579658, SE .028299733945
    time, event, score, _ = follow_up
    risk = score / 400
    ours = hm.survival(time, event, risk, horizon=20, bootstrap=hm.Bootstrap(reps=120))
    close(ours.oe.value * risk.mean(), 1 - 0.68705257965817301)
    close(ours.oe.se * risk.mean(), 0.02829973394517912)


PLANNED = [
    # Riley 2021 closed forms; pmvalsampsize 0.2.1 prints 905, 4252 and 4557 (simulated) for the second
    (0.1, 0.8, (-2.6, 1.2), 149.30765352794288, 835.9888172822388, 4376.285604589698, 1280.5333333333335),
    (0.018, 0.8, (-5, 2.5), 905.06244299037, 4251.36412178572, 4553.877308052501, 79373.15896966927),
    (0.43, 0.77, (-0.5, 1.77), 21.9910497444257, 346.53115242029224, 1695.0459958005622, 193.74347304150717),
]  # fmt: skip


@pytest.mark.parametrize(("prevalence", "c", "lp", "oe", "n_c", "slope", "benefit"), PLANNED)
def test_sample_size(close, prevalence, c, lp, oe, n_c, slope, benefit):
    size = hm.required_sample_size(
        prevalence,
        c,
        lp_mean=lp[0],
        lp_sd=lp[1],
        precision=hm.Precision(oe=1, slope=0.2, c_statistic=0.1, net_benefit=0.2),
        action=hm.Action(threshold=0.1, sensitivity=0.7, specificity=0.7),
    )
    close([size.oe, size.c_statistic, size.slope, size.net_benefit], [oe, n_c, slope, benefit])
    assert size.n == int(np.ceil(max(oe, n_c, slope, benefit)))


def test_the_interval_of_o_to_e_is_debrays(breast, close):
    # Debray 2017 BMJ 356:i6460: var log(O:E) = (1 - O / n) / O
    y, p = breast["y"], breast["p_lr"]
    oe, spread = 212 / p.sum(), 1.959963984540054 * np.sqrt((1 - 212 / 569) / 212)
    ours = hm.calibration(y, p, curve=None).oe
    close([ours.value, ours.lo, ours.hi], [oe, oe * np.exp(-spread), oe * np.exp(spread)])


def test_brier_and_its_scaled_form(breast, close):
    y, p = breast["y"], breast["p_lr"]
    loss, prevalence = (y - p) ** 2, y.mean()
    c = hm.calibration(y, p, curve=None)
    close([c.brier.value, c.brier.se], [loss.mean(), loss.std(ddof=1) / np.sqrt(569)])
    close(c.scaled_brier.value, 1 - loss.mean() / (prevalence * (1 - prevalence)))
    drop = [
        1 - np.delete(loss, i).mean() / (np.delete(y, i).mean() * (1 - np.delete(y, i).mean()))
        for i in range(569)
    ]
    jackknife = np.sqrt(568 / 569 * np.sum((np.array(drop) - np.mean(drop)) ** 2))
    close(c.scaled_brier.se, jackknife, rel=5e-3)
