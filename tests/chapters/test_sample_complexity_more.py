"""Beside the sweep: choices by held-out labels, the network itself, ridge and then QuadNTK."""

import numpy as np
import pytest
import torch

from escape_ntk.chapters.sample_complexity import more_claims as claims
from escape_ntk.chapters.sample_complexity import more_runs as more
from escape_ntk.chapters.sample_complexity import runs as sc
from escape_ntk.models.data import dense_part, draw_inputs
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.study.sweep import LiveResult

SMALL = {"n_validation": 100, "n_test": 400, "m": 100, "t_end": 200.0, "n_times": 5}
SIZE = (1, 2, 6, 60)


def test_all_labels_choose_as_the_method_itself_does():
    """By 2000 labels the split's run is the method's own; fewer choose other moments."""
    s, arrays = more.SplitJoint(*SIZE, **SMALL).compute()
    own, _ = sc.Joint(*SIZE, **SMALL).compute()
    assert s["by_free"] == pytest.approx(own["error"], rel=1e-5)
    assert arrays["test"].shape == (len(more.SplitJoint.empirical), 5)
    for name in ("quarter", "tenth", "train"):
        place = int(np.nanargmin(arrays[name]))
        assert s[f"by_{name}"] == arrays["test"].flat[place] >= arrays["test"].min()
    assert arrays["train"].min() < arrays["free"].min()  # the training error is no judge


def test_fewer_labels_are_the_first_of_all():
    """n/4 and n/10 labels of the validation set: with as many as there are, all choose alike."""
    few = SMALL | {"n_validation": 15}
    _, arrays = more.SplitJoint(*SIZE, **few).compute()  # n/4 = 15
    assert np.array_equal(arrays["quarter"], arrays["free"])
    assert not np.array_equal(arrays["tenth"], arrays["free"])


def test_every_scale_with_every_penalty_is_tried():
    s, arrays = more.SplitQuadNTK(*SIZE, scales=(0.1, 1.0), norms=(0.0, 1e-3), **SMALL).compute()
    assert arrays["test"].shape == (4, 5)
    assert s["by_free"] >= arrays["test"].min()


def test_a_wide_network_has_the_errors_of_its_taylor_model():
    wide = SMALL | {"m": 4000, "t_end": 50.0}
    s, arrays = more.Network(*SIZE, empirical=(0.0, 1.0), **wide).compute()
    _, rows = sc.Joint(*SIZE, empirical=(0.0, 1.0), **wide).compute()
    assert arrays["error"] == pytest.approx(rows["error"], rel=0.05)
    assert s["free_error"] == arrays["error"][0]
    assert s["error"] == arrays["error"][int(arrays["validation"].argmin())]


@pytest.mark.parametrize("k", [1, 2])
def test_the_features_span_the_polynomials_of_low_degree(k):
    g = torch.Generator().manual_seed(0)
    X = draw_inputs(5000, 7, "sphere", g, dtype=torch.float64)
    Z = more.low_degree_features(X, k)
    assert torch.linalg.matrix_rank(Z) == cumulative_multiplicity(7, k)
    assert Z.square().mean(0) == pytest.approx(torch.ones(Z.shape[1]).numpy(), abs=0.4)
    h = dense_part(7, k, "sphere", g, dtype=torch.float64)(X)
    rest = h - Z @ torch.linalg.lstsq(Z, h[:, None], driver="gelsd").solution[:, 0]
    assert float(rest.abs().max()) < 1e-9
    above = dense_part(7, k + 1, "sphere", g, dtype=torch.float64)(X) if k == 1 else X[:, 0] ** 3
    kept = above - Z @ torch.linalg.lstsq(Z, above[:, None], driver="gelsd").solution[:, 0]
    assert float(kept.square().mean()) > 0.1  # control: of higher degree


def test_the_first_step_learns_the_dense_part_and_the_second_adds_to_it():
    s, arrays = more.TwoStep(1, 2, 6, 400, **SMALL | {"t_end": 3000.0}).compute()
    assert s["first_dense"] < 0.02 and s["first_sparse"] > 0.3
    assert s["sparse"] < 0.5 * s["first_sparse"] and s["error"] < s["first_error"]
    assert s["error"] == arrays["error"][int(arrays["validation"].argmin())]


def test_thresholds_that_are_not_reached_count_as_the_largest_n():
    def run(n: int, seed: int, error: float) -> LiveResult:
        return LiveResult("made", {"n": n, "seed": seed}, {"error": error}, {})

    rows = [run(n, 1, 1 / n) for n in (2, 8)] + [run(n, 2, 0.9) for n in (2, 8)]
    assert claims.thresholds_by_seed(rows, "error") == pytest.approx({1: 4.0, 2: 8.0})
