"""Gradient flow of the regularised risk: an adaptive Runge–Kutta–Chebyshev integrator.

Time is measured in steps of gradient descent with step 1 on all weights: ẇ = −∇_W L_λ, which in
pair coordinates is (ṡ, ṫ) = −2∇_{(s,t)} L_λ.  Source: [D], integrator [L].

The pull of λ_1R_1 on t costs several gradients of all the rest and changes slowly.  So it is
computed once a step, at its end, and within the next one continued on a straight line: an error of
the order that a second-order step makes anyhow, and one that the estimate of the step's error sees.
Where it is not slow, for a large λ_1 or a long step, every stage computes it.  [D]
"""

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

RADIUS_EVERY = 10
"""Accepted steps between estimates of the spectral radius."""
RADIUS_SAFETY = 1.1
"""Factor on the estimate: power iteration approaches ρ from below."""
LAG = 0.5
"""Most change of a slow pull in one step, as h·(its spectral radius), if it is continued."""
POWER_CALLS = 4
"""Calls of F in a warm-started estimate (the first has 50)."""


class _Flow:
    """The integrator's whole state: what is saved is what is needed to go on bit for bit.

    ``slow``: y ↦ what is added to the velocity of y[1], linear in y.  ``pull`` is its value at y,
    ``before`` that of one step earlier, ``slow_rho`` its spectral radius.
    """

    def __init__(
        self, velocity, y: Tensor, rtol: float, atol: float, slow: rkc.Velocity | None = None
    ):
        self.velocity, self.rtol, self.atol, self.slow = velocity, rtol, atol, slow
        self.y, self.t, self.calls = y, 0.0, 0
        self.pull = self.before = self.latest = y[1]
        self.slow_rho = 0.0
        self.steps = self.rejected = self.since_radius = 0
        self.h = self.rho = self.last_error = self.last_h = 0.0
        self.f = self.direction = y
        u = torch.finfo(y.dtype).eps
        self.most_stages = max(2, round(math.sqrt(rtol / (10 * u))))  # rounding grows like s²u

    def start(self, t_end: float) -> None:
        """First velocity, spectral radius and trial step."""
        self.f = self.call(self.y)
        self.pull = self.latest
        self.direction = self._noise()
        if self.slow is not None:
            self.slow_rho = self._radius_of(self.slow)
        self.estimate_radius(most=50)
        h = 1 / self.rho if self.rho > 0 else t_end
        change = self.call(torch.add(self.y, self.f, alpha=h)).sub_(self.f)
        size = self.atol + self.rtol * rkc.block_rms(self.y)
        error = h * float((rkc.block_rms(change) / size).max())
        self.h = min(t_end, h / (10 * math.sqrt(error)) if error > 0 else t_end)

    def call(self, y: Tensor) -> Tensor:
        """The whole velocity at y; ``latest`` is its slow part."""
        self.calls += 1
        f = self.velocity(y)
        if self.slow is not None:
            self.latest = self.slow(y)
            f[1].add_(self.latest)
        return f

    def _noise(self) -> Tensor:
        """Any direction, always the same."""
        noise = torch.Generator(device=self.y.device).manual_seed(0)
        kind = {"dtype": self.y.dtype, "device": self.y.device}
        return torch.randn(self.y.shape, generator=noise, **kind)

    def _radius_of(self, slow: rkc.Velocity) -> float:
        """ρ of the slow part, wherever y is."""

        def alone(y: Tensor) -> Tensor:
            return torch.stack([torch.zeros_like(y[0]), slow(y)])

        still = torch.zeros_like(self.y)
        return RADIUS_SAFETY * rkc.spectral_radius(alone, still, still, self._noise())[0]

    def estimate_radius(self, most: int = POWER_CALLS) -> None:
        """ρ of the velocity, at most the sum of that of its two parts."""
        rest = self.f
        if self.slow is not None:
            rest = self.f.clone()
            rest[1].sub_(self.pull)
        rho, self.direction, calls = rkc.spectral_radius(
            self.velocity, self.y, rest, self.direction, most=most
        )
        self.rho, self.since_radius = RADIUS_SAFETY * rho + self.slow_rho, 0
        self.calls += calls

    def stages(self) -> int:
        """Stages for the step h, after shortening h to what most_stages can carry."""
        s = rkc.stages_for(self.h, self.rho)
        while s > self.most_stages:
            self.h *= 0.9 * (self.most_stages / s) ** 2
            s = rkc.stages_for(self.h, self.rho)
        return s

    def try_step(self):
        """(new y, new f, error) of one trial step."""
        s = self.stages()  # first: it may shorten h
        new = rkc.rkc_step(self.stage(s), self.y, self.f, self.h, s)
        f_new = self.call(new)
        return new, f_new, rkc.error_norm(self.y, self.f, new, f_new, self.h, self.rtol, self.atol)

    def stage(self, s: int) -> rkc.Velocity:
        """The velocity at the stages 1…s − 1, with the slow part continued where it is slow."""
        if self.slow is None or not self.steps:
            return self.call
        change = self.h * self.slow_rho
        if change * (1 + self.h / self.last_h) > LAG:
            return self.call
        trend = (self.pull - self.before).mul_(self.h / self.last_h)
        nodes = iter(rkc.coefficients(s)[-1])

        def continued(y: Tensor) -> Tensor:
            self.calls += 1
            f = self.velocity(y)
            f[1].add_(self.pull).add_(trend, alpha=next(nodes))
            return f

        return continued

    def accept(self, new: Tensor, f_new: Tensor, error: float) -> None:
        """Advance and choose the next step (PI control of Sommeijer et al.)."""
        error = max(error, 1e-8)
        factor = 0.8 * error ** (-1 / 3)
        if self.steps:
            factor = 0.8 * self.h / self.last_h * self.last_error ** (1 / 3) / error ** (2 / 3)
        self.t += self.h
        self.y, self.f, self.last_h, self.last_error = new, f_new, self.h, error
        self.before, self.pull = self.pull, self.latest
        self.h *= min(10.0, max(0.1, factor))
        self.steps += 1
        self.since_radius += 1
        if self.since_radius >= RADIUS_EVERY:
            self.estimate_radius()

    def reject(self, error: float) -> None:
        """Shorten the step; a fresh spectral radius may be due."""
        self.rejected += 1
        self.h *= max(0.1, 0.8 * error ** (-1 / 3)) if math.isfinite(error) else 0.1
        if self.since_radius:
            self.estimate_radius()

    SCALARS = "t calls steps rejected since_radius h rho last_error last_h".split()
    TENSORS = ("y", "f", "direction")
    OF_THE_PULL = ("pull", "before")

    def dump(self) -> dict:
        tensors = self.TENSORS + (() if self.slow is None else self.OF_THE_PULL)
        out = {name: getattr(self, name) for name in self.SCALARS}
        return out | {name: getattr(self, name).cpu().numpy().copy() for name in tensors}

    def restore(self, saved) -> None:
        """Go on from a :meth:`dump`, also from one that was made before pulls were continued."""
        for name in self.SCALARS:
            setattr(self, name, type(getattr(self, name))(np.asarray(saved[name]).item()))
        for name in (*self.TENSORS, *self.OF_THE_PULL):
            if name in saved:
                value = torch.from_numpy(np.array(saved[name])).to(self.y.device)
                setattr(self, name, value)
        if self.slow is not None:
            self.slow_rho = self._radius_of(self.slow)
            if "pull" not in saved:
                self.pull = self.before = self.slow(self.y)


def gradient_flow(
    risk: RegularizedRisk,
    state: Tensor,
    *,
    t_end: float,
    record_at: Sequence[float] | np.ndarray,
    observe: Observe,
    rtol: float = 1e-3,
    atol: float = 1e-5,
    max_gradients: int = 100_000,
    best: str | None = None,
    keep: Sequence[int] = (),
    run: Run = UNSAVED,
) -> Trajectory:
    """Integrate the gradient flow of ``risk`` from ``state`` (2, p, d) to ``t_end``.  [D][L]

    Local error per step ≤ atol + rtol·rms, in rms over s and over t.  Measurements by cubic Hermite
    interpolation: declared times cost no gradients.

    Arguments:

    * ``risk``: a :class:`~escape_ntk.risk.regularizer.RegularizedRisk`;
    * ``state``: where it starts, (s, t) of shape (2, p, d);
    * ``t_end``: time in steps of size 1 on all weights;
    * ``record_at``: increasing times at which is measured, from 0 to ``t_end``;
    * ``observe``: (s, t) ↦ named numbers, such as
      :meth:`~escape_ntk.risk.problem.Problem.measure`;
    * ``rtol``, ``atol``: tolerances of a step;
    * ``max_gradients``: looked at between steps: the start and a step under way are finished;
    * ``best``: a measurement: the state where it is least is ``kept["best"]``;
    * ``keep``: places among the times: the states there are ``kept["0"]``, …;
    * ``run``: where to save; a run goes on where it was killed and ends with the same numbers.

    Returns a :class:`~escape_ntk.training.trajectory.Trajectory`, whose help lists the outcomes;
    ``ended`` is the time that was reached, ``state`` the state there.

    Errors: :class:`~escape_ntk.checks.InputError` for a time beyond ``t_end`` and other numbers
    that cannot be, :class:`~escape_ntk.checks.ShapeError` for a state that does not fit.

    Example:

    >>> from escape_ntk.risk.problem import dense_plus_sparse_problem
    >>> p = dense_plus_sparse_problem(d=5, n=30, m=40)
    >>> start, times = p.zero_state(), [0, 10]
    >>> gradient_flow(p.risk(), start, t_end=10, record_at=times, observe=p.losses).outcome
    <Outcome.REACHED_END: 'reached_end'>
    """
    remedy = "problem.risk(penalties), or RegularizedRisk(features, y)"
    checks.instance("risk", risk, RegularizedRisk, remedy)
    t_end = checks.number("t_end", t_end, least=0, strict=True)
    rtol = checks.number("rtol", rtol, least=0, strict=True)
    atol = checks.number("atol", atol, least=0, strict=True)
    max_gradients = checks.integer("max_gradients", max_gradients, least=1)
    checks.instance("run", run, Run, "escape_ntk.training.run.Run(saves), or none")
    recorder, run = Recorder(record_at, observe, best=best, keep=keep), run.part()
    if recorder.times[-1] > t_end:
        raise checks.InputError(
            checks.message(
                expected=f"record times ≤ t_end = {t_end:g}",
                got=recorder.times[-1],
                remedy="raise t_end, or record earlier",
            )
        )
    fast, slow = _velocities(risk)
    flow = _Flow(fast, risk.features.check_state(state).clone(), rtol, atol, slow)
    saved = run.load()
    if saved is None:
        flow.start(t_end)
        while recorder.next_time <= 0:
            recorder.record(flow.y)
    else:
        flow.restore(saved)
        recorder.restore(saved, flow.y.device)
    outcome = _integrate(flow, recorder, t_end, max_gradients, run)
    run.keep(flow.dump() | recorder.dump())
    return Trajectory(
        recorder.times,
        recorder.values(),
        flow.y,
        outcome,
        flow.calls,
        flow.steps,
        flow.rejected,
        recorder.kept,
        flow.t if outcome != Outcome.REACHED_END else t_end,
    )


def _velocities(risk: RegularizedRisk) -> tuple[rkc.Velocity, rkc.Velocity | None]:
    """−2∇L_λ without λ_1R_1, and what that adds to the velocity of t."""
    weight = risk.penalties.population
    rest = risk.without_population() if weight else risk

    def fast(y: Tensor) -> Tensor:
        return rest.value_and_gradient(y)[1].mul_(-STEP_FACTOR)

    def slow(y: Tensor) -> Tensor:
        return risk.population_leak(y[1])[1].mul_(-STEP_FACTOR * weight)

    return fast, slow if weight else None


def _integrate(
    flow: _Flow, recorder: Recorder, t_end: float, max_gradients: int, run: Run
) -> Outcome:
    """Step to t_end; record, save, and say how it ended."""
    with tqdm(
        total=1.0,
        desc=run.progress,
        disable=run.progress is None,
        delay=2,
        leave=False,
        bar_format="{l_bar}{bar}| [{elapsed}<{remaining}]",
    ) as bar:
        while flow.t < t_end:
            if flow.calls >= max_gradients:
                return Outcome.MAX_GRADIENTS
            if not math.isfinite(flow.rho):  # the velocity is not finite
                return Outcome.DIVERGED
            if flow.h < 1e-12 * max(flow.t, 1.0):
                return Outcome.STEP_UNDERFLOW
            flow.h = min(flow.h, t_end - flow.t)
            new, f_new, error = flow.try_step()
            if not error <= 1:
                flow.reject(error)
                continue
            if not math.isfinite(float(new.norm())):
                return Outcome.DIVERGED
            _record_between(flow, recorder, new, f_new, t_end)
            flow.accept(new, f_new, error)
            bar.update(min(1.0, math.log1p(flow.t) / math.log1p(t_end)) - bar.n)
            if run.due():
                run.save(flow.dump() | recorder.dump())
    return Outcome.REACHED_END


def _record_between(flow: _Flow, recorder: Recorder, new: Tensor, f_new: Tensor, t_end: float):
    """Record every declared time in (t, t + h]."""
    ends = flow.t + flow.h >= t_end * (1 - 1e-12)
    while recorder.next_time <= (t_end if ends else flow.t + flow.h):
        theta = min(1.0, (recorder.next_time - flow.t) / flow.h)
        recorder.record(rkc.hermite_interpolant(flow.y, flow.f, new, f_new, flow.h, theta))
