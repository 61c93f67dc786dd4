"""What a flat stationary point of L_λ is worth, in advance: every term of the bound in numbers.

Let λ_1…λ_4 > 0, λ_2 ≥ 1, |σ'|, |σ''| ≤ 1, training inputs on S^{d−1}(√d), Λ_{n_k} > 0, R_1 over the
uniform law on that sphere.  At every W with L_λ(W) ≤ L_0,
‖∇_W L_λ‖_F ≤ δ_1 and λ_min(∇²_W L_λ) ≥ −δ
¼F + λ_1R_1 + ½λ_2R_2 + λ_3R_3 + λ_4R_4 ≤ Ξ, F the training loss.
Ξ knows W* and the sample, not W: with λ_4 > 0 the sublevel set is bounded, ‖W‖_{2,4}^4 ≤
N = (L_0/λ_4)^{1/2}, and with λ_3 > 0 so is P_{≤k}t.  Source: [D], after Bai and Lee [L].
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from escape_ntk import checks
from escape_ntk.risk.generalization import CONFIDENCE, GRID, OCTAVES
from escape_ntk.risk.regularizer import Penalties

NORM_CURVATURE = 28.0
"""½Vᵀ∇²R_4V ≤ 28 N^{3/2}‖V‖_{2,4}² for every movement V, such as SW_Q.  [D]"""
NORM_SLOPE = 4 * 2**0.25
"""|⟨∇_t R_4, t_0⟩| ≤ 4·2^{1/4} N^{7/4}‖t_0‖_{2,4}.  [D]"""
NORM_SHARE = 7.0**4
"""28 N^{3/2}c² ≤ 3N² + 7⁴c⁸: the means of N², N², N² and (7c²)⁴.  [D]"""
WIDEST = 1e40
"""Where :func:`required_width` stops looking."""


@dataclass(frozen=True)
class Guarantee:
    """The terms of Ξ, each ≥ 0, and their ``total``; what they bound, from :meth:`sizes`.  [D]

    :meth:`sizes` refuses penalties that are 0 with an :class:`~escape_ntk.checks.InputError`.
    """

    missed: float
    low_degree: float
    norm: float
    signs: float
    cross: float
    coupling: float
    norm_slope: float
    curvature: float
    gradient: float

    @property
    def total(self) -> float:
        """Ξ."""
        return sum(getattr(self, field.name) for field in fields(self))

    def sizes(self, penalties: Penalties) -> dict[str, float]:
        """Ξ as a bound on the loss F, R_1, R_2, R_3 and N = ‖W‖_{2,4}^4.

        F ≤ 4Ξ, R_1 ≤ Ξ/λ_1, R_2 ≤ 2Ξ/λ_2, R_3 ≤ Ξ/λ_3, N ≤ (Ξ/λ_4)^{1/2}.
        """
        p, top = _all_four(penalties), self.total
        return {
            "loss": 4 * top,
            "R_1": top / p.population,
            "R_2": 2 * top / p.empirical,
            "R_3": top / p.low_degree,
            "norm_fourth": math.sqrt(top / p.norm),
        }


def guarantee(
    *,
    d: int,
    m: int,
    penalties: Penalties,
    start: float,
    norm: float,
    missed: float,
    low: float,
    inverse: float,
    stretch: float = 1.0,
    depth: float = 0.0,
    gradient: float = 0.0,
) -> Guarantee:
    """Every term of Ξ.

    With c, b, Γ as below and ‖t_0‖_F ≤ c_0 = (2Γ low)^{1/2} + (L_0/2λ_3)^{1/2}:

    missed = ⟨(f* of W* − y)²⟩;  low_degree = λ_3Γ low ≥ λ_3R_3(t_L);  norm = 7⁴λ_4c⁸;
    signs = c²(2m)^{−1/2}[2λ_1(1 + bΓ) + λ_2b + λ_3bΓ] ≥ E_S Q(S t_Q);
    cross = 2^{1/2}bc²m^{−1/2} + 2bdc²N^{1/2}/m;  coupling = 2bd m^{−1/2}N^{1/2}c_0²;
    norm_slope = 4·2^{1/4}λ_4N^{7/4}(2bΓ/m)^{1/4}c_0;  curvature = ½δ(m/2)^{1/2}c²;
    gradient = δ_1(½m^{1/4}N^{1/4} + c_0/2^{1/2}).  Source: [D].

    Arguments:

    * ``d``, ``m``: dimension, neurons (even);
    * ``penalties``: λ_1…λ_4 > 0, λ_2 ≥ 1;
    * ``start``: L_0, which L_λ does not exceed;
    * ``norm``: c = ‖W_Q‖_{2,4} of the comparison, which moves one neuron of each pair;
    * ``missed``: mean square over the sample of what the comparison misses;
    * ``low``: mean square over the sample of y − f_Q(·; W_Q), whose good part f_L makes;
    * ``inverse``: Γ = n/Λ_{n_k}, Λ_{n_k} > 0 the n_k-th eigenvalue of the Gram matrix;
    * ``stretch``: b = ‖X‖²/n, between 1 and d;
    * ``depth``, ``gradient``: δ and δ_1 of the point.

    Returns a :class:`Guarantee`.

    Errors: :class:`~escape_ntk.checks.InputError` for a penalty that is 0, λ_2 < 1, an odd m, and
    negative numbers.

    Example:

    >>> all_four = Penalties(1.0, 1.0, 1e-3, 1e-8)
    >>> star = dict(start=1.0, norm=2.0, missed=0.01, low=1.0, inverse=20.0)
    >>> narrow, wide = (guarantee(d=16, m=m, penalties=all_four, **star) for m in (10**4, 10**16))
    >>> narrow.total > wide.total, round(wide.missed + wide.low_degree, 3)
    (True, 0.03)
    """
    p = _all_four(penalties)
    checks.integer("d", d, least=1)
    m = checks.even_width(m)
    numbers = {"start": start, "norm": norm, "missed": missed, "low": low, "depth": depth}
    for name, value in (numbers | {"gradient": gradient}).items():
        checks.number(name, value, least=0)
    inverse = checks.number("inverse", inverse, least=0, strict=True)
    b = checks.number("stretch", stretch, least=1)
    fourth, square = math.sqrt(start / p.norm), norm**2
    tau = math.sqrt(2 * inverse * low) + math.sqrt(start / (2 * p.low_degree))
    spread = (2 * b * inverse / m) ** 0.25
    leaks = 2 * p.population * (1 + b * inverse) + p.empirical * b + p.low_degree * b * inverse
    return Guarantee(
        missed=missed,
        low_degree=p.low_degree * inverse * low,
        norm=NORM_SHARE * p.norm * square**4,
        signs=square / math.sqrt(2 * m) * leaks,
        cross=math.sqrt(2 / m) * b * square + 2 * b * d * square * math.sqrt(fourth) / m,
        coupling=2 * b * d * math.sqrt(fourth / m) * tau**2,
        norm_slope=NORM_SLOPE * p.norm * fourth**1.75 * spread * tau,
        curvature=depth * math.sqrt(m / 2) * square / 2,
        gradient=gradient * ((m * fourth) ** 0.25 / 2 + tau / math.sqrt(2)),
    )


def required_width(at: Callable[[int], Guarantee], target: float) -> float:
    """The least m, to a percent, at which ``at(m)`` has a total of at most ``target``.  [D]

    ``at`` is such as ``lambda m: guarantee(m=m, …)`` with depth 0.  A target below what no width
    removes raises :class:`~escape_ntk.checks.InputError`.
    """
    checks.function("at", at, "lambda m: escape_ntk.risk.guarantee.guarantee(m=m, …)")
    checks.number("target", target, least=0, strict=True)
    low, high = math.log(2), math.log(WIDEST)
    least = at(_even(high)).total
    if least > target:
        raise checks.InputError(
            checks.message(
                expected="a target above what is left of Ξ at infinite width",
                got=f"{target:g}, with {least:.3g} left",
                remedy="smaller λ_3 and λ_4, depth=0, or a larger target",
            )
        )
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if at(_even(middle)).total <= target else (middle, high)
    return math.exp(high)


def _even(log: float) -> int:
    return 2 * round(math.exp(log) / 2)


def required_samples(
    sizes: Mapping[str, float], *, d: int, m: int, target: float, stretch: float = 1.0
) -> float:
    """n for which three terms of the bound on the gap come to ``target``: of R_3, R_4 and chance.

    (2^{9/8}(R_3d)^{1/2} + 2^{3/4}(N b d log(md))^{1/2} + (½log(G/ϑ))^{1/2})²/target²: each falls
    like n^{−1/2}; G pairs of radii a factor 2^{1/8} apart, 1 − ϑ = 95 %.  The second: for given
    inputs E_ε max_r ‖M_r‖ ≤ (2bd log(md)/n)^{1/2}, as for all matrix series with signs [L].  [D]

    Arguments:

    * ``sizes``: with "R_3" and "norm_fourth" N, such as :meth:`Guarantee.sizes` gives;
    * ``d``, ``m``: as for :func:`guarantee`;
    * ``stretch``: E b over fresh samples of n inputs;
    * ``target``: > 0.

    Errors: :class:`~escape_ntk.checks.InputError` for numbers that cannot be.
    """
    checks.integer("d", d, least=1)
    m = checks.even_width(m)
    b = checks.number("stretch", stretch, least=1)
    checks.number("target", target, least=0, strict=True)
    checks.instance(
        "sizes", sizes, Mapping, "escape_ntk.risk.guarantee.guarantee(…).sizes(penalties)"
    )
    known = {name: sizes.get(name) for name in ("R_3", "norm_fourth")}  # None is no number
    low, fourth = (checks.number(name, value, least=0) for name, value in known.items())
    linear = 2 ** (1 + 1 / GRID) * math.sqrt(low * d)
    quadratic = 2 ** (1 / 2 + 2 / GRID) * math.sqrt(fourth * b * d * math.log(m * d))
    chance = math.sqrt(math.log((2 * OCTAVES * GRID + 1) ** 2 / (1 - CONFIDENCE)) / 2)
    return ((linear + quadratic + chance) / target) ** 2


def smooth_on_sublevel(
    *, d: int, m: int, penalties: Penalties, start: float, stretch: float = 1.0
) -> tuple[float, float]:
    """(ℓ, ρ): bounds on the second and third derivatives of L_λ in W where L_λ ≤ ``start`` = L_0.

    With N = (L_0/λ_4)^{1/2} and b = ``stretch`` as in :func:`guarantee`,
    ℓ = 4d(1 + dN^{1/2}m^{−1/2}) + 2d(L_0/m)^{1/2} + 2(λ_1 + bλ_2 + λ_3) + 56λ_4N^{3/2},
    ρ = 6d m^{−1/2}(2d(1 + dN^{1/2}m^{−1/2}))^{1/2} + 336λ_4N^{5/4}.
    Descent in all weights from there, with steps of at most 1/ℓ, does not raise L_λ.  Source: [D].

    Errors: :class:`~escape_ntk.checks.InputError` as :func:`guarantee`; λ_2 < 1 is allowed.
    """
    p = _all_four(penalties, least=0.0)
    checks.integer("d", d, least=1)
    m = checks.even_width(m)
    checks.number("start", start, least=0)
    b = checks.number("stretch", stretch, least=1)
    fourth = math.sqrt(start / p.norm)
    steep = 2 * d * (1 + d * math.sqrt(fourth / m))
    leaks = 2 * (p.population + b * p.empirical + p.low_degree)
    gradient = 2 * steep + 2 * d * math.sqrt(start / m) + leaks + 56 * p.norm * fourth**1.5
    return gradient, 6 * d / math.sqrt(m) * math.sqrt(steep) + 336 * p.norm * fourth**1.25


def _all_four(penalties: Penalties, least: float = 1.0) -> Penalties:
    """The penalties, if each is positive and λ_2 ≥ ``least``."""
    p = checks.instance("penalties", penalties, Penalties, "Penalties(1.0, 1.0, 1e-3, 1e-8)")
    if min(p.population, p.empirical, p.low_degree, p.norm) <= 0 or p.empirical < least:
        raise checks.InputError(
            checks.message(
                expected="λ_1, λ_3, λ_4 > 0 and " + ("λ_2 ≥ 1" if least else "λ_2 > 0"),
                got=str(p),
                remedy="switch all four on: without λ_4 the sublevel set is unbounded",
            )
        )
    return p
