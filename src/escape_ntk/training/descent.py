"""Plain full-batch gradient descent of the regularised risk."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from escape_ntk import checks
from escape_ntk.models.pairs import STEP_FACTOR
from escape_ntk.numerics import rkc
from escape_ntk.risk.regularizer import RegularizedRisk
from escape_ntk.training.run import UNSAVED, Run
from escape_ntk.training.trajectory import Observe, Outcome, Recorder, Trajectory


def stability_limit(risk: RegularizedRisk, state: Tensor, *, seed: int = 0) -> float:
    """2/ρ: the largest step of gradient descent that is stable at ``state``.

    ρ = largest |eigenvalue| of ∇²L_λ in the coordinates of all weights, by power iteration.  [L]
    """
    risk.features.check_state(state)
    generator = torch.Generator(device=state.device).manual_seed(seed)
    start = torch.randn(state.shape, generator=generator, dtype=state.dtype, device=state.device)

    def velocity(y):
        return risk.value_and_gradient(y)[1].mul_(-STEP_FACTOR)

    rho, _, _ = rkc.spectral_radius(velocity, state, velocity(state), start, rtol=1e-3)
    return 2 / rho if rho > 0 else math.inf


def gradient_descent(
    risk: RegularizedRisk,
    state: Tensor,
    *,
    step: float,
    n_steps: int,
    record_at: Sequence[float] | np.ndarray,
    observe: Observe,
    allow_unstable: bool = False,
    run: Run = UNSAVED,
) -> Trajectory:
    """``n_steps`` steps W ← W − step·∇_W L_λ, in pair coordinates (s, t) ← (s, t) − 2·step·∇.  [D]

    Arguments:

    * ``risk``: a :class:`~escape_ntk.risk.regularizer.RegularizedRisk`;
    * ``state``: where it starts, (s, t) of shape (2, p, d);
    * ``step``: of descent, at most 2/ρ at the start unless ``allow_unstable``;
    * ``n_steps``: how many;
    * ``record_at``: increasing step counts after which is measured; 0 is the start;
    * ``observe``: (s, t) ↦ named numbers, such as
      :meth:`~escape_ntk.risk.problem.Problem.measure`;
    * ``allow_unstable``: take any step;
    * ``run``: where to save, for a computation that may be killed.

    Returns a :class:`~escape_ntk.training.trajectory.Trajectory`; a run that leaves the finite
    numbers ends with Outcome.DIVERGED: ``ended`` is the last step at which the loss was a number,
    ``state`` the state there.

    Errors: :class:`~escape_ntk.checks.StabilityError` for a step beyond 2/ρ,
    :class:`~escape_ntk.checks.InputError` for a time that is not a whole step.

    Example:

    >>> from escape_ntk.risk.problem import dense_plus_sparse_problem
    >>> p = dense_plus_sparse_problem(d=5, n=30, m=40)
    >>> start, times = p.zero_state(), [0, 10]
    >>> gradient_descent(
    ...     p.risk(), start, step=1.0, n_steps=10, record_at=times, observe=p.losses
    ... ).n_steps
    10
    """
    _check_risk(risk)
    step = checks.number("step", step, least=0, strict=True)
    n_steps = checks.integer("n_steps", n_steps, least=1)
    checks.flag("allow_unstable", allow_unstable)
    checks.instance("run", run, Run, "escape_ntk.training.run.Run(saves), or none")
    recorder = Recorder(record_at, observe)
    whole = (recorder.times == np.rint(recorder.times)).all() and recorder.times[-1] <= n_steps
    if not whole:
        raise checks.InputError(
            checks.message(
                expected=f"record_at to be whole steps ≤ n_steps = {n_steps}",
                got=f"times up to {recorder.times[-1]:g}",
                remedy="record_at=np.unique(np.rint(times))",
            )
        )
    state = risk.features.check_state(state).clone()
    if not allow_unstable:
        _check_step(step, stability_limit(risk, state))
    run = run.part()
    saved, done, last = run.load(), 0, state
    if saved is not None:
        recorder.restore(saved)
        state.copy_(torch.from_numpy(np.array(saved["state"])))
        done = int(saved["done"])
    begun = done
    bar = tqdm(
        total=n_steps,
        initial=done,
        desc=run.progress,
        disable=run.progress is None,
        delay=2,
        leave=False,
    )
    with bar:
        while True:
            if recorder.next_time == done:
                recorder.record(state)
            if done == n_steps:
                if not math.isfinite(float(state.norm())):
                    return _diverged(recorder, last, done)
                run.keep(_kept(state, done, recorder))
                values = recorder.values()
                return Trajectory(recorder.times, values, state, Outcome.REACHED_END, done, done)
            value, gradient = risk.value_and_gradient(state)
            if not math.isfinite(value.loss):
                return _diverged(recorder, last, done)
            if done > begun and run.due():  # of a state that is known to be finite
                run.save(_kept(state, done, recorder))
            last, state = state, torch.add(state, gradient, alpha=-STEP_FACTOR * step)
            done += 1
            bar.update()


def _kept(state: Tensor, done: int, recorder: Recorder) -> dict:
    """What a killed run goes on from."""
    return {"state": state.cpu().numpy().copy(), "done": done} | recorder.dump()


def _diverged(recorder: Recorder, last: Tensor, done: int) -> Trajectory:
    """What is left of a run whose loss after ``done`` steps is no number."""
    values, ended = recorder.values(), max(0, done - 1)
    return Trajectory(recorder.times, values, last, Outcome.DIVERGED, done, done, ended=ended)


def _check_risk(risk: RegularizedRisk) -> None:
    remedy = "problem.risk(penalties), or RegularizedRisk(features, y)"
    checks.instance("risk", risk, RegularizedRisk, remedy)


def _check_step(step: float, limit: float) -> None:
    """Refuse a step beyond the stability limit at the start."""
    if step > limit:
        raise checks.StabilityError(
            checks.message(
                expected=f"step ≤ 2/ρ = {limit:.4g}, the stability limit at the start",
                got=step,
                remedy=f"step={0.9 * limit:.3g}, method='flow' (gradient_flow), or "
                "gradient_descent(…, allow_unstable=True)",
            )
        )
