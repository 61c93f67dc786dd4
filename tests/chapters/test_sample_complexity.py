"""The sample-complexity experiment: one problem for all methods, errors that add up."""

import math

import pytest
import torch

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
