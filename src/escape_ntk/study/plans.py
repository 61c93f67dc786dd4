"""What can be run by name: for each experiment its points, live and full.

An :class:`Experiment` registers itself: ``escape-ntk list`` shows it, ``escape-ntk run`` runs it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from escape_ntk import checks
from escape_ntk.records.store import Record, RecordStore
from escape_ntk.study import sweep
from escape_ntk.study.point import Point

SCALES = ("live", "full")
Plan = Callable[..., Sequence[Point]]
"""Points for some seeds; with ``data`` and ``root`` where there is a choice of data."""
EXPERIMENTS: dict[str, "Experiment"] = {}
"""Every experiment whose chapter was imported, by name."""


@dataclass(frozen=True)
class Experiment:
    """A named list of points for each scale; ``seeds`` are those the claims rest on.

    Where there is a choice of ``data``, ``live`` and ``full`` also take ``data`` and ``root``.
    ``together`` computes points side by side on one device.
    """

    name: str
    title: str
    seeds: tuple[int, ...]
    live: Plan
    full: Plan
    data: tuple[str, ...] = ()
    together: sweep.Together | None = None

    def __post_init__(self):
        EXPERIMENTS[self.name] = self

    def points(
        self,
        scale: str,
        seeds: Sequence[int] | None = None,
        *,
        data: str | None = None,
        root: Path | None = None,
    ) -> Sequence[Point]:
        """The frozen points of ``scale``, for the default seeds and data or for these."""
        checks.one_of("scale", scale, SCALES)
        chosen = self.seeds if seeds is None else tuple(seeds)
        for seed in chosen:
            checks.integer("seed", seed, least=0)
        build = self.live if scale == "live" else self.full
        return build(chosen, **self._choice(data, root))

    def run_side_by_side(
        self, points: Sequence[Point], store: RecordStore, device: str
    ) -> list[Record]:
        """Records of the points, computed ``together``; refused where the experiment cannot."""
        if self.together is None:
            able = ", ".join(e.name for e in EXPERIMENTS.values() if e.together)
            raise checks.InputError(
                checks.message(
                    expected=f"an experiment whose runs go side by side on one device: {able}",
                    got=self.name,
                    remedy="leave --device out; --workers shares the cores",
                )
            )
        return sweep.run_side_by_side(points, store, self.together, device)

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


def command(point: Point) -> str:
    """What to type for the record of a point; the whole experiment where no plan has this point."""
    plans = [(scale, e) for scale in reversed(SCALES) for e in EXPERIMENTS.values()]
    for scale, e in plans:
        if point in e.points(scale):
            return f"escape-ntk run {e.name}" + (" --scale live" if scale == "live" else "")
    kinds = ((e, type(p)) for scale, e in plans for p in e.points(scale))
    name = next((e.name for e, kind in kinds if kind is type(point)), "EXPERIMENT")
    return f"escape-ntk run {name} --seeds …"
