"""The sample-complexity experiment: one problem for all methods, errors that add up."""

import math

import pytest
import torch

from escape_ntk.chapters.sample_complexity import figures
from escape_ntk.chapters.sample_complexity import runs as sc
from escape_ntk.study import dense_plus_sparse as problem
from escape_ntk.study.point import configuration
from escape_ntk.study.sweep import LiveResult

SMALL = {"n_validation": 100, "n_test": 400}
FLOW = SMALL | {"m": 100, "t_end": 200.0, "n_times": 5}


@pytest.mark.parametrize("k", [1, 2])
def test_methods_and_sizes_meet_one_target_and_one_test_set(k):
    small, large = (
        problem.draw_data(kind(3, k, 7, n, **SMALL)) for kind, n in ((sc.NTK, 30), (sc.Joint, 50))
    )
    assert torch.equal(small.test, large.test) and torch.equal(small.validation, large.validation)
    assert torch.equal(small.target(small.test), large.target(large.test))
    assert small.target.norms == pytest.approx((math.sqrt(0.5),) * 2, rel=1e-5)
    assert [part.degree for part in small.target.parts] == [k, k + 1]
    other = problem.draw_data(sc.NTK(4, k, 7, 30, **SMALL))
    assert not torch.equal(other.test, small.test)  # control: the seed matters


def test_parts_add_up_and_name_what_is_missed():
    generator = torch.Generator().manual_seed(0)
    H = torch.randn(2, 1000, generator=generator, dtype=torch.float64)
    noise = 0.1 * torch.randn(1000, generator=generator, dtype=torch.float64)
    got = problem.error_by_part(0.9 * H[0] + 0.2 * H[1] + noise, H)
    assert got["c_dense"] == pytest.approx(0.9, abs=0.02)
    assert got["sparse"] == pytest.approx(0.64, rel=0.2) and got["dense"] < 0.02
    assert got["error"] == pytest.approx(sum(got[part] for part in problem.PARTS))
    perfect = problem.error_by_part(H.sum(0), H)
    assert max(abs(perfect[part]) for part in ("error", *problem.PARTS)) < 1e-20


def test_what_is_chosen_is_best_on_the_validation_set():
    for point in (sc.Joint(1, 2, 6, 60, **FLOW), sc.QuadNTK(1, 2, 6, 60, **FLOW)):
        summary, arrays = point.compute()
        assert summary["validation"] == arrays["validation"].min()
        row = int(arrays["validation"].argmin())
        assert summary["error"] == arrays["error"][row]
        assert arrays["validation"].max() > arrays["validation"].min()


def test_the_kernel_learns_what_theory_predicts():
    """At n beyond n_3 the drawn error is near the predicted one; far below, both are near 1."""
    for n in (20, 400):
        summary, _ = sc.NTK(2, 2, 8, n, n_validation=1000, n_test=4000, ridges=(0.0,)).compute()
        assert summary["error"] == pytest.approx(summary["predicted"], rel=0.3)
    assert summary["error"] < 0.15


def test_points_of_the_map_are_distinct_and_within_the_limits():
    points = sc.full_points(sc.SEEDS)
    keys = [(p.experiment, tuple(configuration(p).items())) for p in points]
    assert len(set(map(str, keys))) == len(points)
    assert max(p.n for p in points if isinstance(p, sc.NTK)) <= sc.NTK_LARGEST
    assert {p.d for p in sc.chief_points(sc.SEEDS)} == set(sc.CHIEF_DIMS)


def test_thresholds_are_read_seed_by_seed():
    runs = [
        LiveResult("made", {"d": d, "seed": seed, "n": n}, {"error": seed * d / n}, {})
        for d in (10, 20)
        for seed in (1, 2)
        for n in (160, 10, 40, 80)
    ]
    found = sc.thresholds(runs, 0.25)
    assert found[10] == {1: pytest.approx(40), 2: pytest.approx(80)}
    assert found[20][1] == pytest.approx(80)
    assert math.isnan(sc.thresholds(runs, 0.1)[20][2])


def test_noise_is_on_the_labels_alone_and_validation_does_not_know_n():
    clean = problem.draw_data(sc.NTK(3, 1, 7, 4000, **SMALL))
    point = sc.NoisyNTK(3, 1, 7, 4000, **SMALL)
    noisy, small = point.data(), sc.NoisyNTK(3, 1, 7, 30, **SMALL).data()
    assert torch.equal(noisy.X, clean.X) and torch.equal(noisy.test, clean.test)
    assert float((noisy.y - clean.y).square().mean()) == pytest.approx(0.25, rel=0.1)
    assert torch.equal(small.validation_y, noisy.validation_y)
    assert not torch.equal(noisy.validation_y, clean.validation_y)
    assert torch.equal(clean.y, clean.target(clean.X))  # control: none where none is asked for


def test_noisy_methods_see_the_noise_and_are_judged_without_it():
    for kind, size in ((sc.NoisyNTK, {}), (sc.NoisyJoint, {"m": 100, "t_end": 50.0, "n_times": 3})):
        summary, _ = kind(2, 1, 6, 200, **SMALL, **size).compute()
        assert summary["validation"] == pytest.approx(summary["error"] + 0.25, abs=0.15)


def test_the_end_of_the_flow_stands_beside_its_best_moment():
    size = FLOW | {"t_end": 2000.0}
    _, arrays = sc.JointWidth(1, 2, 6, 40, **size, empirical=(0.0, 1.0)).compute()
    late = arrays["time"] == size["t_end"]
    assert (arrays["end_error"][late] == arrays["error"][late]).all()
    assert (arrays["end_error"][~late] != arrays["error"][~late]).all() and not late.all()
    assert sc.rules(1000) == (1.0,) and sc.rules(16_000) == (1.0, 4.0)


def test_crossings_take_the_measurement_that_is_asked_for():
    rows = {n: {s: {"error": s * 10 / n, "end_error": s * 20 / n} for s in (1, 2)}
            for n in (30, 60, 120, 240)}  # fmt: skip
    assert sc.crossings(rows, 0.25) == pytest.approx([40, 80])
    assert sc.crossings(rows, 0.25, "end_error") == pytest.approx([80, 160])


def test_figures_draw_what_was_measured_with_noise_and_over_the_samples():
    found = {method: {10: {1: 20.0, 2: 24.0}, 20: {1: 40.0, 2: 44.0}} for method in figures.METHODS}
    noisy = {"joint": {10: {1: 30.0, 2: 50.0}, 20: {1: 60.0, 2: math.nan}}}
    size = dict.fromkeys(figures.METHODS, float)
    (ax,) = figures.thresholds_by_dimension(found, size, noisy).axes
    drawn = {c.get_label(): c.lines[0].get_ydata().tolist() for c in ax.containers}
    assert drawn["joint, noisy labels"] == [40.0]  # d = 20 has a censored seed
    assert drawn["joint"] == [22.0, 42.0] and len(drawn) == 4
    runs = {
        method: [
            LiveResult("made", {"n": n, "d": 9}, dict.fromkeys(figures.PARTS, 1 / n), {})
            for n in (50, 98)
        ]
        for method in figures.METHODS
    }
    first = figures.methods_by_samples(runs).axes[0]
    (line,) = [x for x in first.lines if x.get_label() == "QuadNTK"]
    assert line.get_xdata().tolist() == [50, 98] and line.get_ydata().tolist() == [1 / 50, 1 / 98]
