"""Second-order information: exact Hessian–vector products of the risk, and its lowest curvature.

f_L + f_Q is bilinear plus linear in (s, t), so that products with ∇²L_λ need no differentiation:
four evaluations of the features each.  No Hessian is formed.  With them: descent that leaves
saddles, a certificate of flatness, and the random-sign identity that says how high a second-order
stationary point can lie.
Source: [D]; Lanczos and perturbed descent [L].
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from escape_ntk import checks
from escape_ntk.models.pairs import STEP_FACTOR
from escape_ntk.numerics.lanczos import NoConvergenceError, extreme_eigenpairs
from escape_ntk.risk.regularizer import RegularizedRisk, low_degree_size, norm_2_4_to_the_4
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.run import UNSAVED, Run
from escape_ntk.training.trajectory import Outcome


def hessian_vector(
    risk: RegularizedRisk, state: Float[Tensor, "2 p d"], v: Float[Tensor, "2 p d"]
) -> Float[Tensor, "2 p d"]:
    """∇²_{(s,t)} L_λ(state) v, exactly.

    With predictions f, residuals χ and Jacobian J: (2/n)[Jᵀ(Jv) + Σ_i χ_i ∇²f_i v] + penalties.
    f_Q is bilinear, so its part of Jv is f_Q(state + v) − f_Q(state) − f_Q(v), and Σ_i χ_i ∇²f_i v
    is the gradient of Σ_i χ_i f_Q(x_i) at v.  Features that are not bilinear, those of the network
    itself, raise :class:`~escape_ntk.checks.InputError`.  [D]
    """
    features, p, n = risk.features, risk.penalties, len(risk.features)
    _check_bilinear(risk)
    features.check_state(state)
    features.check_state(v)
    linear_v, quadratic_v, pullback = features.terms_and_pullback(v)
    linear, quadratic = features.terms(state)
    residual = risk.prediction(linear, quadratic) - risk.y
    zero = torch.zeros_like(residual)
    curved = risk.model != "linear"
    out = pullback(zero, 2 / n * residual if curved else zero)
    _, together = features.terms(state + v)
    along = risk.prediction(linear_v, together - quadratic - quadratic_v)
    _, _, pullback = features.terms_and_pullback(state)
    slope = 2 / n * along
    pull_linear = zero if risk.model == "quadratic" else slope
    if p.empirical:
        pull_linear = pull_linear + 2 * p.empirical / n * risk.projector.high_outputs(linear_v)
    out += pullback(pull_linear, slope if curved else zero)
    if p.population:
        _, leak = risk.population.value_and_gradient(risk.projector.high(v[1]))
        out[1].add_(risk.projector.high(leak), alpha=p.population)
    if p.low_degree:
        out[1].add_(low_degree_size(risk.projector, v[1])[1], alpha=p.low_degree)
    if p.norm:
        out.add_(_norm_hessian(state, v), alpha=p.norm)
    return out


def _check_bilinear(risk: RegularizedRisk) -> None:
    """Refuse the network itself: these formulas are for its Taylor model."""
    remedy = "problem.risk(penalties), or RegularizedRisk(features, y)"
    checks.instance("risk", risk, RegularizedRisk, remedy)
    if not risk.features.bilinear:
        raise checks.InputError(
            checks.message(
                expected="a risk over PairFeatures (f_L + f_Q)",
                got=f"one over {type(risk.features).__name__}",
                remedy="use PairFeatures, or torch.func for the network's own curvature",
            )
        )


def _norm_hessian(state: Tensor, v: Tensor) -> Tensor:
    """∇²(N²) v = 2N ∇²N v + 2(∇N·v)∇N for N = ‖W‖_{2,4}^4, in (s, t)."""
    size, slope = norm_2_4_to_the_4(state)
    curvature = []
    for sign in (1.0, -1.0):
        w, dw = (state[0] + sign * state[1]) / 2, (v[0] + sign * v[1]) / 2
        inner = (w * dw).sum(1, keepdim=True)
        curvature.append(2 * (w.square().sum(1, keepdim=True) * dw + 2 * inner * w))
    turned = torch.stack([curvature[0] + curvature[1], curvature[0] - curvature[1]])
    return 2 * size * turned + 2 * (slope * v).sum() * slope


@dataclass(frozen=True, repr=False, eq=False)
class Curvature:
    """The lowest eigenvalue of ∇²_W L_λ in the coordinates of all weights, with its direction.

    ``residual`` = ‖∇²L v − λ_min v‖ for the unit direction v, (2, p, d) in pair coordinates.  [D]
    """

    eigenvalue: float
    direction: Tensor
    residual: float
    n_products: int

    def __repr__(self) -> str:
        accuracy = f"residual {self.residual:.2g}, {self.n_products} products"
        return f"Curvature: eigenvalue {self.eigenvalue:.4g}, {accuracy}"


def lowest_curvature(
    risk: RegularizedRisk,
    state: Float[Tensor, "2 p d"],
    *,
    scale: float = 0.0,
    tolerance: float = 1e-3,
    max_products: int = 2000,
    seed: int = 0,
) -> Curvature:
    """λ_min(∇²_W L_λ) at ``state`` by Lanczos (ARPACK) on exact Hessian–vector products.

    Eigenvalues in all weights are twice those in (s, t).  [D]

    Arguments:

    * ``risk``: over :class:`~escape_ntk.models.pairs.PairFeatures`;
    * ``state``: (s, t) of shape (2, p, d);
    * ``scale``: ≥ 0; give one where λ_min is close to 0, as it is where training has ended;
    * ``tolerance``: relative to |λ_min| + ``scale``;
    * ``max_products``: Hessian–vector products, ≥ 20;
    * ``seed``: of the vector that Lanczos starts from.

    Returns a :class:`Curvature`: ``eigenvalue``, ``direction`` (2, p, d), ``residual``,
    ``n_products``.

    Errors: :class:`~escape_ntk.checks.InputError` when ``max_products`` are not enough, and for the
    network itself in place of its Taylor model.

    Example:

    >>> from escape_ntk.risk.problem import dense_plus_sparse_problem
    >>> p = dense_plus_sparse_problem(d=5, n=30, m=40)
    >>> lowest = lowest_curvature(p.risk(), p.zero_state())  # W = 0 is a saddle
    >>> lowest.eigenvalue < 0, lowest.direction.shape
    (True, torch.Size([2, 20, 5]))
    """
    _check_bilinear(risk)
    checks.seed(seed)
    risk.features.check_state(state)
    shift = checks.number("scale", scale, least=0) / STEP_FACTOR
    checks.number("tolerance", tolerance, least=0, strict=True)
    checks.integer("max_products", max_products, least=20)
    calls = 0

    def product(v: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return hessian_vector(risk, state, v)

    basis = min(state.numel() - 1, 20)
    try:
        values, vectors = extreme_eigenpairs(
            lambda v: product(v) - shift * v,
            state,
            count=1,
            largest=False,
            tolerance=tolerance,
            seed=seed,
            basis=basis,
            max_restarts=max(1, 2 * max_products // basis - 1),  # each costs half the basis
        )
    except NoConvergenceError as error:
        raise checks.InputError(
            checks.message(
                expected=f"an eigenvalue to {tolerance:g} within {max_products} products",
                got=f"none after {calls}",
                remedy="raise max_products or tolerance, or give a scale",
            )
        ) from error
    value, direction = float(values[0]) + shift, vectors[0].to(state)
    gap = float((product(direction) - value * direction).norm())
    return Curvature(STEP_FACTOR * value, direction, STEP_FACTOR * gap, calls)


FLOOR_BLOCK = 2**22
"""Numbers that :func:`curvature_floor` holds at a time, or n·d if that is more."""


def curvature_floor(risk: RegularizedRisk, state: Float[Tensor, "2 p d"]) -> float:
    """A lower bound on λ_min(∇²_W L_λ) in all weights: −2m^{−1/2} max_r ‖M_r‖, never positive.

    M_r = (1/n) Σ_i (f − y)_i σ''(w_r·x_i) x_i x_iᵀ.  The Hessian of the loss is (2/n)JᵀJ plus a
    block ±2m^{−1/2}M_r for each neuron, and every R_j is convex: the rest is positive semidefinite,
    whatever the penalties.  Equality for f_Q alone at W = 0 without penalties.  Model "linear" has
    no second term: 0.  Costs p eigenproblems d × d, in blocks of at most FLOOR_BLOCK numbers.  [D]
    Refuses the network itself, as :func:`hessian_vector` does, with an ``InputError``.
    """
    _check_bilinear(risk)
    features = risk.features
    linear, quadratic = features.terms(features.check_state(state))
    if risk.model == "linear":
        return 0.0
    X, (n, d) = features.X, features.X.shape
    residual = risk.prediction(linear, quadratic) - risk.y
    block = max(1, FLOOR_BLOCK // (n * d))
    largest = 0.0
    for weight in (features.second * residual[:, None]).T.split(block):  # M_r n/(2√m)
        M = (weight[:, None, :] * X.T) @ X  # (block, d, d)
        largest = max(largest, float(torch.linalg.eigvalsh(M.double()).abs().max()))
    return -2 * STEP_FACTOR * largest / n


def gradient_norm(risk: RegularizedRisk, state: Float[Tensor, "2 p d"]) -> float:
    """‖∇_W L_λ‖_F in the coordinates of all weights: √2 times that in (s, t)."""
    return math.sqrt(STEP_FACTOR) * float(risk.value_and_gradient(state)[1].norm())


@dataclass(frozen=True, repr=False, eq=False)
class StationaryPoint:
    """Where :func:`perturbed_descent` ended; ``reached``: both tolerances hold there."""

    state: Tensor
    value: float
    gradient: float
    curvature: Curvature
    rounds: int
    perturbations: int
    reached: bool

    def __repr__(self) -> str:
        ended = "reached" if self.reached else "not reached"
        least = f"lowest curvature {self.curvature.eigenvalue:.2g}"
        work = f"{self.rounds} rounds, {self.perturbations} perturbations"
        return (
            f"StationaryPoint: {ended}, L = {self.value:.4g}, gradient {self.gradient:.2g}, "
            f"{least}, {work}"
        )


def perturbed_descent(
    risk: RegularizedRisk,
    state: Float[Tensor, "2 p d"],
    *,
    radius: float,
    gradient_tolerance: float,
    curvature_tolerance: float,
    round_time: float,
    max_rounds: int = 50,
    seed: int = 0,
    run: Run = UNSAVED,
) -> StationaryPoint:
    """Descent to ‖∇_W L_λ‖ ≤ gradient_tolerance and λ_min(∇²_W L_λ) ≥ −curvature_tolerance.

    Rounds of gradient flow.  Where the gradient is small and the curvature is not, a normal
    perturbation is added.  [L] Jin et al. (2017), with flow for descent.

    Arguments:

    * ``risk``: over :class:`~escape_ntk.models.pairs.PairFeatures`;
    * ``state``: where it starts, (s, t) of shape (2, p, d);
    * ``radius``: ‖W‖_F of a perturbation;
    * ``gradient_tolerance``, ``curvature_tolerance``: what is to be reached;
    * ``round_time``: length of a round;
    * ``max_rounds``: after these, or when the flow breaks down, ``reached`` is False;
    * ``seed``: of the perturbations;
    * ``run``: where to save, for a computation that may be killed.

    Returns a :class:`StationaryPoint`.

    Errors: :class:`~escape_ntk.checks.InputError` for numbers that are not positive, and for the
    network itself in place of its Taylor model.

    Example:

    >>> from escape_ntk.risk.problem import dense_plus_sparse_problem
    >>> p = dense_plus_sparse_problem(d=5, n=30, m=40)
    >>> found = perturbed_descent(p.risk(), p.zero_state(), radius=0.1, gradient_tolerance=0.1,
    ...     curvature_tolerance=0.1, round_time=100.0, max_rounds=20)
    >>> found.gradient <= 0.1 and found.curvature.eigenvalue >= -0.1
    True
    """
    _check_bilinear(risk)
    checks.seed(seed)
    checks.instance("run", run, Run, "escape_ntk.training.run.Run(saves), or none")
    for name, number in (
        ("radius", radius),
        ("gradient_tolerance", gradient_tolerance),
        ("curvature_tolerance", curvature_tolerance),
        ("round_time", round_time),
    ):
        checks.number(name, number, least=0, strict=True)
    generator, run = torch.Generator().manual_seed(seed), run.part()
    perturbations, reached = 0, False
    rounds = checks.integer("max_rounds", max_rounds, least=1)
    for count in range(1, rounds + 1):
        trained = gradient_flow(
            risk, state, t_end=round_time, record_at=[round_time], observe=lambda state: {}, run=run
        )
        state, rounds = trained.state, count
        if trained.outcome != Outcome.REACHED_END:
            break
        if gradient_norm(risk, state) > gradient_tolerance:
            continue
        lowest = lowest_curvature(risk, state, scale=curvature_tolerance, tolerance=0.1)
        if reached := lowest.eigenvalue >= -curvature_tolerance:
            break
        noise = torch.randn(state.shape, generator=generator, dtype=torch.float64).to(state)
        state = state + noise * (radius * math.sqrt(2) / float(noise.norm()))
        perturbations += 1
    return StationaryPoint(
        state,
        risk.value_and_gradient(state)[0].total(risk.penalties),
        gradient_norm(risk, state),
        lowest_curvature(risk, state, scale=curvature_tolerance, tolerance=0.1),
        rounds,
        perturbations,
        reached,
    )


@dataclass(frozen=True)
class RandomSignBalance:
    """The parts of L_λ(W) in the random-sign identity, against a comparison W* = W_L + S W_Q.

    L_λ(W) = comparison + first_order + coupling + cross − curvature − distance
    + norm + norm_curvature + norm_slope, exactly, with
    comparison = L(f*) + Q(t_L) + E_S Q(S t_Q) for f* = f_L(·; W_L) + f_Q(·; W_Q);
    first_order = ⟨∇_t L_λ, t − t_L⟩;  coupling = (2/n) Σ_i χ_i f_Q(x_i; s, t_L);
    cross = (1/n) Σ_i E_S (J_i S W_Q)²;  curvature = ½ E_S (S W_Q)ᵀ∇²L_λ(W)(S W_Q);
    distance = Q(t − t_L) + (1/n) Σ_i (f − f*)(x_i)² ≥ 0;
    norm = λ_4R_4;  norm_curvature = ½λ_4 E_S (S W_Q)ᵀ∇²R_4(W)(S W_Q);
    norm_slope = λ_4⟨∇_t R_4, t_L − t⟩.  The last three are 0 for λ_4 = 0.
    J_i is the gradient of f_L + f_Q at x_i, χ = f − y, Q = λ_1R_1 + λ_2R_2 + λ_3R_3, S one fair
    sign a pair.  Source: [D].
    """

    value: float
    comparison: float
    first_order: float
    coupling: float
    cross: float
    curvature: float
    distance: float
    norm: float = 0.0
    norm_curvature: float = 0.0
    norm_slope: float = 0.0

    def bound(self, lowest: float, size: float) -> float:
        """Everything but distance and curvature, + ½|λ_min|‖W_Q‖_F²: at least L_λ(W).

        ``lowest`` = min(λ_min(∇²_W L_λ(W)), 0), ``size`` = ‖W_Q‖_F².
        """
        return (
            self.comparison
            + self.first_order
            + self.coupling
            + self.cross
            + self.norm
            + self.norm_curvature
            + self.norm_slope
            - min(lowest, 0.0) * size / 2
        )


def random_sign_balance(
    risk: RegularizedRisk,
    state: Float[Tensor, "2 p d"],
    t_linear: Float[Tensor, "p d"],
    quadratic: Float[Tensor, "2 p d"],
) -> RandomSignBalance:
    """Every part of :class:`RandomSignBalance` at ``state``; W_L = (0, ``t_linear``) in (s, t).

    Needs the joint model, else :class:`~escape_ntk.checks.InputError`; any λ_1…λ_4.  Memory O(n p);
    with λ_1 > 0 it asks for R_1 once a pair.  Source: [D], after the landscape argument of Bai and
    Lee [L].
    """
    parts = _Parts(risk, state, t_linear, quadratic)
    return RandomSignBalance(
        value=parts.value.total(risk.penalties),
        comparison=parts.missed + _penalty(risk, t_linear, t_linear) + parts.mean_penalty,
        first_order=float((parts.gradient[1] * (state[1] - t_linear)).sum()),
        coupling=parts.coupling(t_linear),
        cross=parts.cross,
        curvature=parts.curvature,
        distance=_penalty(risk, state[1] - t_linear, state[1] - t_linear) + parts.apart,
        norm=risk.penalties.norm * parts.value.norm,
        norm_curvature=parts.norm_curvature,
        norm_slope=parts.norm_slope(t_linear - state[1]),
    )


@dataclass(frozen=True)
class StationaryBalance:
    """What the conditions of a flat stationary point add up to, against W* = W_L + S W_Q.

    With F the mean square of the residual χ and t_0 = t_L − ½P_{≤k}t, exactly,
    F + λ_1R_1 + λ_2R_2 + 2λ_3R_3 + 4λ_4R_4 = missed + mean_penalty + inner + leak + first_order
    + coupling + cross − curvature + norm_curvature + norm_slope − distance, with
    missed = L(f*);  mean_penalty = E_S Q(S t_Q);  inner = 2Q(t, t_L), Q as a bilinear form;
    leak = (1/n) Σ_i χ_i f_L(x_i; P_{>k}t);  first_order = ½⟨∇_W L_λ, W⟩ − ⟨∇_t L_λ, t_0⟩;
    coupling = (2/n) Σ_i χ_i f_Q(x_i; s, t_0);  norm_slope = λ_4⟨∇_t R_4, t_0⟩;
    distance = (1/n) Σ_i (f − f*)(x_i)²; the others as in :class:`RandomSignBalance`.  ``value`` is
    the left side.  Beside R_4 stands 4, so that its curvature can be absorbed.  Source: [D].
    """

    value: float
    missed: float
    mean_penalty: float
    inner: float
    leak: float
    first_order: float
    coupling: float
    cross: float
    curvature: float
    norm_curvature: float
    norm_slope: float
    distance: float


def stationary_balance(
    risk: RegularizedRisk,
    state: Float[Tensor, "2 p d"],
    t_linear: Float[Tensor, "p d"],
    quadratic: Float[Tensor, "2 p d"],
) -> StationaryBalance:
    """Every part of :class:`StationaryBalance` at ``state``; W_L = (0, ``t_linear``) in (s, t).

    Needs the joint model and a projector, else :class:`~escape_ntk.checks.InputError`; any
    λ_1…λ_4.  Costs as :func:`random_sign_balance`.  Source: [D].
    """
    parts, p = _Parts(risk, state, t_linear, quadratic), risk.penalties
    t = state[1]
    low = risk.projector.low(t)
    tau = t_linear - low / 2
    r_3 = p.low_degree * parts.value.low_degree
    r_4 = p.norm * parts.value.norm
    return StationaryBalance(
        value=parts.value.total(p) + r_3 + 3 * r_4,
        missed=parts.missed,
        mean_penalty=parts.mean_penalty,
        inner=2 * _penalty(risk, t, t_linear),
        leak=float((parts.residual * risk.features.linear(t - low)).mean()),
        first_order=float((parts.gradient * state).sum()) / 2
        - float((parts.gradient[1] * tau).sum()),
        coupling=parts.coupling(tau),
        cross=parts.cross,
        curvature=parts.curvature,
        norm_curvature=parts.norm_curvature,
        norm_slope=parts.norm_slope(tau),
        distance=parts.apart,
    )


class _Parts:
    """What both balances are made of, computed once."""

    def __init__(
        self, risk: RegularizedRisk, state: Tensor, t_linear: Tensor, quadratic: Tensor
    ) -> None:
        _check_bilinear(risk)
        if risk.model != "joint":
            raise checks.InputError(
                checks.message(
                    expected='model="joint"',
                    got=f"model={risk.model!r}",
                    remedy="problem.risk(penalties): the identity is for f_L + f_Q",
                )
            )
        features, n = risk.features, len(risk.features)
        features.check_state(state)
        checks.array("quadratic", quadratic, tuple(state.shape), like=state)
        checks.array("t_linear", t_linear, tuple(state[1].shape), like=state)
        self.risk, self.state = risk, state
        self.value, self.gradient = risk.value_and_gradient(state)
        f = sum(features.terms(state))
        second = features.terms(quadratic)[1]
        f_star = features.linear(t_linear) + second
        self.residual = f - risk.y
        self.missed = float((f_star - risk.y).square().mean())
        self.apart = float((f - f_star).square().mean())
        at_x = {
            name: features.X @ v.T for name, v in zip("stab", (*state, *quadratic), strict=True)
        }
        leaks = features.first * at_x["b"]  # f_L of each pair of W_Q
        slope = leaks + features.second * (at_x["s"] * at_x["b"] + at_x["a"] * at_x["t"])
        self.cross = float(slope.square().sum() / n)
        self.mean_penalty = _mean_penalty(risk, leaks, quadratic[1])
        self.norm_curvature = risk.penalties.norm * _mean_norm_curvature(state, quadratic)
        along = float(2 / n * (self.residual @ second))
        self.curvature = self.cross + along + self.mean_penalty + self.norm_curvature

    def coupling(self, t: Tensor) -> float:
        """(2/n) Σ_i χ_i f_Q(x_i; s, t)."""
        mixed = self.risk.features.terms(torch.stack([self.state[0], t]))[1]
        return float(2 * (self.residual * mixed).mean())

    def norm_slope(self, t: Tensor) -> float:
        """λ_4⟨∇_t R_4, t⟩."""
        size, slope = norm_2_4_to_the_4(self.state)
        return 2 * self.risk.penalties.norm * float(size * (slope[1] * t).sum())


def _mean_norm_curvature(state: Tensor, quadratic: Tensor) -> float:
    """½ E_S (S W_Q)ᵀ∇²R_4(W)(S W_Q), R_4 = N²: E_S(∇N·S W_Q)² + N W_Qᵀ∇²N W_Q."""
    size, slope = norm_2_4_to_the_4(state)
    along = (slope * quadratic).sum((0, 2)).square().sum()
    bent = torch.zeros_like(size)
    for sign in (1.0, -1.0):
        u, v = (state[0] + sign * state[1]) / 2, (quadratic[0] + sign * quadratic[1]) / 2
        inner = (u * v).sum(1).square().sum()
        bent += 4 * (u.square().sum(1) @ v.square().sum(1)) + 8 * inner
    return float(along + size * bent)


def mean_curvature(
    risk: RegularizedRisk, state: Float[Tensor, "2 p d"], quadratic: Float[Tensor, "2 p d"]
) -> float:
    """½ E_S (S W_Q)ᵀ∇²L_λ(W)(S W_Q) from Hessian–vector products alone, exactly; any penalties.

    The columns of a Hadamard matrix are orthogonal: the mean of S_rS_q over its rows is that over
    all signs.  It has fewer than 2p rows, and each costs one product: for small p, as the second
    route to the ``curvature`` of :func:`random_sign_balance`.  [D]
    """
    from scipy.linalg import hadamard  # slow to import

    risk.features.check_state(quadratic)
    pairs = quadratic.shape[1]
    order = 1 << (pairs - 1).bit_length()
    signs = torch.from_numpy(hadamard(order)[:, :pairs]).to(quadratic)
    moves = (row[None, :, None] * quadratic for row in signs)
    return sum(float((v * hessian_vector(risk, state, v)).sum()) for v in moves) / (2 * order)


def _penalty(risk: RegularizedRisk, t: Tensor, other: Tensor) -> float:
    """Q(t, other) of Q = λ_1R_1 + λ_2R_2 + λ_3R_3 as a bilinear form."""
    p, total = risk.penalties, 0.0
    if p.population:
        _, slope = risk.population.value_and_gradient(risk.projector.high(t))
        total += p.population / 2 * float((slope * risk.projector.high(other)).sum())
    if p.empirical:
        own, its = (risk.projector.high_outputs(risk.features.linear(x)) for x in (t, other))
        total += p.empirical * float((own * its).mean())
    if p.low_degree:
        total += p.low_degree / 2 * float((risk.projector.low(t) * other).sum())
    return total


def _mean_penalty(
    risk: RegularizedRisk, outputs: Float[Tensor, "n p"], t: Float[Tensor, "p d"]
) -> float:
    """E_S Q(S t) from the outputs f_L of each pair: the sum of Q over pairs alone."""
    p, total = risk.penalties, 0.0
    if p.empirical:
        total += p.empirical * sum(
            float(risk.projector.high_outputs(f).square().mean()) for f in outputs.T
        )
    if p.low_degree:
        total += (
            p.low_degree
            / 2
            * sum(float(f @ risk.projector.dual_coefficients(f)) for f in outputs.T)
        )
    if p.population:
        alone = torch.zeros_like(t)
        for r in range(len(t)):
            alone[r] = t[r]
            leak = risk.population.value_and_gradient(risk.projector.high(alone))[0]
            total += p.population * float(leak)
            alone[r] = 0
    return total
