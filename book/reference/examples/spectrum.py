"""What n samples teach, degree by degree: foreseen, and on drawn inputs."""

import numpy as np
import torch

from escape_ntk.kernels import spectrum
from escape_ntk.kernels.ntk import infinite_ntk
from escape_ntk.models.data import (
    Target,
    draw_inputs,
    random_direction,
    sparse_part,
)
from escape_ntk.models.network import activation

d, n, act = 6, 40, activation("sin(z+pi/4)")
K = spectrum.ntk_spectrum(act, d)
assert isinstance(K, spectrum.Spectrum)
assert len(K.eigenvalues) == spectrum.DEGREE + 1
assert K.multiplicities[1] == d and spectrum.NODES > 2 * K.check_degree(2)
assert np.isclose(K.trace, d / 2)  # K(x, x) = d E σ'² = d/2 for this σ
assert np.isclose(K.bulk(1), K.trace * (1 - K.shares[:2].sum()))

# The effective ridge κ says how much of each degree n samples teach.
kappa = K.effective_ridge(n)
learned = K.learned(n)
assert np.allclose(learned, K.eigenvalues / (K.eigenvalues + kappa))
assert learned[1] > 0.8 > learned[3]

# Ridge regression on drawn inputs, judged over the sphere: no test set.
g = torch.Generator().manual_seed(0)
X = draw_inputs(n, d, "sphere", g, dtype=torch.float64)
fit = spectrum.SphereRidge(X, act)
assert np.allclose(fit.learned([1, 2, 3]), learned[1:4], atol=0.1)
powers = [0.0, 1.0]  # the target: linear, of norm 1
expected = fit.expected_error(powers)
assert 0 < expected < 0.2 and 0 < K.predicted_error(n, powers) < 0.2
# The mean over drawn linear targets is what was expected.
errors = []
for _ in range(200):
    beta = random_direction(d, g, dtype=torch.float64)
    errors.append(fit.error(Target((sparse_part(beta, 1, "sphere"),))))
assert np.isclose(np.mean(errors), expected, rtol=0.1)

# For d ≪ n ≪ d² the whole Gram spectrum can be foreseen (Marchenko and Pastur).
Z = draw_inputs(150, 30, "sphere", g, dtype=torch.float64)
drawn = torch.linalg.eigvalsh(infinite_ntk(Z, Z, act)).flip(0).numpy()
foreseen = spectrum.ntk_spectrum(act, 30).gram_eigenvalues(150, 1)
assert np.allclose(foreseen, drawn, rtol=0.15)
assert np.isclose(spectrum.marchenko_pastur(0.5, 1000).mean(), 1, rtol=1e-2)

# f_Q at a large frozen start s: ζ_3 < ζ_2.
frozen = spectrum.frozen_start_spectrum(act, d).eigenvalues
assert 0 < frozen[3] < frozen[2]
