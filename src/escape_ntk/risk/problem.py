"""A problem: a target, the inputs it is seen at, a network, and all that is measured of a movement.

A :class:`Problem` receives what was drawn, in whatever order a chapter draws it.  Its measurements
have one name each in the whole book: ``R_1``, ``R_2``, ``R_3`` and ``norm_2_4`` = ‖W‖_{2,4} with
R_4 = ‖W‖_{2,4}^8.  Source: [A][C][R], as in :mod:`~escape_ntk.risk.regularizer`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from escape_ntk import checks
from escape_ntk.models.data import SPHERE_TOLERANCE, Target, draw_inputs, draw_target
from escape_ntk.models.network import Activation, ActivationLike, draw_weights
from escape_ntk.models.network import activation as as_activation
from escape_ntk.models.pairs import PairFeatures, from_pairs
from escape_ntk.numerics.polynomials import cumulative_multiplicity
from escape_ntk.risk.leaks import GaussianLeak, SphereLeak
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.risk.regularizer import (
    Penalties,
    RegularizedRisk,
    as_penalties,
    low_degree_size,
    norm_2_4_to_the_4,
)

CLOSED_FORMS = {"gaussian": GaussianLeak, "sphere": SphereLeak}
"""R_1 by the law of the inputs."""


def mean_square(f: Tensor) -> float:
    """(1/n) Σ_i f_i²."""
    return float(f.square().mean())


@dataclass(frozen=True, repr=False, init=False, eq=False)
class Problem:
    """A target, inputs, a network, and what is measured of a movement.  [A]

    What is built from these is built when it is asked for, once: ``features``, ``test``,
    ``projector``, ``leak``, ``y``.  ``activation`` is an Activation, whatever it was made from.

    Arguments:

    * ``target``: f*, a :class:`~escape_ntk.models.data.Target`;
    * ``weights``: frozen weights w (p, d), for m = 2p neurons;
    * ``activation``: a name, a function such as ``torch.tanh``, or an Activation;
    * ``X``, ``fresh``: inputs to train on (n, d), and to measure errors on (n', d);
    * ``n_k``: directions that P_{≤k} keeps, ≤ n;
    * ``law``: of the inputs, ``"sphere"`` or ``"gaussian"``, that of the target: R_1 is over it;
    * ``labels``: what is fitted, (n,): f*(X) with noise, or any other function at X, while errors
      are still measured against the target; None: f*(X);
    * ``kind``: :class:`~escape_ntk.models.pairs.PairFeatures` for f_L + f_Q,
      :class:`~escape_ntk.models.pairs.NetworkFeatures` for the network itself;
    * ``chunk``: rows of the fresh inputs that are evaluated at a time; None: as many as fit well.

    Errors: :class:`~escape_ntk.checks.ShapeError` for arrays of several dimensions, dtypes or
    devices, :class:`~escape_ntk.checks.RankError` for n_k > n,
    :class:`~escape_ntk.checks.InputError` for what else does not fit.

    Example, a target of one's own on the sphere:

    >>> from escape_ntk.models.data import RidgeSum
    >>> g = torch.Generator().manual_seed(0)
    >>> cubic = Target((RidgeSum(torch.eye(5)[:1], torch.ones(1), 3, "sphere"),))
    >>> X, fresh = draw_inputs(30, 5, "sphere", g), draw_inputs(50, 5, "sphere", g)
    >>> problem = Problem(cubic, draw_weights(40, 5, g), torch.tanh, X, fresh, n_k=6)
    >>> problem  # doctest: +ELLIPSIS
    Problem: degree 3 (1 direction); n = 30, d = 5, m = 40, n_k = 6, tanh, ...
    >>> sorted(problem.measure(problem.zero_state()))
    ['R_2', 'linear_0', 'norm_2_4', 'quadratic_0', 'test', 'train']
    """

    target: Target
    weights: Tensor
    activation: Activation
    X: Tensor
    fresh: Tensor
    n_k: int
    law: str = "sphere"
    labels: Tensor | None = None
    kind: type[PairFeatures] = PairFeatures
    chunk: int | None = None

    def __init__(
        self,
        target: Target,
        weights: Tensor,
        activation: ActivationLike,
        X: Tensor,
        fresh: Tensor,
        n_k: int,
        law: str = "sphere",
        labels: Tensor | None = None,
        kind: type[PairFeatures] = PairFeatures,
        chunk: int | None = None,
    ):
        checks.instance("target", target, Target, "Target((RidgeSum(…), …)), or draw_target(…)")
        checks.array("weights", weights, (None, target.dim), like=target.parts[0].directions)
        checks.array("X", X, (None, target.dim), like=weights)
        checks.array("fresh", fresh, (None, target.dim), like=weights)
        if labels is not None:
            checks.array("labels", labels, (len(X),), like=weights)
        tensors = {"weights": weights, "X": X, "fresh": fresh, "labels": labels}
        for name, tensor in tensors.items():
            if tensor is not None:
                checks.without_gradient(name, tensor)
        checks.one_of("law", law, tuple(CLOSED_FORMS))
        _check_law(law, target, {"X": X, "fresh": fresh})
        given = {
            "target": target,
            "weights": weights,
            "activation": as_activation(activation),
            "X": X,
            "fresh": fresh,
            "n_k": _kept(n_k, len(X)),
            "law": law,
            "labels": labels,
            "kind": _features(kind),
            "chunk": None if chunk is None else checks.integer("chunk", chunk, least=1),
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)

    # ------------------------------------------------------------ what is built

    @cached_property
    def features(self) -> PairFeatures:
        """At the training inputs."""
        return self.kind(self.X, self.weights, self.activation)

    @cached_property
    def test(self) -> PairFeatures:
        """At the fresh inputs."""
        return self.kind(self.fresh, self.weights, self.activation, chunk=self.chunk)

    @cached_property
    def projector(self) -> TrainingProjector:
        """P_{≤k} of the training set: ``n_k`` directions.  [A][C]"""
        return TrainingProjector(self.features, self.n_k)

    @cached_property
    def leak(self) -> GaussianLeak | SphereLeak:
        """E f_L² over the law of the inputs, in closed form."""
        return CLOSED_FORMS[self.law](self.weights, self.activation)

    @cached_property
    def y(self) -> Tensor:
        """What is fitted, (n,)."""
        return self.target(self.X) if self.labels is None else self.labels

    def zero_state(self) -> Tensor:
        """W = 0 in pair coordinates, (2, p, d)."""
        return self.features.zero_state()

    def risk(self, penalties: Penalties | None = None, *, model: str = "joint") -> RegularizedRisk:
        """L_λ of f_L + f_Q, or of one of them alone (``model``), over the training set.

        The paper's risk: ``problem.risk(Penalties(empirical=10.0))``.
        """
        p = as_penalties(penalties)
        of_low_degrees = p.population or p.empirical or p.low_degree
        return RegularizedRisk(
            self.features,
            self.y,
            model=model,
            penalties=p,
            projector=self.projector if of_low_degrees else None,
            population=self.leak if p.population else None,
        )

    # ------------------------------------------------------------ what is measured

    def losses(self, state: Tensor) -> dict[str, float]:
        """Mean squares of f_L + f_Q − f* over the training and over the fresh inputs."""
        return self._losses(state, self.test.terms(state))

    def _losses(self, state: Tensor, terms: tuple[Tensor, Tensor]) -> dict[str, float]:
        train, test = sum(self.features.terms(state)), sum(terms)
        return {
            "train": mean_square(train - self.target(self.X)),
            "test": mean_square(test - self.target(self.fresh)),
        }

    def sizes(self, state: Tensor) -> dict[str, float]:
        """R_1 in closed form, R_2, R_3, ‖W‖_{2,4} and ‖W‖_F."""
        self.features.check_state(state)
        high, cheap = self.projector.high(state[1]), self._cheap_sizes(state)
        return {
            "R_1": float(self.leak.value_and_gradient(high)[0]),
            "R_2": cheap["R_2"],
            "R_3": float(low_degree_size(self.projector, state[1])[0]),
            "norm_2_4": cheap["norm_2_4"],
            "norm_F": float(from_pairs(state).norm()),
        }

    def _cheap_sizes(self, state: Tensor) -> dict[str, float]:
        """R_2 and ‖W‖_{2,4}: no more than the losses cost."""
        high = self.projector.high_outputs(self.features.linear(state[1]))
        norm = float(norm_2_4_to_the_4(state)[0]) ** 0.25
        return {"R_2": mean_square(high), "norm_2_4": norm}

    def shares(self, state: Tensor, names: Sequence[str] = ()) -> dict[str, float]:
        """E[f p_j]/E[p_j²] over fresh inputs for f_L, f_Q and each part p_j of f*: 1 is learned.

        ``linear_0``, ``quadratic_0``, …; with ``names`` for the parts, ``linear_dense`` and so on.
        Another number of names raises :class:`~escape_ntk.checks.InputError`.
        """
        given = checks.items("names", names, str, 'names=("dense", "sparse")')
        if given and len(given) != len(self.target.parts):
            raise checks.InputError(
                checks.message(
                    expected=f"a name for each of the {len(self.target.parts)} parts of the target",
                    got=checks.shown(names),
                    remedy='names=("dense", "sparse")',
                )
            )
        return self._shares(self.test.terms(state), given)

    def _shares(self, terms: tuple[Tensor, Tensor], names: Sequence[str] = ()) -> dict[str, float]:
        parts = self.target.part_values(self.fresh)
        return {
            f"{term}_{name}": float(f @ part / (part @ part))
            for term, f in zip(("linear", "quadratic"), terms, strict=True)
            for name, part in zip(names or range(len(parts)), parts, strict=True)
        }

    def measure(self, state: Tensor) -> dict[str, float]:
        """:meth:`losses`, :meth:`shares`, and of :meth:`sizes` R_2 and ‖W‖_{2,4}.

        What costs no more than the losses do: R_1 in closed form, O(p²d), is not among them.
        """
        terms = self.test.terms(state)
        return self._losses(state, terms) | self._shares(terms) | self._cheap_sizes(state)

    def __repr__(self) -> str:
        (n, d), m = self.X.shape, 2 * len(self.weights)
        sizes = f"n = {n}, d = {d}, m = {m}, n_k = {self.n_k}, {self.activation.name}"
        network = "" if self.kind is PairFeatures else f", {self.kind.__name__}"
        drawn = f"inputs {self.law}, {len(self.fresh)} fresh, {self.X.dtype}"
        return f"Problem: {self.target.summary}; {sizes}{network}, {drawn}"


def _check_law(law: str, target: Target, inputs: dict[str, Tensor]) -> None:
    """Refuse a target of another law, and inputs that cannot be of this one.

    The sphere has length √d; several Gaussian inputs have it all with probability 0.
    """
    own = target.parts[0].law  # that of all parts
    if own != law:
        raise checks.InputError(
            checks.message(
                expected=f'a target of the law of the inputs, "{law}"',
                got=f'parts with law="{own}"',
                remedy=f'law="{own}", or RidgeSum(…, law="{law}")',
            )
        )
    for name, X in inputs.items():
        off = (X.double().norm(dim=1) / X.shape[1] ** 0.5 - 1).abs()
        on_sphere = off <= SPHERE_TOLERANCE[X.dtype]
        if law == "sphere" and not bool(on_sphere.all()):
            raise checks.InputError(
                checks.message(
                    expected=f'{name} of length √d for law="sphere"',
                    got=f"|x|/√d off by up to {float(off.max()):.2g}",
                    remedy=f'draw_inputs(n, d, "sphere", generator), {name}·√d/|{name}| by row, '
                    'or law="gaussian"',
                )
            )
        if law == "gaussian" and len(X) > 1 and bool(on_sphere.all()):
            raise checks.InputError(
                checks.message(
                    expected=f'{name} of several lengths for law="gaussian"',
                    got=f"{len(X)} rows of length √d",
                    remedy='law="sphere"',
                )
            )


def _kept(n_k: int, n: int) -> int:
    """n_k if n inputs can span as many directions."""
    if checks.integer("n_k", n_k, least=0) > n:
        raise checks.RankError(
            checks.message(
                expected=f"n_k ≤ n = {n}: training inputs span no more directions",
                got=n_k,
                remedy="more training inputs, or a lower n_k (or k)",
            )
        )
    return int(n_k)


def _features(kind: type[PairFeatures]) -> type[PairFeatures]:
    """``kind`` if it is a class of features."""
    if not isinstance(kind, type) or not issubclass(kind, PairFeatures):
        raise checks.InputError(
            checks.message(
                expected="kind to be PairFeatures, or a class derived from it",
                got=checks.shown(kind),
                remedy="kind=PairFeatures, or kind=NetworkFeatures for the network itself",
            )
        )
    return kind


def dense_plus_sparse_problem(
    *,
    d: int,
    n: int,
    m: int,
    k: int = 1,
    n_k: int | None = None,
    n_fresh: int = 2000,
    activation: ActivationLike = "sigmoid(z-1)",
    label_noise: float = 0.0,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Problem:
    """Draw a problem of the paper's kind: a dense part of degree k, a sparse one of k + 1.  [A]

    f* = (dense + sparse)/√2 with E f*² = 1, inputs on the sphere S^{d−1}(√d), unit weights.

    Arguments:

    * ``d``, ``n``, ``m``: dimension, training inputs, neurons (even);
    * ``k``: degree of the dense part;
    * ``n_k``: directions that P_{≤k} keeps, ≤ n; None: as many as there are polynomials of
      degree ≤ k;
    * ``n_fresh``: inputs on which errors are measured;
    * ``activation``: a name, a function such as ``torch.tanh``, or an Activation;
    * ``label_noise``: standard deviation of normal noise on the labels;
    * ``seed``: of everything that is drawn: target, inputs, fresh inputs, weights, noise, in this
      order;
    * ``dtype``: of everything that is computed.

    Returns a :class:`Problem`.

    Errors: :class:`~escape_ntk.checks.InputError` for sizes that cannot be,
    :class:`~escape_ntk.checks.RankError` for fewer inputs than directions to keep.

    Example:

    >>> problem = dense_plus_sparse_problem(d=20, n=150, m=1000)
    >>> tuple(problem.X.shape), problem.n_k
    ((150, 20), 21)
    """
    seed = checks.seed(seed)
    n, n_fresh = checks.integer("n", n, least=1), checks.integer("n_fresh", n_fresh, least=1)
    label_noise = checks.number("label_noise", label_noise, least=0)
    generator = torch.Generator().manual_seed(seed)
    target = draw_target(k, d, generator, dtype)
    X, fresh = (draw_inputs(count, d, "sphere", generator, dtype=dtype) for count in (n, n_fresh))
    weights = draw_weights(m, d, generator, dtype=dtype)
    labels = None
    if label_noise:
        labels = target(X) + label_noise * torch.randn(n, generator=generator, dtype=dtype)
    kept = cumulative_multiplicity(d, k) if n_k is None else n_k
    return Problem(target, weights, activation, X, fresh, kept, labels=labels)
