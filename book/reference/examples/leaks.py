"""The population leak in closed form, beside a mean over fresh inputs."""

import torch

from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.risk import leaks

g = torch.Generator().manual_seed(0)
p, d, act = 6, 4, activation("sin(z+pi/4)")
w = draw_weights(2 * p, d, g, dtype=torch.float64)
t = torch.randn(p, d, generator=g, dtype=torch.float64)

for law, closed in (
    ("gaussian", leaks.GaussianLeak),
    ("sphere", leaks.SphereLeak),
):
    exact = closed(w, act)
    assert isinstance(exact, leaks.PopulationLeak)
    value, gradient = exact.value_and_gradient(t)
    Z = draw_inputs(50_000, d, law, g, dtype=torch.float64)
    sampled, slope = leaks.SampledLeak(
        PairFeatures(Z, w, act)
    ).value_and_gradient(t)
    assert torch.isclose(value, sampled, rtol=0.05)
    # A quadratic form: its gradient along t is twice its value.
    assert torch.isclose((gradient * t).sum(), 2 * value)
    assert torch.isclose((slope * t).sum(), 2 * sampled)
