"""The main job in one call: train f_L + f_Q on a problem, measured over time.  [C]"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace

from torch import Tensor

from escape_ntk import checks
from escape_ntk.risk.problem import Problem
from escape_ntk.risk.regularizer import Penalties, RegularizedRisk
from escape_ntk.training.descent import gradient_descent
from escape_ntk.training.flow import gradient_flow
from escape_ntk.training.run import UNSAVED, Run
from escape_ntk.training.trajectory import Trajectory, integer_times, log_times

METHODS = ("flow", "descent")
"""Ways to go down: gradient flow, and plain gradient descent."""


def train(
    problem: Problem,
    penalties: Penalties | None = None,
    *,
    t_end: float = 10_000.0,
    n_times: int = 41,
    model: str = "joint",
    method: str = "flow",
    step: float | None = None,
    start: Tensor | None = None,
    measure: Callable[[Tensor], Mapping[str, float]] | None = None,
    run: Run = UNSAVED,
) -> Trajectory:
    """Train f_L + f_Q on ``problem`` with ``penalties``, from W = 0; measured over time.  [C][D]

    Arguments:

    * ``problem``: target, inputs and network, such as
      :func:`~escape_ntk.risk.problem.dense_plus_sparse_problem` draws;
    * ``penalties``: λ_1…λ_4; None: all 0;
    * ``t_end``: time in steps of size 1;
    * ``n_times``: how many measurements, one at 0 and the others evenly in log t;
    * ``model``: ``"joint"`` f_L + f_Q, ``"linear"`` f_L alone, ``"quadratic"`` f_Q alone, which
      does not leave W = 0: give it a ``start``;
    * ``method``: ``"flow"``, gradient flow; or ``"descent"``, ``t_end``/``step`` steps of descent;
    * ``step``: of descent; None: 1.  Flow chooses its own, and refuses one;
    * ``start``: (s, t) of shape (2, p, d); None: W = 0;
    * ``measure``: (s, t) ↦ named numbers, in the place of
      :meth:`~escape_ntk.risk.problem.Problem.measure`;
    * ``run``: where to save, for a computation that may be killed; called again, it goes on:
      ``Run(Checkpoint(Path("run.sqlite"), "mine"))``, of ``escape_ntk.training.run`` and
      ``escape_ntk.records.store``.

    Returns a :class:`~escape_ntk.training.trajectory.Trajectory`: ``times``, ``values`` by name,
    ``state`` at the end, ``outcome``.  Names: ``train`` and ``test``, mean square errors;
    ``linear_0``, ``quadratic_1``, …, the share of part 0, 1 of the target that f_L, f_Q has
    learned; ``R_2``; ``norm_2_4``.  ``problem.sizes(run.state)`` adds R_1 and R_3.

    Errors: :class:`~escape_ntk.checks.InputError` for what does not fit,
    :class:`~escape_ntk.checks.UnknownNameError` for another method or model; a
    :class:`~escape_ntk.checks.SaddleWarning` where the gradient at the start is zero.

    Example:

    >>> from escape_ntk.risk.problem import dense_plus_sparse_problem
    >>> run = train(dense_plus_sparse_problem(d=5, n=30, m=40), t_end=100)
    >>> bool(run.values["test"][-1] < run.values["test"][0])
    True

    Longer, from where it ended:

    >>> more = train(dense_plus_sparse_problem(d=5, n=30, m=40), t_end=100, start=run.state)
    >>> bool(more.values["train"][-1] < run.values["train"][-1])
    True
    """
    checks.instance("problem", problem, Problem, "dense_plus_sparse_problem(d=20, n=150, m=1000)")
    checks.one_of("method", method, METHODS)
    if step is not None and method == "flow":
        expected, remedy = 'step for method="descent" alone', 'method="descent", or leave step out'
        raise checks.InputError(
            checks.message(
                expected=expected, got=f'step={checks.shown(step)}, "flow"', remedy=remedy
            )
        )
    step = 1.0 if step is None else checks.number("step", step, least=0, strict=True)
    if measure is not None:
        checks.function("measure", measure, "a function of the state that returns named numbers")
    risk = problem.risk(penalties, model=model)
    state = problem.zero_state() if start is None else start
    _warn_of_a_saddle(risk, state)
    times = log_times(t_end, n_times)
    asked = {"observe": problem.measure if measure is None else measure, "run": run}
    if method == "flow":
        return gradient_flow(risk, state, t_end=float(times[-1]), record_at=times, **asked)
    steps = integer_times(times / step)
    trained = gradient_descent(
        risk, state, step=step, n_steps=int(steps[-1]), record_at=steps, **asked
    )
    return replace(trained, times=step * trained.times, ended=step * trained.ended)


def _warn_of_a_saddle(risk: RegularizedRisk, state: Tensor) -> None:
    """Say that a run will stay where it starts."""
    gradient = risk.value_and_gradient(risk.features.check_state(state))[1]
    if not bool(gradient.any()):
        words = (
            f"model {risk.model!r} has no gradient at its start, W = 0 for example: the run stays"
        )
        warnings.warn(f"{words} there; pass start=…", checks.SaddleWarning, stacklevel=3)
