"""What pages show: badges, strips and tables; the roles that put claims into prose."""

import importlib
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt

from escape_ntk.chapters.directions import figures as directions_figures
from escape_ntk.chapters.directions import runs as directions
from escape_ntk.chapters.landscape import figures as landscape_figures
from escape_ntk.chapters.landscape import runs as landscape
from escape_ntk.chapters.ntk_limits import figures as limits_figures
from escape_ntk.chapters.ntk_limits import runs as ntk_limits
from escape_ntk.chapters.published_figure import comparisons as ledger
from escape_ntk.chapters.published_figure import figures as drawings
from escape_ntk.chapters.published_figure import runs as experiment
from escape_ntk.chapters.published_figure.runs import DroppedConstant
from escape_ntk.chapters.quadntk import figures as quadntk_figures
from escape_ntk.chapters.quadntk import runs as quadntk
from escape_ntk.chapters.regularizer import figures as regularizer_figures
from escape_ntk.chapters.regularizer import runs as regularizer
from escape_ntk.chapters.sample_complexity import figures as complexity_figures
from escape_ntk.chapters.sample_complexity import runs as complexity
from escape_ntk.chapters.setup import figures as setup_figures
from escape_ntk.chapters.setup import runs as foundations
from escape_ntk.display import html as page
from escape_ntk.numerics.stats import Interval
from escape_ntk.records.store import RecordStore
from escape_ntk.study import curve as curves
from escape_ntk.study import sweep
from escape_ntk.study.claims import Predicted

ROOT = Path(__file__).parents[2]
matplotlib.use("Agg")


@pytest.fixture(scope="module")
def roles():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "book/_ext")
        return importlib.import_module("claims_roles")


@pytest.fixture
def evaluated(roles, ledger_rows, monkeypatch) -> dict[str, dict]:
    """The ledger that the roles speak of, by its claims."""
    rows = {row["id"]: row for row in ledger_rows}
    monkeypatch.setattr(roles, "ledger", lambda: rows)
    return rows


def test_measured_walks_and_formats(roles, monkeypatch):
    row = {"measured": {"slope": -0.2512, "part": {"own": 3.14159}}}
    monkeypatch.setattr(roles, "ledger", lambda: {"a-claim": row})
    assert roles.measured("a-claim/slope:.2f") == "-0.25"
    assert roles.measured("a-claim/part/own:.3g") == "3.14"
    for wrong in ("a-claim/none:.2f", "no-claim/slope:.2f", "a-claim/part:.2f"):
        with pytest.raises((KeyError, TypeError, ValueError)):
            roles.measured(wrong)


def test_every_role_in_the_book_resolves(roles, evaluated):
    """Each {claim} and {measured} of every page names what the ledger has."""
    import re

    text = "\n".join(path.read_text("utf-8") for path in (ROOT / "book").glob("*.md"))
    names = re.findall(r"\{claim\}`([^`]+)`", text)
    values = re.findall(r"\{measured\}`([^`]+)`", text)
    assert names and values
    assert set(names) <= evaluated.keys()
    assert all(roles.measured(value) for value in values)


def test_every_claim_is_stated_in_its_chapter(evaluated):
    for name, row in evaluated.items():
        chapter = (ROOT / "book" / f"{row['chapter']}.md").read_text("utf-8")
        stated = f"{{claim}}`{name}`" in chapter
        assert stated, f"expected {{claim}}`{name}` beside its sentence in book/{row['chapter']}.md"


def test_seeds_are_abbreviated():
    assert page._ranges([1, 2, 3, 5, 7, 8]) == "1–3, 5, 7–8"


def test_table_escapes_what_is_not_html():
    text = page.table(["a < b"], [["<b>x</b>", "1 < 2"]]).text
    assert "1e\N{NON-BREAKING HYPHEN}5" in page.table(["x"], [["1e-5"]]).text
    assert "a &lt; b" in text and "<b>x</b>" in text and "1 &lt; 2" in text


def test_what_is_folded_opens_without_a_script():
    text = page.folded("a < b", page.table(["x"], [["1"]]), page.live("runs")).text
    assert text.startswith("<details><summary>a &lt; b</summary>") and text.count("<table>") == 1
    assert text.endswith("</details>") and "Live" in text


@pytest.mark.parametrize("rows", [page.MOST_ROWS, page.MOST_ROWS + 1])
def test_a_long_table_is_folded_and_a_short_one_is_not(rows):
    text = page.table(["x"], [[i] for i in range(rows)]).text
    assert text.count("<tr>") == rows + 1
    assert (f"<summary>All {rows} rows</summary>" in text) == (rows > page.MOST_ROWS)


SIZE = dict(d=8, n=40, m=60, n_k=8, n_test=60, t_end=300, n_times=12)


@pytest.fixture(scope="module")
def small():
    """Two seeds of three λ at a tiny size."""
    return {
        lam: [sweep.run_live(curves.Curve(seed, 40 * lam, **SIZE)) for seed in (1, 2)]
        for lam in (0.0, 1e-3, 1e-2)
    }


def labels(figure) -> set[str]:
    return {ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()}


def test_panels_draw_every_lambda_and_the_published_marks(small):
    figure = drawings.figure_panels(small, ("test", "penalty", "train"))
    test, penalty, train = figure.axes[:3]
    marks = [line for line in test.lines if line.get_marker() == "o"]
    hidden = [line for line in train.lines if line.get_marker() == "o"]
    assert len(marks) == 3 and len(hidden) == 2  # all but λ = 0 are read in the third panel
    means = [line for line in penalty.lines if line.get_marker() in (None, "None", "")]
    assert len(means) == 3
    drawn = means[0].get_ydata()
    own = drawings.own_values("penalty", small[0.0]).mean(0)
    assert np.allclose(drawn, own)
    plt.close(figure)


def test_other_figures_draw_their_records(small):
    runs = small[1e-2]
    drawn = [
        drawings.shares_over_time(runs),
        drawings.what_each_penalty_does({"a": small[0.0], "b": runs}),
        drawings.flow_over_descent({"x": (runs[0], runs[1])}),
        drawings.live_overlay(*(runs[0].arrays[k] for k in ("times", "test", "train"))),
    ]
    assert all(labels(figure) for figure in drawn)
    wide = dict(m=64, d=6, n=20)
    orders = [sweep.run_live(foundations.RemainderOrder(seed, **wide)) for seed in (1, 2)]
    scales = [
        sweep.run_live(foundations.QuadraticScale(seed, d=6, n=20, widths=(64, 128, 256)))
        for seed in (1, 2)
    ]
    drawn.append(setup_figures.remainder_orders(orders, scales))
    constant = sweep.run_live(DroppedConstant(1, d=6, n=30, m=60))
    drawn.append(drawings.gram_spectrum(constant, 6))
    for figure in drawn:
        figure.canvas.draw()
        plt.close(figure)


def test_the_figures_of_the_two_limits_draw_their_records():
    """Tiny points of every kind; the staircase's marks are the means of its draws."""
    stairs = {
        d: [sweep.run_live(ntk_limits.Staircase(seed, d, n_most=60)) for seed in (1, 2)]
        for d in (6, 8)
    }
    drawn = [limits_figures.staircase(stairs, main=8)]
    marks = [c.lines[0] for c in drawn[0].axes[0].containers]
    learned = np.mean([r.arrays["learned"] for r in stairs[8]], axis=0)
    assert len(marks) == 3 and np.allclose(marks[0].get_ydata(), learned[:, 1])
    small = {"d": 5, "widths": (64, 128, 256)}
    lazy = [sweep.run_live(ntk_limits.Lazy(s, n=8, n_test=8, n_steps=3, **small)) for s in (1, 2)]
    widths = [sweep.run_live(ntk_limits.KernelWidth(s, n=8, **small)) for s in (1, 2)]
    slopes = sweep.run_live(ntk_limits.EigenvalueSlopes(ntk_limits.SINE))
    drawn += [
        limits_figures.width_and_laziness(widths, lazy),
        limits_figures.eigenvalues_by_degree([slopes]),
    ]
    made = {
        k: [sweep.run_live(quadntk.Construction(s, k, n=8, **small)) for s in (1, 2)]
        for k in (1, 2)
    }
    tiny = {"d": 4, "m": 40, "t_end": 30.0}
    saddles = {
        size: [sweep.run_live(quadntk.Saddle(1, size, n_times=5, n_test=9, **tiny))]
        for size in (0.0, 0.1)
    }
    grid = {"scales": (0.1,), "penalties": (0.0,), "n_times": 4, "n_validation": 9, "n_test": 9}
    alone = [
        sweep.run_live(quadntk.Alone(1, k=1, degree=2, dense=dense, factor=2.0, **grid, **tiny))
        for dense in (True, False)
    ]
    drawn += [quadntk_figures.construction(made), quadntk_figures.saddle(saddles)]
    drawn += [quadntk_figures.alone({"a": alone[:1], "b": alone[1:]})]
    price = {"a": {8: Interval(2.0, 1.0, 3.0)}, "b": {8: Interval(1, 0.5, 2)}}
    drawn += [quadntk_figures.price(price, {"foreseen": {8: 2.0}})]
    frozen = quadntk.FrozenKernel(1, 4, widths=(200, 400))
    drawn += [quadntk_figures.frozen_kernel([sweep.run_live(frozen)], lambda d: 0.5)]
    for figure in drawn:
        assert labels(figure)
        figure.canvas.draw()
        plt.close(figure)


def test_a_strip_without_seeds_says_so(tmp_path):
    record = RecordStore(tmp_path).save("by-hand", {}, summary={}, arrays={}, wall_seconds=0.0)
    text = page.provenance([record], ["go"]).text
    assert "no randomness" in text and " · 1 run · " in text.partition("</summary>")[0]


def test_prices_are_described():
    row = {"ratio": 2.0, "low": 1.5, "high": 2.5}
    text = page.describe({"d8": row, "exponent": {"slope": -0.1, "low": -0.2, "high": 0.0}})
    assert "d8 2.00" in text and "in d: slope -0.100" in text
    text = page.describe({"d8": row, "d16": row | {"runs": 5}})
    assert text == "d8: ratio 2.00 [1.50, 2.50]; d16: ratio 2.00 [1.50, 2.50], 5 seeds"


def test_names_of_measurements_keep_their_index():
    measured = {"R_1": 0.5, "R_1_without": 0.25, "norm_2_4": 2.0, "norm_F": 3.0, "largest_gap": 1.0}
    text = page.describe(measured)
    assert text == "R_1 0.5, R_1 without 0.25, norm_2_4 2, norm_F 3, largest gap 1"


def test_hypotheses_are_drawn_beside_the_published_values():
    """Built by hand: two hypotheses, two λ, one panel each."""
    hypotheses = experiment.HYPOTHESES[:2]
    rows = [
        ledger.Residual(h, c, Predicted(c.label, 1.0, Interval(0.9, 0.7, 1.1), 0.1, 0.3))
        for h in hypotheses
        for c in ledger.FINALS
    ]
    figure = drawings.finals_by_hypothesis(rows)
    test, penalty = figure.axes
    ticks = [tick.get_text() for tick in penalty.get_xticklabels()]
    assert ticks == ["$0$", "$10^{-5}$", "$10^{-4}$"] and len(test.get_xticklabels()) == 6
    figure.canvas.draw()
    plt.close(figure)


def test_lambda_zero_is_grey_and_the_others_differ():
    lambdas = (0.0, 1e-3, 1e-2, 1e-1)
    colours = [drawings.lambda_colour(lam, lambdas) for lam in lambdas]
    assert colours[0] == "#8c8c8c" and len(set(map(str, colours))) == 4


def test_the_figures_of_good_directions_draw_their_records():
    """Tiny points of every kind; the marks of the movements are what was measured."""
    moved = [directions.Movements(s, d=6, n=30, widths=(40, 80), n_signs=2) for s in (1, 2)]
    moved = [sweep.run_live(point) for point in moved]
    grams = [sweep.run_live(directions.GramSpectrum(1, 6, 1, n)) for n in (14, 28)]
    gap = sweep.run_live(directions.PopulationGap(directions.SINE, dims=(8, 16)))
    leaks = sweep.run_live(directions.Leaks(1, d=5, m=40, factors=(2.0, 4.0), n_random=2))
    drawn = [
        directions_figures.four_movements(moved),
        directions_figures.gram_spectra({"a": grams[0]}),
    ]
    drawn += [
        directions_figures.gaps([gap, gap], {1: grams}),
        directions_figures.angles({"a": grams}, lambda run: 0.1),
    ]
    drawn += [directions_figures.leaks([leaks], moved)]
    inside = drawn[0].axes[0].lines[0]
    assert np.allclose(inside.get_xdata(), [r.arrays["inside_train"][-1] for r in moved])
    for figure in drawn:
        assert labels(figure)
        figure.canvas.draw()
        plt.close(figure)


def test_the_figures_of_the_regulariser_draw_their_records():
    """Tiny points of every kind; the circles of a setting are its test errors."""
    tiny = {"d": 5, "n": 30, "m": 40, "n_test": 20, "t_end": 20.0, "n_times": 3}
    size = {"d": 6, "n": 30, "m": 40, "n_test": 40, "t_end": 30, "n_times": 4, "n_k": 6}
    table = [
        sweep.run_live(curves.Curve(1, two, one, **size))
        for one in (0.0, 1.0)
        for two in (0.0, 1.0)
    ]
    settings = [{}, {"empirical": 1.0}, {"population": 1.0, "norm": 1e-6, "low_degree": 1e-3}]
    runs = [sweep.run_live(regularizer.Regularized(1, **on, **tiny)) for on in settings]
    groups = regularizer.by_setting(runs)
    assert list(groups) == [(), ("empirical",), ("population", "low_degree", "norm")]
    noisy = sweep.run_live(regularizer.NoisyLabels(1, empirical=1.0, **tiny))
    assert noisy.summary["train"] != runs[1].summary["train"]
    cuts = [sweep.run_live(regularizer.Regularized(1, n_k=k, **tiny)) for k in (5, 6)]
    scan = [sweep.run_live(regularizer.Regularized(1, norm=v, **tiny)) for v in (1e-3, 1e-2, 1e-1)]
    drawn = [
        regularizer_figures.penalty_ablation(table),
        regularizer_figures.sixteen_settings(groups),
    ]
    drawn += [
        regularizer_figures.sensitivity({"norm": scan, "low_degree": runs[-1:]}),
        regularizer_figures.where_to_cut(cuts, np.ones(30), 6),
    ]
    marks = {line.get_xdata()[0] for line in drawn[1].axes[1].lines if line.get_marker() == "o"}
    assert marks == {r.summary["test"] for r in runs}
    for figure in drawn:
        assert labels(figure) or figure.axes[1].get_xlabel() == "test error"
        figure.canvas.draw()
        plt.close(figure)


def test_the_figures_of_the_landscape_draw_their_records():
    """Tiny points of every kind; the runs start at the curvature that they are measured by."""
    tiny = {"d": 5, "n": 30, "n_test": 20, "t_end": 20.0, "n_times": 3}
    more = {"round_time": 10.0, "max_rounds": 1}
    runs = [
        sweep.run_live(landscape.Landscape(s, m, **tiny, **more)) for m in (40, 80) for s in (1, 2)
    ]
    escapes = [
        sweep.run_live(landscape.Escape(s, d=3, n=10, m=8, sizes=(1e-1, 1e-2))) for s in (1, 2)
    ]
    starts = sweep.run_live(landscape.ManyStarts(1, n_starts=2, d=5, n=30, m=40, t_end=20.0))
    assert len(starts.arrays["value"]) == 2
    kinds = (landscape.Certified, landscape.SignMean)
    certified, signs = (sweep.run_live(k(1, 40, plateau=1, **tiny, **more)) for k in kinds)
    for other in (certified, signs):
        assert np.allclose(other.arrays["value"], runs[0].arrays["value"])
    assert (certified.arrays["floor"] <= runs[0].arrays["lowest"] + 1e-9).all()
    for when in ("start_", "plateau_", "end_"):
        two_routes = (signs.summary[f"{when}curvature{by}"] for by in ("", "_by_products"))
        assert np.isclose(*two_routes, rtol=1e-9)
    size = {k: v for k, v in tiny.items() if k != "n_times"}
    switched = sweep.run_live(landscape.CertifiedSwitches(1, norm=1e-3, m=40, n_times=3, **size))
    assert (switched.arrays["floor"] < 0).all() and switched.summary["start_lowest"] < 0
    wide = sweep.run_live(landscape.Certified(1, 80, plateau=1, **tiny, **more))
    drawn = [
        landscape_figures.descent_over_time(runs[:2], [certified]),
        landscape_figures.escape_times(escapes),
    ]
    drawn += [landscape_figures.bound_over_width([certified, wide])]
    floor = drawn[0].axes[2].lines[-1].get_ydata()
    assert np.allclose(
        floor * abs(certified.summary["start_lowest"]), certified.arrays["floor"][1:]
    )
    lowest = drawn[0].axes[2].lines[0].get_ydata()
    assert np.allclose(lowest, runs[0].arrays["lowest"][1:] / abs(runs[0].arrays["lowest"][0]))
    for figure in drawn:
        assert labels(figure)
        figure.canvas.draw()
        plt.close(figure)


def test_the_figure_of_sample_complexity_draws_its_records():
    size = {"n": 60, "n_validation": 50, "n_test": 100}
    flow = size | {"m": 40, "t_end": 10.0, "n_times": 3}
    points = {
        "ntk": complexity.NTK(1, 2, 6, **size),
        "quadntk": complexity.QuadNTK(1, 2, 6, **flow),
        "joint": complexity.Joint(1, 2, 6, **flow),
    }
    runs = {name: [sweep.run_live(point)] for name, point in points.items()}
    figure = complexity_figures.methods_by_dimension(runs)
    assert labels(figure)
    for ax, part in zip(figure.axes, ("error", "dense", "sparse"), strict=True):
        curves = [line for line in ax.lines if line.get_linestyle() != ":"]
        drawn = {y for line in curves for y in line.get_ydata()}
        assert drawn == {run[0].summary[part] for run in runs.values()}
    figure.canvas.draw()
    plt.close(figure)
