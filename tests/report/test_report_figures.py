"""Figures show counted points, negative net benefit and every name."""

import itertools
import math
import re
import warnings
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthval.aggregate import pool
from healthval.contracts.submission import HistogramNoise, ReleasedBin
from healthval.report import build
from healthval.report.figures.compact import compact
from healthval.report.figures.control import Track, control_plot
from healthval.report.figures.curves import (
    Bin,
    Curve,
    FunnelSite,
    calibration_plot,
    funnel_plot,
    predictive_plot,
)
from healthval.report.figures.forest import AUROC, Axis, Pooled, Row, forest
from healthval.report.figures.panels import DecisionPanel, decision_panels, decision_together
from healthval.report.figures.roc_region import Region, Vertex, pooled_region, site_region
from healthval.report.markup import as_shown
from healthval.report.sections import discrimination


def release(bins, thresholds=(), noise=None):
    return SimpleNamespace(histogram=bins, thresholds=thresholds, histogram_noise=noise)


def binned(y, p, edges):
    """Count cases with and without the condition in [low, high); the last bin is closed."""
    out = []
    for low, high in itertools.pairwise(edges):
        here = (p >= low) & ((p < high) | (high == edges[-1]))
        events, others = int((here & y).sum()), int((here & ~y).sum())
        out.append(ReleasedBin(low=low, high=high, events=events, non_events=others))
    return tuple(out)


cases = st.lists(st.tuples(st.booleans(), st.integers(0, 40)), min_size=2, max_size=60).filter(
    lambda rows: 0 < sum(y for y, _ in rows) < len(rows)
)
cuts = st.lists(st.integers(1, 39), min_size=1, max_size=8, unique=True)


@settings(deadline=None)
@given(cases, cuts)
def test_the_region_holds_the_curve_and_its_area(rows, inner):
    y, p = (np.array(column) for column in zip(*rows, strict=True))
    p = p / 40
    region = site_region(release(binned(y, p, [0, *(c / 40 for c in sorted(inner)), 1])))
    sides = list(itertools.pairwise(region.vertices))
    for cut in np.unique(p):
        fpr, tpr = (p[~y] >= cut).mean(), (p[y] >= cut).mean()
        assert any(
            a.fpr[0] - 1e-12 <= fpr <= b.fpr[0] + 1e-12
            and a.tpr[0] - 1e-12 <= tpr <= b.tpr[0] + 1e-12
            for a, b in sides
        )
    wins = (p[y][:, None] > p[~y][None, :]).mean() + 0.5 * (p[y][:, None] == p[~y]).mean()
    least, most = region.area()
    assert least - 1e-12 <= wins <= most + 1e-12


def test_without_a_counted_point_inside_there_is_no_region():
    assert site_region(release(())) is None
    assert site_region(release((ReleasedBin(low=0, high=1, events=20, non_events=30),))) is None


def test_noisy_and_withheld_bins_are_no_points():
    bins = binned(np.array([True, False] * 20), np.linspace(0, 1, 40), [0, 0.5, 1])
    assert site_region(release(bins)) is not None
    noise = HistogramNoise(epsilon=1.0, error_95=4)
    assert site_region(release(bins, noise=noise)) is None
    hidden = (bins[0].model_copy(update={"events": "suppressed"}), bins[1])
    assert site_region(release(hidden)) is None


def test_interpolated_points_of_the_release_are_not_drawn(released, card, plan):
    bare = {
        s: r.model_copy(update={"histogram": (), "thresholds": ()}) for s, r in released.items()
    }
    html = build(pool(tuple(bare.items())), bare, card, plan).section("discrimination")
    assert "No site released counts from which its ROC curve" in html._repr_html_()


def test_the_pooled_region_has_the_exact_bounds_of_the_bins(study):
    region = pooled_region(study.display)
    low, high = region.area()
    middle, bound = study.display.auc, study.display.bound
    assert low <= middle - bound + 1e-9
    assert high >= middle + bound - 1e-9


def test_a_chance_region_is_symmetric():
    half = Vertex(0.5, (0.5, 0.5), (0.5, 0.5))
    ends = Vertex(None, (0.0, 0.0), (0.0, 0.0)), Vertex(0.0, (1.0, 1.0), (1.0, 1.0))
    low, high = Region((ends[0], half, ends[1])).area()
    assert (low, high) == (0.25, 0.75)


def y_limits(svg, lowest, highest):
    """Place of two values on the y axis by the text of its ticks, in points from the top."""
    root = ET.fromstring(svg)
    height = float(root.get("viewBox").split()[3])
    ticks = []
    for text in root.iter("{http://www.w3.org/2000/svg}text"):
        if re.fullmatch(r"[−\d.]+", text.text or "") and text.get("text-anchor") == "end":
            ticks.append((float(text.text.replace("−", "-")), float(text.get("y"))))
    (v0, y0), (v1, y1) = ticks[0], ticks[-1]
    slope = (y1 - y0) / (v1 - v0)
    return [y0 + slope * (v - v0) for v in (lowest, highest)], height


def test_no_harm_of_the_model_is_cut_off():
    harm = Curve("Model", ((0.1, 0.1, 0.05, 0.15), (0.6, -0.4, -0.7, -0.1), (0.9, -0.2, -0.6, 0.1)))
    everyone = Curve(
        "Treat all", ((0.1, 0.1, None, None), (0.6, -0.9, None, None), (0.9, -7.2, None, None))
    )
    panel = DecisionPanel("Site", harm, everyone)
    for svg in (decision_panels([panel]), decision_together(panel, [panel])):
        (low, high), height = y_limits(svg, -0.7, 0.15)
        assert 0 < high < low < height
        assert "Treat all falls" in svg
        assert "−7.20 at 0.9" in svg
        assert "Treat none" in svg


NAMES = ("Hôpital d'Été", "東京病院", "مستشفى الشمال")


def test_every_name_is_text_in_the_figures_without_a_warning(released, card, plan):
    sites = dict(zip(NAMES, released.values(), strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = build(pool(tuple(sites.items())), sites, card, plan)
    svgs = [b.svg for s in report.sections for b in s.blocks if hasattr(b, "svg")]
    assert svgs
    for name in NAMES:
        assert any(name in "".join(ET.fromstring(svg).itertext()) for svg in svgs)


def test_compact_svg_keeps_text_and_names_the_fonts_once():
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg"><g id="figure_1"><text style="font-size: 8px; '
        'font-family: \'DejaVu Sans\'; text-anchor: end" transform="rotate(-0 1 2)">'
        "Threshold 0.123456  x</text></g></svg>"
    )
    small = compact(svg)
    (text,) = ET.fromstring(small)
    assert text.text == "Threshold 0.123456  x"
    assert text.attrib == {"font-size": "8", "text-anchor": "end"}
    assert small.count("font-family") == 1
    assert "healthval Sans" in small


def test_pooled_points_of_the_decision_curve_have_a_width(released):
    exact = {}
    for site, release_ in released.items():
        curve = tuple(
            p.model_copy(update={"model": p.model.model_copy(update={"se": 0.0})})
            for p in release_.decision_curve
        )
        exact[site] = release_.model_copy(update={"decision_curve": curve})
    for at in pool(tuple(exact.items())).decision_curve:
        low, high = at.net_benefit.ci
        assert low < at.net_benefit.value < high
        assert math.isfinite(high - low)


LOOSE = (3, "discrimination")  # the bounds of three small sites are too wide to draw


@pytest.mark.parametrize("k", [3, 13])
def test_sites_are_shown_as_panels_or_together(simulated, site_of, card, plan, k):
    sites = simulated([site_of(300 + i) for i in range(k)])
    study = pool(tuple(sites.items()), bivariate="none")
    report = build(study, sites, card, plan)
    for name in ("discrimination", "utility"):
        captions = [b.caption for b in report.section(name).blocks if hasattr(b, "caption")]
        assert any(f"{k} sites together" in c for c in captions) or (k, name) == LOOSE
        assert any(re.search(rf"(ROC|curves) of {k} sites", c) for c in captions) == (k == 3)


@pytest.mark.parametrize("high", [0.8, 0.9])
def test_a_caption_names_only_dots_that_are_drawn(
    simulated, site_of, card, plan, high, monkeypatch
):
    ends = Vertex(None, (0, 0), (0, 0)), Vertex(0.0, (1, 1), (1, 1))
    region = Region((ends[0], Vertex(0.5, (0.1, 0.1), (0.8, high)), ends[1]))
    monkeypatch.setattr(discrimination, "pooled_region", lambda _: region)
    sites = simulated([site_of(300 + i) for i in range(13)])
    report = build(pool(tuple(sites.items()), bivariate="none"), sites, card, plan)
    blocks = report.section("discrimination").blocks
    (together,) = [b for b in blocks if "together" in getattr(b, "caption", "")]
    assert ("From released counts" in together.svg) == (high == 0.8)
    assert bool(re.search("(?<!Grey )[Dd]ots", together.caption)) == (high == 0.8)


@pytest.mark.parametrize("scale", ["logit", "log", "linear"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_forest_draws_the_ends_of_every_scale(scale, value):
    shown = as_shown(value, 0.0, 1.0)
    rows = [Row("North", shown), Row("South", as_shown(value)), Row("East", as_shown(None))]
    summary = Pooled("Mean", shown, (0.0, 1.0), "τ² = 0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = forest(rows, Axis("Value", scale, reference=value), summary=summary)
    assert "nan" not in svg.lower()
    assert "inf" not in svg.lower().replace("info", "")


def figures_of(made):
    return [b for section in made.sections for b in section.blocks if hasattr(b, "svg")]


def assert_drawn(svgs):
    for svg in svgs:
        texts = re.findall(r"<text[^>]*>([^<]*)<", svg)
        paths = " ".join(re.findall(r" d=['\"]([^'\"]*)", svg))
        assert not re.search(r"nan|inf", " ".join(texts) + paths, re.IGNORECASE)


def extreme(release, value):
    """A release whose AUROC and rates are all 0 or all 1, with intervals to the end of the scale."""
    ends = {"value": value, "lo": min(value, 0.9), "hi": max(value, 0.1)}
    here = release.thresholds[0]
    rates = {
        name: getattr(here, name).model_copy(update={**ends, "se": 0.001, "withheld": "none"})
        for name in ("sensitivity", "specificity", "ppv", "npv")
    }
    e, n = release.n_events, release.n
    right = here.confusion.model_copy(
        update={"tp": e, "fn": 0, "tn": n - e, "fp": 0}
        if value
        else {"tp": 0, "fn": e, "tn": 0, "fp": n - e}
    )
    return release.model_copy(
        update={
            "auroc": release.auroc.model_copy(update=ends),
            "thresholds": (here.model_copy(update={"confusion": right, **rates}),),
        }
    )


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_figures_of_perfect_and_reversed_models_are_drawn(k, value, simulated, site_of, card, plan):
    sites = simulated([site_of(200 + 30 * i) for i in range(k)], seed=5)
    sites = {site: extreme(release, value) for site, release in sites.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = build(pool(tuple(sites.items()), bivariate="none"), sites, card, plan)
    assert figures_of(made)
    assert_drawn(f.svg for f in figures_of(made))


@pytest.mark.parametrize("events", [0, 40])
def test_plots_of_few_points_and_of_one_class_are_drawn(events):
    point = Curve("North", ((0.5, 1.0, 1.0, 1.0),))
    bins = [Bin(0.0, 0.5, events, 0), Bin(0.5, 1.0, 0, 40 - events)]
    curve = Curve("PPV", ((0.02, 0.0, None, None), (0.98, 1.0, None, None)))
    sites = [FunnelSite(2.0, 0.2)] * 10
    nothing = DecisionPanel("North", Curve("Model", ((0.5, 0.0, 0.0, 0.0),)), Curve("All", ()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_drawn(
            [
                calibration_plot([point], bins),
                calibration_plot([point] * 60, [Bin(0.0, 1.0, 0, 0)]),
                predictive_plot([curve], None),
                funnel_plot(sites, 2.0),
                decision_panels([nothing]),
                decision_together(None, [nothing] * 60),
            ]
        )


@pytest.mark.parametrize(("end", "beyond"), [(0.995, 1.0), (0.05, 0.0)])
def test_an_estimate_beyond_the_axis_is_no_square_at_its_end(end, beyond):
    def drawn(value):
        svg = forest([Row("North", as_shown(value)), Row("South", as_shown(0.8))], AUROC)
        return re.sub(r">[\d.]+</text>", "></text>", svg)

    assert drawn(beyond) != drawn(end)


@pytest.mark.parametrize("scale", ["logit", "log", "linear"])
@given(st.floats(0.06, 0.98), st.floats(0.001, 0.01))
@settings(deadline=None, max_examples=4)
def test_a_narrow_axis_has_two_ticks_or_more(scale, middle, half):
    shown = as_shown(middle, middle - half, middle + half)
    svg = forest([Row("North", shown)], Axis("Value", scale))
    ticks = [t for t in re.findall(r">([^<]*)</text>", svg) if re.fullmatch(r"[−\d.]+", t)]
    assert len(set(ticks)) >= 2


@pytest.mark.parametrize(
    ("word", "header"), [("withheld", "Events"), ("zurückgehalten", "Ereignisse")]
)
def test_the_columns_of_a_forest_plot_have_room_for_their_longest_text(word, header):
    svg = forest([Row("A", as_shown(0.8), ("1 234", word))], AUROC, headers=("n", header))
    ends = {text: float(x) for x, text in re.findall(r"x='([\d.]+)'[^>]*>([^<]*)<", svg)}
    room = ends[word] - ends["1 234"]  # both end at the right
    assert room >= 72 * 0.06 * len(word)
    assert room >= 72 * 0.06 * len(header)


def test_ticks_of_neighbouring_panels_stay_apart():
    curve = Curve("Model", ((0.1, 0.23, 0.1, 0.3), (0.3, 0.15, 0.05, 0.2)))
    panels = [DecisionPanel(label, curve, curve) for label in "AB"]
    texts = re.findall(r"<text[^>]*>([^<]*)<", decision_panels(panels))
    assert all(len(t) <= 4 for t in texts if re.fullmatch(r"[\d.]+", t))


def place(svg, words):
    """Return the place of a text that starts with these words, in points from the upper left."""
    found = re.search(rf"<text [^>]*?([\d.]+)(?:' y='| )([\d.]+)[^<]*>{words}", svg)
    return float(found[1]), float(found[2])


def test_the_fall_of_treat_all_is_written_left_of_its_line():
    model = Curve("Model", ((0.1, 0.2, None, None), (0.5, 0.1, None, None)))
    falls = Curve(
        "All", ((0.1, 0.18, None, None), (0.4, -0.1, None, None), (0.5, -3.0, None, None))
    )
    svg = decision_panels([DecisionPanel("A", model, falls)])
    assert place(svg, "Treat all falls")[0] < place(svg, "0.2<")[0]


def test_the_legend_of_a_control_chart_is_below_its_lines():
    track = Track("North", (None, as_shown(0.8, 0.7, 0.9)), (0.0, 0.1), (False, False))
    svg = control_plot(("Q1", "Q2"), [track], name="AUROC", target=0.8, limit=4.0)
    assert place(svg, "North")[1] > place(svg, "Q1")[1]
