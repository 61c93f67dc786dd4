"""Checks of hypotheses that take a computation with the package: spectra, projectors, signs.

Each is a check of :mod:`escape_ntk.study.hypotheses`, on fresh draws from the laws of the runs or
on what their records hold.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from escape_ntk.kernels.ntk import empirical_ntk, infinite_ntk
from escape_ntk.kernels.spectrum import ntk_spectrum
from escape_ntk.models.data import draw_inputs, draw_target, random_signs, sparse_part
from escape_ntk.models.network import Activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics.polynomials import (
    cumulative_multiplicity,
    gegenbauer_coefficients,
    hermite_coefficients,
)
from escape_ntk.records.store import Record
from escape_ntk.risk.constructions import represent_power
from escape_ntk.risk.generalization import GRID, radius
from escape_ntk.risk.leaks import SphereLeak
from escape_ntk.risk.projectors import PopulationProjector, TrainingProjector
from escape_ntk.risk.regularizer import RegularizedRisk
from escape_ntk.study.hypotheses import (
    Answer,
    Change,
    Check,
    Run,
    Setting,
    act_of,
    answer,
    below,
    derivative,
    sizes,
)
from escape_ntk.training.curvature import lowest_curvature

F64 = torch.float64
RELATIVE = 1e-9
"""Coefficients below this share of the norm count as 0: rounding of the quadrature."""
NEURONS = 100
"""m of the fresh networks on which projectors are looked at."""
Degrees = Callable[[int], Sequence[int]]
"""Degrees that a statement uses, from the k of a run."""


def _draw(run: Run, n: int, d: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    X = draw_inputs(n, d, "sphere", generator, dtype=F64)
    if run.get("stretched"):  # a control's: a law with a preferred direction
        X[:, 0] *= 3
    return X


def _ks(run: Run) -> list[int]:
    return [int(k) for k in sizes([run], "k")] or [int(k) for k in run.get("degrees_k", (1,))]


def _points(setting: Setting) -> set[tuple[Activation, int, int]]:
    """(σ, k, d) of the runs, each once."""
    return {
        (act_of(run), k, int(d))
        for run in setting.runs
        for k, d in itertools.product(_ks(run), sizes([run], "d", "dims"))
    }


# ---------------------------------------------------------------- coefficients and eigenvalues

KEPT = 40
"""Coefficients whose squares make up a function's norm."""


def hermite_nonzero(order: int, degrees: Degrees) -> Check:
    """μ_j(σ^{(order)}) ≠ 0 for the degrees of every k: Gauss–Hermite quadrature.

    The coefficient on he_j, against E[σ^{(order)}(Z)²]^{1/2}.
    """

    def check(setting: Setting) -> Answer:
        least = math.inf
        for act, k in {(act, k) for act, k, _ in _points(setting)}:
            c = hermite_coefficients(derivative(act, order), KEPT)
            least = min(least, *(abs(c[j]) / (float(np.sqrt(c @ c)) or 1.0) for j in degrees(k)))
        return answer(least > RELATIVE, f"at least {least:.2g} of the norm")

    return check


def gegenbauer_nonzero(order: int, degrees: Degrees) -> Check:
    """ξ_j(σ^{(order)}) ≠ 0 for the degrees of every k, at every d: quadrature.

    √B(d, j) ξ_j, the coefficient of a function of norm 1, against E[σ^{(order)}²]^{1/2}.
    """

    def check(setting: Setting) -> Answer:
        least = math.inf
        for act, k, d in _points(setting):
            c = gegenbauer_coefficients(derivative(act, order), KEPT, d)
            least = min(least, *(abs(c[j]) / (float(np.sqrt(c @ c)) or 1.0) for j in degrees(k)))
        return answer(least > RELATIVE, f"at least {least:.2g} of the norm")

    return check


def positive_eigenvalues(degrees: Degrees) -> Check:
    """ζ_ℓ > 0 for the degrees of every k, at every d: shares of the trace, by quadrature."""

    def check(setting: Setting) -> Answer:
        least = math.inf
        for act, k, d in _points(setting):
            shares = ntk_spectrum(act, d).shares
            least = min(least, *(float(shares[ell]) for ell in degrees(k)))
        return answer(least > RELATIVE**2, f"at least {least:.1e} of the trace")

    return check


def spectral_gap(setting: Setting) -> Answer:
    """min_{ℓ≤k} ζ_ℓ > max_{ℓ>k} ζ_ℓ for every k, at every d: quadrature."""
    least = math.inf
    for act, k, d in _points(setting):
        values = ntk_spectrum(act, d).eigenvalues
        least = min(least, float(values[: k + 1].min() / values[k + 1 :].max()))
    return answer(least > 1, f"ratio at least {least:.2g}")


def tail_share(degree: int) -> Check:
    """γ_{>degree} ≥ c·d: the trace beyond the degree over d, at every d."""

    def check(setting: Setting) -> Answer:
        points = {(act, d) for act, _, d in _points(setting)}
        least = min(ntk_spectrum(act, d).bulk(degree) / d for act, d in points)
        return answer(least > 1e-3, f"at least {least:.3g} d")

    return check


def spectrum_of_unit_weights(setting: Setting) -> Answer:
    """The recorded eigenvalues are those of unit w and inputs on the sphere, computed anew."""
    gaps = []
    for record in setting.records:
        law = next(iter(setting.runs)).get("weight_law", "sphere")
        d = int(min(sizes([record.config], "d", "dims")))
        own = ntk_spectrum(act_of(record.config), d, weight_law=law).eigenvalues
        if record.experiment == "ntk-eigenvalue-samples":
            kept = record.arrays["exact"]
        elif record.experiment == "directions-gap":
            gap = own[:2].min() / own[2:].max()
            own, kept = np.array([gap]), record.arrays["gap_1"][:1]
        else:
            kept = record.arrays["eigenvalues"][0]
        gaps.append(float(np.abs(kept / own[: len(kept)] - 1).max()))
    return below(max(gaps), 1e-6, "recorded eigenvalues agree")


# ---------------------------------------------------------------- invariance, projectors, signs


def invariant_kernel(setting: Setting) -> Answer:
    """K(Qx, Qy) = K(x, y) for a drawn rotation Q."""
    worst = 0.0
    for run in setting.runs:
        d = int(min(sizes([run], "d", "dims")))
        X, act = _draw({}, 40, d), act_of(run)
        Q = torch.linalg.qr(torch.randn(d, d, generator=_seeded(1), dtype=F64))[0]
        kernel = infinite_ntk
        if run.get("kernel") == "finite":  # a control's: few neurons, with directions of their own
            kernel = partial(_finite, weights=draw_weights(64, d, _seeded(2), dtype=F64))
        K = kernel(X, X, act)
        gap = (kernel(X @ Q, X @ Q, act) - K).norm() / K.norm()
        worst = max(worst, float(gap))
    return below(worst, 1e-8, "changed under a rotation")


def _finite(X: torch.Tensor, Y: torch.Tensor, act: Activation, weights: torch.Tensor):
    return empirical_ntk(X, Y, weights, act)


def invariant_inputs(setting: Setting) -> Answer:
    """No direction of the inputs stands out: E x_j² alike, in 20 000 draws within 6 deviations."""
    worst = 0.0
    for run in setting.runs:
        squares = _draw(run, 20_000, int(min(sizes([run], "d", "dims")))).square()
        means, deviation = squares.mean(0), squares.std(0) / math.sqrt(len(squares))
        worst = max(worst, float(((means - 1) / deviation).abs().max()))
    return answer(worst < 6, f"at most {worst:.1f} deviations")


def invariant_weights(setting: Setting) -> Answer:
    """No direction of the weights stands out: E w_j² alike, as for the inputs."""
    worst = 0.0
    for run in setting.runs:
        d = int(min(sizes([run], "d", "dims")))
        squares = draw_weights(20_000, d, _seeded(12), dtype=F64).square() * d
        if run.get("stretched"):  # a control's: a law with a preferred direction
            squares[:, 0] *= 9
        means, deviation = squares.mean(0), squares.std(0) / math.sqrt(len(squares))
        worst = max(worst, float(((means - 1) / deviation).abs().max()))
    return answer(bool(setting.runs) and worst < 6, f"at most {worst:.1f} deviations")


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fair_signs(setting: Setting) -> Answer:
    """The code's signs are ±1, as often the one as the other, and do not go with each other."""
    if not all("random_signs" in run["tools"] for run in setting.runs):
        return answer(False, "no random signs are drawn")
    draws = torch.stack([random_signs(64, _seeded(seed)) for seed in range(4000)])
    if any(run.get("signs") == "equal" for run in setting.runs):  # a control's
        draws = torch.ones_like(draws)
    signs = bool((draws.abs() == 1).all())
    together = draws.T @ draws / len(draws) - torch.eye(64).to(draws)
    worst = max(float(draws.mean(0).abs().max()), float(together.abs().max()))
    return answer(signs and worst < 6 / math.sqrt(len(draws)), f"means within {worst:.2f}")


def population_projector(*, beside: Sequence[str] = ()) -> Check:
    """P_{>k} commutes with the population's covariance, so it is the population's.

    The projector that the code makes, at :data:`NEURONS`; ``beside``: made for a comparison.
    """

    def check(setting: Setting) -> Answer:
        made = {
            (int(min(sizes([run], "d", "dims"))), _ks(run)[0], tool): run
            for run in setting.runs
            for tool in run["tools"]
            if tool.endswith("Projector") and tool not in beside
        }
        worst = max((_mixing(run, tool) for (*_, tool), run in made.items()), default=1.0)
        return below(worst, 1e-5, "share of Σ's image mixed in")

    return check


def _mixing(run: Run, tool: str) -> float:
    """‖P_{≤k} Σ P_{>k}t‖/‖ΣP_{>k}t‖ for a drawn t; 0 for the population's projector."""
    projector, leak, t = _projector(run, tool)
    image = leak.value_and_gradient(projector.high(t))[1]
    return float(projector.low(image).norm() / image.norm())


def _projector(run: Run, tool: str):
    """The projector that a run makes, at :data:`NEURONS`, with its leak and a drawn t."""
    d, k = int(min(sizes([run], "d", "dims"))), _ks(run)[0]
    weights, n_k = draw_weights(NEURONS, d, _seeded(3), dtype=F64), cumulative_multiplicity(d, k)
    leak, shape = SphereLeak(weights, act_of(run)), (len(weights), d)
    if tool == "PopulationProjector":
        projector = PopulationProjector(leak, shape, n_k, tolerance=1e-8)
    else:
        X = _draw({}, 10 * n_k, d)
        projector = TrainingProjector(PairFeatures(X, weights, act_of(run)), n_k)
    return projector, leak, torch.randn(*shape, generator=_seeded(4), dtype=F64)


def orthogonal_projector(setting: Setting) -> Answer:
    """Each P_{>k} that the runs make has P² = P and Pt·z = t·Pz, for drawn t and z."""
    worst, kinds = 0.0, set()
    for run in setting.runs:
        for tool in {tool for tool in run["tools"] if tool.endswith("Projector")} - kinds:
            projector, _, t = _projector(run, tool)
            once, z = projector.high(t), t.flip(0)
            twice, skew = projector.high(once), (once * z).sum() - (t * projector.high(z)).sum()
            if run.get("oblique"):  # a control's
                twice = twice + t
            worst = max(worst, float((twice - once).norm() / t.norm()), abs(float(skew)))
            kinds.add(tool)
    return below(worst if kinds else math.inf, 1e-6, f"{', '.join(sorted(kinds))}:")


def gram_rank(rank: Callable[[Run], int]) -> Check:
    """The first ``rank(run)`` eigenvalues of the Gram matrix are positive: those of a fresh draw.

    Positive: above 1e-10 of the largest.  A rank above n is not met.
    """

    def check(setting: Setting) -> Answer:
        least = math.inf
        for run in setting.runs:
            n, d, m = (int(min(sizes([run], *names))) for names in ("n", ("d", "dims"), "m"))
            if rank(run) > n:
                return answer(False, f"{rank(run)} directions from n = {n}")
            w = draw_weights(m, d, _seeded(5), dtype=F64)
            X = _draw({}, n, d)
            values = torch.linalg.eigvalsh(empirical_ntk(X, X, w, act_of(run))).flip(0)
            least = min(least, float(values[rank(run) - 1] / values[0]))
        return answer(least > 1e-10, f"at least {least:.1e} of the largest")

    return check


def infinite_gram_rank(setting: Setting) -> Answer:
    """The first n_k recorded eigenvalues of every Gram matrix are positive."""
    least = min(
        float(r.arrays["eigenvalues"][int(r.summary["n_k"]) - 1] / r.arrays["eigenvalues"][0])
        for r in setting.records
    )
    return answer(least > 1e-7, f"at least {least:.1e} of the largest")


def infinite_width(setting: Setting) -> Answer:
    """The recorded Gram matrices have the diagonal of the infinite kernel: their traces agree."""
    worst = 0.0
    for r in setting.records:
        own = ntk_spectrum(act_of(r.config), int(r.config["d"])).trace
        worst = max(worst, abs(float(r.arrays["eigenvalues"].mean()) / own - 1))
    return below(worst, 1e-4, "traces agree")


def between_powers(setting: Setting) -> Answer:
    """d^k < n < d^{k+1} in every run."""
    above = [math.log(r["n"]) / math.log(r["d"]) - r["k"] for r in setting.runs]
    ends = f"n = d^(k + {min(above):.2f}) to d^(k + {max(above):.2f})"
    return answer(0 < min(above) and max(above) < 1, ends)


def no_parallel_weights(setting: Setting) -> Answer:
    """|w_r·w_s| < 1 for r ≠ s, in a fresh draw."""
    worst = 0.0
    for run in setting.runs:
        d, m = (int(min(sizes([run], name))) for name in ("d", "m"))
        w = draw_weights(m, d, _seeded(6), dtype=F64)
        if run.get("repeated"):  # a control's
            w[1] = w[0]
        worst = max(worst, float((w @ w.T).fill_diagonal_(0).abs().max()))
    return answer(worst < 1 - 1e-9, f"|c| at most {worst:.2f}")


# ---------------------------------------------------------------- what the records measured


def at_most(value: Callable[[Record], float], most: float, words: str) -> Check:
    """A value of every record is at most ``most``."""

    def check(setting: Setting) -> Answer:
        worst = max(value(record) for record in setting.records)
        return answer(worst <= most, f"{words} at most {worst:.2g}, where {most:g} was allowed")

    return check


def no_growth(folder: str, key: str, most: float = 1.5) -> Check:
    """The mean of a summary value grows by at most this factor from least to largest width."""

    def check(setting: Setting) -> Answer:
        by: dict[int, list[float]] = {}
        for record in setting.records:
            if record.experiment == folder:
                by.setdefault(record.config["m"], []).append(record.summary[key])
        first, last = (float(np.mean(by[m])) for m in (min(by), max(by)))
        return answer(
            last <= most * first, f"{first:.3g} to {last:.3g}, m = {min(by)} to {max(by)}"
        )

    return check


def kept_small(terms: Callable[[Sequence[Record]], Sequence[tuple]], place: int) -> Check:
    """Number ``place`` of some measured terms (words, value, limit) is at most its limit."""

    def check(setting: Setting) -> Answer:
        _, value, most = terms(setting.records)[place]
        return answer(value <= most, f"{value:.2g}, where {most:g} was allowed")

    return check


def of_records(change: Callable[[Record], Record]) -> Change:
    """Every record changed: the control of a check that reads them."""
    return lambda s: Setting(s.runs, tuple(change(record) for record in s.records))


def two_dimensions(setting: Setting) -> Setting:
    """The same runs at one more d, as a control of :func:`one_value`."""
    return Setting((*setting.runs, {**setting.runs[0], "d": 10}), setting.records)


def listed_penalties(right: Callable[[Sequence[float]], bool]) -> Check:
    """λ_1…λ_4 of every run that lists them are as ``right`` says."""

    def check(setting: Setting) -> Answer:
        lists = {tuple(run["penalties"]) for run in setting.runs if "penalties" in run}
        words = "; ".join(", ".join(f"{x:g}" for x in values) for values in sorted(lists))
        return answer(bool(lists) and all(map(right, lists)), f"λ = {words}")

    return check


def never_above_its_start(setting: Setting) -> Answer:
    """L_λ over time exceeds its first value in no record."""
    worst = max(float(r.arrays["value"].max() / r.arrays["value"][0]) for r in setting.records)
    return answer(worst <= 1 + 1e-12, f"at most {worst:.3g} of it")


def trained_projector(setting: Setting) -> Answer:
    """The projector of the runs is that of their training set."""
    ok = all("TrainingProjector" in run["tools"] for run in setting.runs)
    return answer(ok, "TrainingProjector" if ok else "another projector")


def one_neuron_of_each_pair(setting: Setting) -> Answer:
    """The runs' W_Q is the construction's, in which one neuron of each pair rests."""
    if not all("represent_power" in run["tools"] for run in setting.runs):
        return answer(False, "another W_Q")
    w, beta = draw_weights(NEURONS, 5, _seeded(11), dtype=F64), torch.eye(5, dtype=F64)[0]
    run = next(iter(setting.runs))
    rows = represent_power(w, act_of(run), beta, 3).movement().norm(dim=1).view(2, -1)
    return answer(bool((rows.min(0).values == 0).all()), f"{NEURONS // 2} pairs drawn")


def one_value(name: str) -> Check:
    """The runs share one value of a size."""

    def check(setting: Setting) -> Answer:
        values = sizes(setting.runs, name)
        return answer(len(values) == 1, f"{name} = {', '.join(f'{v:g}' for v in values)}")

    return check


# ---------------------------------------------------------------- single statements


def movement_scale(setting: Setting) -> Answer:
    """max_r |u_r| m^{1/4} of the explicit movement does not depend on the width."""
    tops = []
    for run in setting.runs:
        d = int(run["d"])
        for m in sizes([run], "widths"):
            w, beta = draw_weights(int(m), d, _seeded(7), dtype=F64), torch.eye(d, dtype=F64)[0]
            made = represent_power(w, act_of(run), beta, 2)
            tops.append(float(made.lengths.max()) * m ** run.get("power", 0.25))
    return answer(max(tops) <= 1.1 * min(tops), f"{min(tops):.3g} to {max(tops):.3g}")


def overlapping_start(setting: Setting) -> Answer:
    """λ_min < 0 at W = 0 for f_Q alone, and a drawn W_0 has a part along its direction."""
    least, curved = math.inf, -math.inf
    for run in setting.runs:
        d, m, n = (int(run[name]) for name in ("d", "m", "n"))
        w, X = draw_weights(m, d, _seeded(8), dtype=F64), _draw({}, n, d)
        part = sparse_part(torch.eye(d, dtype=F64)[0], 2, "sphere")
        features = PairFeatures(X, w, act_of(run))
        risk = RegularizedRisk(features, part(X), model="quadratic")
        found = lowest_curvature(risk, features.zero_state(), tolerance=1e-6)
        start = torch.randn(found.direction.shape, generator=_seeded(9), dtype=F64)
        along = float((start * found.direction).sum())
        if run.get("start") == "orthogonal":  # a control's
            start -= along * found.direction
            along = float((start * found.direction).sum())
        least = min(least, abs(along) / float(start.norm()))
        curved = max(curved, found.eigenvalue)
    return answer(curved < 0 and least > 1e-6, f"cosine {least:.1e}, λ_min = {curved:.2g}")


def dense_plus_sparse(setting: Setting) -> Answer:
    """The target is a part of degree ≤ k and a harmonic of degree k + 1 in one direction."""
    ok, seen = True, set()
    for run in setting.runs:
        k, d = int(run["k"]), int(min(sizes([run], "d", "dims")))
        low, high = draw_target(k, d, _seeded(10), F64).parts
        top = high.degree + run.get("extra_degree", 0)  # a control's
        ok &= low.degree <= k and top == k + 1 and len(high.directions) == 1
        seen.add(f"{low.degree} and {top}")
    return answer(ok, f"degrees {', '.join(sorted(seen))}; one direction")


def radii_in_advance(setting: Setting) -> Answer:
    """The radii of the bound come from a fixed grid: powers of 2^{1/GRID}, the next above."""
    worst, above = 0.0, True
    for norm in np.geomspace(1e-2, 1e2, 41):
        own = norm if any(run.get("radii") == "fitted" for run in setting.runs) else radius(norm)
        power = math.log2(own) * GRID
        worst, above = max(worst, abs(power - round(power))), above and own >= norm
    return answer(above and worst < 1e-9, f"powers of 2^(1/{GRID})")
