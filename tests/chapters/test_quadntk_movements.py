"""Runs about movements for sparse powers, at small sizes: by formula or by their order."""

import pytest
import torch

from escape_ntk.chapters.quadntk.movements import Complexity, ConstructionError, TrainedMovement
from escape_ntk.models.data import draw_inputs, random_direction
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.numerics.stats import rms

F64 = torch.float64


def test_error_of_the_square_by_its_formula():
    """k = 1: h = 1/ξ_0, so f_Q = (β·x)² ⟨σ''(w·x)⟩/ξ_0; ξ_0 by many weights."""
    point = ConstructionError(1, 1, m=40, n=30, n_weights=1, dims=(5,))
    _, arrays = point.compute()
    exact = {"generator": torch.Generator().manual_seed(1), "dtype": F64}
    act, beta = activation(point.activation), random_direction(5, **exact)
    w, X = draw_weights(40, 5, **exact), draw_inputs(30, 5, "sphere", **exact)
    many = draw_weights(400_000, 5, torch.Generator().manual_seed(2), dtype=F64)
    mean = float(act.second(many @ X[0]).mean())
    off = (X @ beta).square() * (act.second(X @ w.T).mean(1) / mean - 1)
    assert arrays["error"][0] == pytest.approx(rms(off), rel=0.03)


def test_a_small_start_turns_towards_beta_and_a_large_one_stays():
    _, arrays = TrainedMovement(1, d=6, m=60, scales=(0.1, 30.0), t_end=300.0, n_test=50).compute()
    assert arrays["share"][0] > 2 * arrays["share"][1]
    assert arrays["share"][1] == pytest.approx(1 / 6, abs=0.1)


def test_complexity_falls_with_n_and_grows_with_d():
    sizes = {"dims": (4, 12), "sizes": (40, 400), "neurons": (10, 100), "few": (2, 3)}
    _, arrays = Complexity(1, **sizes, at=(6, 100, 20)).compute()
    assert arrays["over_n"][1] < 0.5 * arrays["over_n"][0]
    assert arrays["over_d"][1] > 1.3 * arrays["over_d"][0]
    assert arrays["over_m"][1] == pytest.approx(arrays["over_m"][0], rel=0.3)
