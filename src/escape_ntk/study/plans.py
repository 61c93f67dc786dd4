"""What can be run by name: for each experiment its points, live and full.

An :class:`Experiment` registers itself: ``escape-ntk list`` shows it, ``escape-ntk run`` runs it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from escape_ntk import checks
from escape_ntk.study import sweep
from escape_ntk.study.point import Point

SCALES = ("live", "full")
Plan = Callable[..., Sequence[Point]]
"""Points for some seeds; with ``data``, ``root``, ``activation`` where there is such a choice."""
Forecast = Callable[[Any], str]
"""What a point would take, in words: Any, as each knows the points of its own class alone."""
EXPERIMENTS: dict[str, "Experiment"] = {}
"""Every experiment whose chapter was imported, by name."""


@dataclass(frozen=True)
class Experiment:
    """A named list of points for each scale; ``seeds`` are those the claims rest on.

    Where there is a choice of ``data``, ``live`` and ``full`` also take ``data`` and ``root``, and
    where there is one of ``activations``, ``activation``.  ``together`` computes points side by
    side on one device; points with a ``placed`` device go there one after another, and what they
    saved is taken up.  ``forecast`` says what the first point would take, or nothing.
    """

    name: str
    title: str
    seeds: tuple[int, ...]
    live: Plan
    full: Plan
    data: tuple[str, ...] = ()
    together: sweep.Together | None = None
    activations: tuple[str, ...] = ()
    placed: bool = False
    forecast: Forecast | None = None

    def __post_init__(self):
        EXPERIMENTS[self.name] = self

    def points(
        self,
        scale: str,
        seeds: Sequence[int] | None = None,
        *,
        data: str | None = None,
        root: Path | None = None,
        activation: str | None = None,
    ) -> Sequence[Point]:
        """The frozen points of ``scale``, for the default seeds and choices or for these."""
        checks.one_of("scale", scale, SCALES)
        chosen = self.seeds if seeds is None else tuple(seeds)
        for seed in chosen:
            checks.integer("seed", seed, least=0)
        build = self.live if scale == "live" else self.full
        return build(chosen, **self._choice(data, root), **self._activation(activation))

    def on(self, points: Sequence[Point], device: str) -> Sequence[Point]:
        """The points as they are to be run on ``device``; refused where the experiment cannot."""
        if self.together is None and not self.placed:
            able = ", ".join(e.name for e in EXPERIMENTS.values() if e.together or e.placed)
            raise checks.InputError(
                checks.message(
                    expected=f"an experiment that can run on a device: {able}",
                    got=self.name,
                    remedy="leave --device out; --workers shares the cores",
                )
            )
        place = str(sweep.usable(device))
        return [replace(point, device=place) for point in points] if self.placed else points

    def _activation(self, activation: str | None) -> dict:
        """The activation, where there is a choice and one was asked for."""
        if activation is None:
            return {}
        if not self.activations:
            raise checks.InputError(
                checks.message(
                    expected=f"no activation for {self.name}, which has its own",
                    got=f"--activation {activation}",
                    remedy="leave it out",
                )
            )
        return {"activation": checks.one_of("activation", activation, self.activations)}

    def _choice(self, data: str | None, root: Path | None) -> dict:
        """The arguments beside the seeds; refused where there is no choice of data."""
        asked = {"data": data, "root": root}
        asked = {name: value for name, value in asked.items() if value is not None}
        if asked and not self.data:
            raise checks.InputError(
                checks.message(
                    expected=f"no data set or folder for {self.name}, which draws its own inputs",
                    got=", ".join(f"--{name} {value}" for name, value in asked.items()),
                    remedy="leave them out",
                )
            )
        if data is not None:
            checks.one_of("data", data, self.data)
        return asked


def commands(points: Iterable[Point], first: Sequence[Experiment] = ()) -> list[str]:
    """What to type for the records of these points; from the ``first`` experiments if they do.

    A point that no plan has is asked for by its class: the experiment, with seeds to choose.
    """
    left, found = set(points), []
    plans = dict.fromkeys([*first, *EXPERIMENTS.values()])
    for scale in reversed(SCALES):
        for e in plans:
            if left and (own := left & {*e.points(scale)}):
                found.append(f"escape-ntk run {e.name}{' --scale live' if scale == 'live' else ''}")
                left -= own
    kinds = {type(point) for point in left}
    for e in plans:
        if mine := kinds & {type(p) for scale in SCALES for p in e.points(scale)}:
            found.append(f"escape-ntk run {e.name} --seeds …")
            kinds -= mine
    return found
