"""How much worse than on its training inputs a joint model can be on fresh ones: a bound.

Let ℓ_c(z) = min(|z|, c), x_1…x_n independent and uniform on S^{d−1}(√d), y = f*(x), frozen weights
fixed.  With probability ≥ 1 − ϑ, for all W at once and every projector, even one computed from the
sample, with R_1, R_2 those of P_{>k}W:
E ℓ_c(f_L + f_Q − f*) − (1/n) Σ_i ℓ_c ≤ √R_1 + √R_2 + 2 B_L √(E K(x, x)/n)
    + (B_Q²/√m) E (Σ_r λ_max⁺(a_r M_r)²)^{1/2} + c √(log(N/ϑ)/2n),
where B_L ≥ ‖P_{≤k}W‖_F and B_Q ≥ ‖W‖_{2,4} are the next of N pairs of radii and
M_r = (1/n) Σ_i ε_i σ''(w_r·x_i) x_ix_iᵀ with fair signs ε_i.
So each of R_1…R_4 is one term.  Source: [D], by symmetrisation and contraction [L].
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.models.data import draw_inputs, random_signs
from escape_ntk.models.network import ActivationLike
from escape_ntk.models.network import activation as as_activation

GRID = 8
"""Radii are the powers of 2^{1/GRID} from 2^{−10} to 2^{10}."""
OCTAVES = 10
"""Powers of two that the grid reaches above and below 1."""
CONFIDENCE = 0.95
"""1 − ϑ."""


def radius(norm: float) -> float:
    """The least radius of the grid that is ≥ ``norm``.

    A norm above the largest raises :class:`~escape_ntk.checks.InputError`.
    """
    checks.number("norm", norm, least=0)
    exponent = -OCTAVES * GRID if norm == 0 else math.ceil(math.log2(norm) * GRID - 1e-9)
    if exponent > OCTAVES * GRID:
        raise checks.InputError(
            checks.message(
                expected=f"a norm ≤ 2^{OCTAVES}, the largest radius of the grid",
                got=norm,
                remedy="rescale the target, or raise escape_ntk.risk.generalization.OCTAVES",
            )
        )
    return 2.0 ** (max(exponent, -OCTAVES * GRID) / GRID)


def quadratic_complexity(
    weights: Float[Tensor, "p d"],
    activation: ActivationLike,
    n: int,
    generator: torch.Generator,
    *,
    draws: int = 5,
) -> float:
    """½ E max_r ‖(1/n) Σ_i ε_i σ''(w_r·x_i) x_ix_iᵀ‖: the Rademacher complexity of f_Q over B².

    f_Q ≤ (2√m)^{−1} Σ_r ‖u_r‖² ‖M_r‖ and Σ_r ‖u_r‖² ≤ √m ‖W‖_{2,4}² over all m neurons.  A mean of
    ``draws`` fresh samples with fresh signs, in float64.  Memory n·d².  O(√(d/n)) for n ≫ d.  [D]
    """
    tops = _spectra(weights, activation, n, generator, draws)
    return sum(float(values.abs().max()) for values in tops) / (2 * draws)


def attained_complexity(
    weights: Float[Tensor, "p d"],
    activation: ActivationLike,
    n: int,
    generator: torch.Generator,
    *,
    draws: int = 5,
) -> float:
    """(2√m)^{−1} E (Σ_r λ_max⁺(a_r M_r)²)^{1/2}: that complexity over B² exactly, not a bound.

    M_r = (1/n) Σ_i ε_i σ''(w_r·x_i) x_ix_iᵀ and λ_max⁺ = max(λ_max, 0), over the m = 2p neurons
    of a paired network.  The supremum over ‖W‖_{2,4} ≤ B is attained: u_r along the top
    eigenvector, |u_r|² proportional to λ_max⁺.  No larger than :func:`quadratic_complexity`; free
    of the width.
    Arguments, memory and errors are those of :func:`quadratic_complexity`.  [D]
    """
    tops = _spectra(weights, activation, n, generator, draws)
    ends = (torch.stack([v[:, -1], -v[:, 0]]).clamp(min=0) for v in tops)  # a = +1 and −1
    return sum(float(e.norm()) for e in ends) / (2 * math.sqrt(2 * len(weights)) * draws)


def _spectra(
    weights: Tensor, activation: ActivationLike, n: int, generator: torch.Generator, draws: int
) -> Iterator[Tensor]:
    """Eigenvalues (p, d) of all M_r, ascending, draw by draw."""
    activation = as_activation(activation)
    checks.array("weights", weights, (None, None))
    checks.integer("n", n, least=1)
    w, d = weights.double(), weights.shape[1]
    for _ in range(checks.integer("draws", draws, least=1)):
        X = draw_inputs(n, d, "sphere", generator, dtype=torch.float64)
        signed = random_signs(n, generator)[:, None] * activation.second(X @ w.T)  # (n, p)
        outer = (X[:, :, None] * X[:, None, :]).flatten(1)  # (n, d²)
        yield torch.linalg.eigvalsh((signed.T @ outer).view(-1, d, d) / n)


@dataclass(frozen=True)
class GapBound:
    """The terms of the bound, one for each R_j, and what chance adds."""

    population_leak: float
    empirical_leak: float
    linear: float
    quadratic: float
    chance: float

    @property
    def total(self) -> float:
        """Their sum."""
        return sum(getattr(self, field.name) for field in fields(self))


def gap_bound(
    *,
    n: int,
    mean_kernel: float,
    complexity: float,
    population: float,
    empirical: float,
    low_degree: float,
    norm_fourth: float,
    cap: float = 1.0,
) -> GapBound:
    """How far E ℓ_c on fresh inputs can lie above its mean over the n training inputs.  [D]

    Arguments:

    * ``n``: training inputs;
    * ``mean_kernel``: E K(x, x), such as ``ntk_spectrum(activation, d).trace``;
    * ``complexity``: that of f_Q, from :func:`attained_complexity`;
    * ``population``, ``empirical``, ``low_degree``, ``norm_fourth``: R_1, R_2,
      R_3 = ‖P_{≤k}W‖_F² and ‖W‖_{2,4}^4 of a solution, such as
      :meth:`~escape_ntk.risk.problem.Problem.sizes` gives, the last as norm_2_4 to the fourth;
    * ``cap``: c, default 1.

    Returns a :class:`GapBound`: one term for each of them, one for chance, and their ``total``.

    Errors: :class:`~escape_ntk.checks.InputError` for negative numbers, and for norms beyond the
    grid of radii.

    Example:

    >>> sizes = dict(population=0.01, empirical=0.01, low_degree=1.0, norm_fourth=1.0)
    >>> bound = gap_bound(n=10_000, mean_kernel=1.0, complexity=0.1, **sizes)
    >>> round(bound.linear, 3), round(bound.quadratic, 3)
    (0.02, 0.2)
    """
    checks.integer("n", n, least=1)
    sizes = {"population": population, "empirical": empirical, "low_degree": low_degree}
    sizes |= {"norm_fourth": norm_fourth, "mean_kernel": mean_kernel, "complexity": complexity}
    for name, value in sizes.items():
        checks.number(name, value, least=0)
    checks.number("cap", cap, least=0, strict=True)
    cells = (2 * OCTAVES * GRID + 1) ** 2
    return GapBound(
        math.sqrt(population),
        math.sqrt(empirical),
        2 * radius(math.sqrt(low_degree)) * math.sqrt(mean_kernel / n),
        2 * radius(norm_fourth**0.25) ** 2 * complexity,
        cap * math.sqrt(math.log(cells / (1 - CONFIDENCE)) / (2 * n)),
    )
