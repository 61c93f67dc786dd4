"""What several chapters draw, sample and measure alike."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import Activation
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.risk.leaks import SampledLeak


def unit_start(features: PairFeatures, generator: torch.Generator) -> Tensor:
    """(s, t) with t = 0 and s normal, E|s_r|² = 1: f_L = f_Q = 0 at every multiple of it."""
    state = features.zero_state()
    noise = torch.randn(state[0].shape, generator=generator, dtype=torch.float64)
    state[0] = (noise / math.sqrt(features.dim)).to(state)
    return state


def leak_by_sampling(
    weights: Tensor, act: Activation, t: Tensor, law: str, n: int, generator: torch.Generator
) -> tuple[float, float]:
    """(mean of f_L(x; t)² over n fresh inputs, its standard error), 10 000 inputs at a time."""
    means = []
    for _ in range(n // 10_000):
        Z = draw_inputs(10_000, t.shape[1], law, generator, dtype=torch.float64)
        fresh = SampledLeak(PairFeatures(Z, weights, act))
        means.append(float(fresh.value_and_gradient(t)[0]))
    return float(np.mean(means)), float(np.std(means, ddof=1)) / math.sqrt(len(means))


def accuracy(prediction: Tensor, y: Tensor) -> float:
    """Share of labels ±1 with the sign of the prediction, 0 counted as −1; NaN if one is NaN."""
    if bool(prediction.isnan().any()):
        return math.nan
    return float(((prediction > 0) == (y > 0)).double().mean())


def finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """The values as a summary can hold them: None for NaN and infinity."""
    return {name: float(v) if math.isfinite(v) else None for name, v in values.items()}
