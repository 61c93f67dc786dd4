"""The angles of the Gram matrix's eigenvectors against their definition, by quadrature on S²."""

import math

import numpy as np
import pytest
import torch

from escape_ntk.chapters.directions.runs import GramSpectrum
from escape_ntk.kernels.ntk import infinite_ntk
from escape_ntk.kernels.spectrum import ntk_spectrum
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import activation

F64 = torch.float64


def sphere_grid() -> tuple[torch.Tensor, torch.Tensor]:
    """Nodes on S²(√3) and their weights: Gauss and Legendre in height, equal turns around."""
    heights, share = np.polynomial.legendre.leggauss(24)
    height = torch.from_numpy(np.repeat(heights, 48))
    turn = torch.from_numpy(np.tile(2 * math.pi * np.arange(48) / 48, 24))
    flat = (1 - height**2).sqrt()
    points = math.sqrt(3) * torch.stack([height, flat * turn.cos(), flat * turn.sin()], 1)
    return points, torch.from_numpy(np.repeat(share / 2 / 48, 48))


@pytest.mark.parametrize("seed", [1, 2])
def test_angles_are_those_between_functions(seed):
    """cos²θ_j = Σ_h (E_x g_j h)²/ζ over h = 1, x_1, x_2, x_3, where g_j = K(·, X)u_j/√Λ_j.

    Left out the degree 1, as a control, the two disagree.
    """
    point = GramSpectrum(seed, d=3, k=1, n=12)
    _, arrays = point.compute()
    act, generator = activation(point.activation), torch.Generator().manual_seed(seed)
    X = draw_inputs(point.n, 3, "sphere", generator, dtype=F64)
    values, vectors = torch.linalg.eigh(infinite_ntk(X, X, act))
    values, vectors = values.flip(0)[:4], vectors.flip(1)[:, :4]
    Z, law = sphere_grid()
    g = infinite_ntk(Z, X, act) @ vectors / values.sqrt()
    lam = ntk_spectrum(act, 3).eigenvalues
    constant = (law @ g).square() / lam[0]
    linear = ((law[:, None] * Z).T @ g).square().sum(0) / lam[1]
    assert np.allclose(arrays["sin2"], (1 - constant - linear).numpy(), atol=1e-9)
    assert not np.allclose(arrays["sin2"], (1 - constant).numpy(), atol=0.1)
