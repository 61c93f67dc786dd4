"""Figures of joint learning, of descent end to end, and of thresholds draw what they are given."""

import math

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt

from escape_ntk.chapters.end_to_end import figures as end_to_end_figures
from escape_ntk.chapters.end_to_end import runs as end_to_end
from escape_ntk.chapters.joint import figures as joint_figures
from escape_ntk.chapters.joint import runs as joint
from escape_ntk.chapters.joint.claims import with_bounds
from escape_ntk.chapters.sample_complexity import figures as complexity_figures
from escape_ntk.study import sweep
from escape_ntk.study.sweep import LiveResult

matplotlib.use("Agg")
TINY = {"m": 60, "n_validation": 20, "n_test": 200, "t_end": 60.0}


def close(figure) -> None:
    figure.canvas.draw()
    plt.close(figure)


def test_the_explicit_solution_is_drawn_from_its_records():
    made = [sweep.run_live(joint.Solution(s, 1, 5, n=20, widths=(64, 256))) for s in (1, 2)]
    budgets = [
        sweep.run_live(joint.Budgets(s, 1, 5, m, n_signs=2)) for s in (1, 2) for m in (60, 120)
    ]
    norms = [sweep.run_live(joint.Norms(s, 1, m=64, dims=(5, 10))) for s in (1, 2)]
    figure = joint_figures.explicit_solution(made, budgets, norms, k=1)
    curve = figure.axes[0].lines[0].get_ydata()
    mean = np.exp(np.mean([np.log(r.arrays["mean_square"]) for r in made], axis=0))
    assert np.allclose(curve, mean)
    leaks = figure.axes[1].lines[0].get_ydata()
    both = [b.summary["R_1"] for b in budgets if b.config["m"] == 60]
    assert leaks[0] == pytest.approx(math.sqrt(both[0] * both[1]))
    close(figure)


def test_gap_and_bound_are_drawn_over_n():
    runs = [
        sweep.run_live(joint.Gap(s, 1, 5, n, m=40, n_test=50, t_end=10.0))
        for s in (1, 2)
        for n in (20, 40)
    ]
    classes = [
        sweep.run_live(joint.GapClass(s, 1, 5, n, m=40, n_test=50))
        for s in (1, 2)
        for n in (20, 40)
    ]
    runs = with_bounds(runs, classes)
    figure = joint_figures.gap_over_samples(runs)
    bound, gap = figure.axes[0].lines[:2]
    for line, key in ((bound, "bound"), (gap, "gap")):
        first = [r.summary[key] for r in runs if r.config["n"] == 20]
        assert line.get_ydata()[0] == pytest.approx(np.mean(first))
    assert len(figure.axes[1].lines) == 5
    close(figure)


def test_the_two_phases_are_drawn_over_time():
    runs = [
        sweep.run_live(end_to_end.Descent(s, 1, 5, 40, n_times=5, n_signs=2, **TINY))
        for s in (1, 2)
    ]
    figure = end_to_end_figures.two_phases(runs)
    drawn = figure.axes[0].lines[0].get_ydata()
    assert np.allclose(drawn, np.mean([r.arrays["linear_dense"][1:] for r in runs], axis=0))
    level = figure.axes[1].lines[2].get_ydata()[0]
    assert level == pytest.approx(np.mean([r.summary["explicit_error"] for r in runs]))
    close(figure)


def test_the_network_is_drawn_over_its_width():
    size = TINY | {"t_end": 20.0}
    groups = {
        name: [
            sweep.run_live(end_to_end.FullNetwork(1, 1, 5, 30, **size | {"m": m}, norm=norm))
            for m in (40, 80)
        ]
        for name, norm in (("without", 0.0), ("with", 1e-6))
    }
    figure = end_to_end_figures.network_over_width(groups)
    assert list(figure.axes[0].lines[1].get_ydata()) == [
        r.summary["network_error"] for r in groups["without"]
    ]
    assert list(figure.axes[1].lines[2].get_ydata()) == [
        r.summary["remainder"] for r in groups["with"]
    ]
    close(figure)


def test_the_required_sizes_are_drawn_from_the_formulas():
    run = sweep.run_live(end_to_end.Required(dims=(5, 8), errors=(0.5, 0.1)))
    figure = end_to_end_figures.required_sizes(run)
    for ax, name in zip(figure.axes, ("width", "samples"), strict=True):
        assert [list(line.get_ydata()) for line in ax.lines] == run.arrays[name].tolist()
        assert ax.get_xscale() == ax.get_yscale() == "log"
    close(figure)


FOUND = {
    "ntk": {10: {1: 100.0, 2: 120.0}, 20: {1: 800.0, 2: 900.0}, 40: {1: 5000.0, 2: math.nan}},
    "quadntk": {10: {1: 90.0, 2: 95.0}, 20: {1: 300.0, 2: 310.0}},
    "joint": {10: {1: 50.0, 2: 52.0}, 20: {1: 180.0, 2: 200.0}},
}


def test_thresholds_leave_out_what_is_censored():
    figure = complexity_figures.thresholds_by_dimension(FOUND, {name: float for name in FOUND})
    (ax,) = figure.axes
    marks = [container.lines[0] for container in ax.containers]
    assert list(marks[0].get_xdata()) == [10, 20]
    assert list(marks[0].get_ydata()) == [110, 850]
    close(figure)


def test_the_map_leaves_out_what_was_not_run():
    def run(d, n, error):
        return LiveResult("made", {"d": d, "n": n}, {"error": error}, {})

    runs = {
        "ntk": [run(10, 20, 0.5), run(10, 20, 0.7), run(10, 40, 0.2)],
        "quadntk": [run(10, 20, 0.4)],
        "joint": [run(20, 40, 0.1)],
    }
    figure = complexity_figures.error_map(runs, (1, 2), lambda d: 2 * d)
    written = [[t.get_text() for t in ax.texts] for ax in figure.axes[:3]]
    assert written == [[".60", ".20"], [".40"], [".10"]]
    close(figure)
