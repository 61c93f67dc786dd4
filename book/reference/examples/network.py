"""A paired network, and an activation of one's own."""

import math

import torch

from escape_ntk.models import network

g = torch.Generator().manual_seed(0)
m, d = 8, 3
assert network.WEIGHT_LAWS == ("sphere", "gaussian")
w = network.draw_weights(m, d, g, dtype=torch.float64)  # one for each pair
assert torch.allclose(w.norm(dim=1), torch.ones(m // 2, dtype=torch.float64))

f = network.paired_network(w, network.activation("sigmoid(z-1)"))
assert isinstance(f, network.TwoLayerNetwork) and f.width == m
X = f.check_inputs(torch.randn(5, d, generator=g, dtype=torch.float64))
assert float(f(X).abs().max()) < 1e-15  # at initialisation: 0, to rounding

# Moved: m^{−1/2} Σ_r a_r σ((w_r + u_r)·x), neuron by neuron.
U = f.check_movement(torch.randn(m, d, generator=g, dtype=torch.float64))
by_hand = sum(
    a * torch.sigmoid(X @ (w_r + u_r) - 1)
    for a, w_r, u_r in zip(f.signs, f.weights, U, strict=True)
)
assert torch.allclose(f(X, U), by_hand / math.sqrt(m))

# Derivatives come with each activation, or from σ alone.
assert "sin(z+pi/4)" in network.ACTIVATIONS
tanh = network.Activation.from_function("tanh", torch.tanh)
z = torch.linspace(-2, 2, 5, dtype=torch.float64)
assert torch.allclose(tanh.first(z), 1 - torch.tanh(z) ** 2)
assert isinstance(tanh, network.Activation)
sigma: network.ActivationLike
for sigma in ("erf", torch.tanh, tanh):  # taken wherever a σ is asked for
    assert isinstance(network.activation(sigma), network.Activation)
assert math.isclose(network.gaussian_mean_square(lambda z: z), 1)
# Unit weights from normal numbers of one's own.
own = network.weights_of_law(torch.randn(m // 2, d, generator=g), "sphere")
assert torch.allclose(own.norm(dim=1), torch.ones(m // 2))
