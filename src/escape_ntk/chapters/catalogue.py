"""Every experiment by name: what `escape-ntk list` shows and `escape-ntk run` runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from escape_ntk import checks
from escape_ntk.chapters.cnn import runs as cnn
from escape_ntk.chapters.directions import runs as directions
from escape_ntk.chapters.end_to_end import runs as end_to_end
from escape_ntk.chapters.joint import runs as joint
from escape_ntk.chapters.landscape import runs as landscape
from escape_ntk.chapters.mlp import runs as mlp
from escape_ntk.chapters.mlp import side_by_side as mlp_batch
from escape_ntk.chapters.ntk_limits import runs as ntk_limits
from escape_ntk.chapters.published_figure import runs as figure
from escape_ntk.chapters.quadntk import runs as quadntk
from escape_ntk.chapters.regularizer import runs as regularizer
from escape_ntk.chapters.sample_complexity import runs as sample_complexity
from escape_ntk.chapters.setup import runs as setup
from escape_ntk.chapters.your_network import runs as own_network
from escape_ntk.records.store import Record, RecordStore
from escape_ntk.study import sweep
from escape_ntk.study.point import Point

SCALES = ("live", "full")


@dataclass(frozen=True)
class Experiment:
    """A named list of points for each scale; ``seeds`` are those the claims rest on.

    Where there is a choice of ``data``, ``live`` and ``full`` also take ``data`` and ``root``.
    ``together`` computes points side by side on one device.
    """

    name: str
    title: str
    seeds: tuple[int, ...]
    live: Callable[..., Sequence[Point]]
    full: Callable[..., Sequence[Point]]
    data: tuple[str, ...] = ()
    together: sweep.Together | None = None

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
            able = ", ".join(e.name for e in EXPERIMENTS if e.together)
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


def _figure_live(seeds: Sequence[int]) -> list[Point]:
    return [*figure.live_points(seeds), *figure.reduced_certificate_points()]


def _figure_full(seeds: Sequence[int]) -> list[Point]:
    return [
        *figure.figure_points(seeds),
        *figure.certificate_points(),
        *figure.reduced_certificate_points(),
        *(figure.DroppedConstant(seed) for seed in seeds),
    ]


def _forensics_full(seeds: Sequence[int]) -> list[Point]:
    others = figure.HYPOTHESES[1:]
    points = [p for h in others for p in figure.figure_points(seeds, h, h.lambdas)]
    return [*points, *figure.figure_points(seeds, figure.R1_ALONE, (0.0,))]


def _forensics_live(seeds: Sequence[int]) -> list[Point]:
    return [figure.R1_ALONE.curve(0.0, seed, **figure.LIVE_SIZE) for seed in seeds]


def _limits_live(seeds: Sequence[int]) -> list[Point]:
    return [ntk_limits.Staircase(seed, 10) for seed in seeds]


def _quadntk_live(seeds: Sequence[int]) -> Sequence[Point]:
    return quadntk.saddle_points(seeds)


def _directions_live(seeds: Sequence[int]) -> list[Point]:
    return [directions.Movements(seed) for seed in seeds]


def _regularizer_live(seeds: Sequence[int]) -> Sequence[Point]:
    return regularizer.switch_points(seeds)


def _landscape_live(seeds: Sequence[int]) -> list[Point]:
    return [landscape.Escape(seed) for seed in seeds]


TEN = tuple(range(1, 11))
EXPERIMENTS = (
    Experiment(
        "setup",
        "Checks behind the chapter Setup: Taylor terms, pairs, projector, closed-form R_1",
        TEN,
        setup.foundation_points,
        setup.foundation_points,
    ),
    Experiment(
        "published-figure",
        "The published figure: six λ, and one curve by plain gradient descent",
        TEN,
        _figure_live,
        _figure_full,
    ),
    Experiment(
        "figure-forensics",
        "How λ entered the published runs; what R_1 does alone",
        TEN[:3],
        _forensics_live,
        _forensics_full,
    ),
    Experiment(
        "ntk-limits",
        "The tangent kernel: width, lazy training, eigenvalues, staircase, blindness",
        ntk_limits.SEEDS,
        _limits_live,
        ntk_limits.full_points,
    ),
    Experiment(
        "quadntk",
        "QuadNTK alone: random signs, the construction, the saddle, sparse and dense targets",
        quadntk.SEEDS,
        _quadntk_live,
        quadntk.full_points,
    ),
    Experiment(
        "directions",
        "Good directions: gap, Gram spectra, projectors, four kinds of movement",
        directions.SEEDS,
        _directions_live,
        directions.full_points,
    ),
    Experiment(
        "regularizer",
        "The regulariser: R_1 and R_2 at the published size, all on/off settings, λ, n_k, noise",
        regularizer.SEEDS,
        _regularizer_live,
        regularizer.regularizer_points,
    ),
    Experiment(
        "landscape",
        "Landscape: curvature along runs, escape from W = 0, many starts, the random-sign bound",
        regularizer.SEEDS,
        _landscape_live,
        landscape.landscape_points,
    ),
    Experiment(
        "joint",
        "Joint learning: the explicit W*, its four budgets over m and d, the gap and its bound",
        joint.SEEDS,
        joint.live_points,
        joint.full_points,
    ),
    Experiment(
        "end-to-end",
        "From W = 0 to a solution like W*: flow and descent; the full network over the width",
        end_to_end.SEEDS,
        end_to_end.live_points,
        end_to_end.full_points,
    ),
    Experiment(
        "sample-complexity",
        "Samples that NTK, QuadNTK and the joint model need, over d and n, k = 1 and 2",
        sample_complexity.SEEDS,
        sample_complexity.live_points,
        sample_complexity.full_points,
    ),
    Experiment(
        "mlp",
        "Samples that a ReLU network needs on a dense quadratic plus a sparse cubic, over d",
        mlp.SEEDS,
        mlp.live_points,
        mlp.full_points,
        together=mlp_batch.climb,
    ),
    Experiment(
        "cnn",
        "A convolutional network on images beside its quadratic and its linear Taylor model",
        cnn.SEEDS,
        cnn.live_points,
        cnn.full_points,
        cnn.DATA,
    ),
    Experiment(
        "own-network",
        "R_2 on an ordinary network for two digits, beside weight decay and early stopping",
        own_network.SEEDS,
        own_network.live_points,
        own_network.full_points,
    ),
)


def experiment(name: str) -> Experiment:
    """The experiment of this name; :class:`~escape_ntk.checks.UnknownNameError` otherwise."""
    known = {e.name: e for e in EXPERIMENTS}
    return known[checks.one_of("experiment", name, tuple(known))]


def command(point: Point) -> str:
    """What to type for the record of a point; the whole experiment where no plan has this point."""
    plans = [(scale, e) for scale in reversed(SCALES) for e in EXPERIMENTS]
    for scale, e in plans:
        if point in e.points(scale):
            return f"escape-ntk run {e.name}" + (" --scale live" if scale == "live" else "")
    kinds = ((e, type(p)) for scale, e in plans for p in e.points(scale))
    name = next((e.name for e, kind in kinds if kind is type(point)), "EXPERIMENT")
    return f"escape-ntk run {name} --seeds …"
