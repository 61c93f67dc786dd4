"""One tiny run, or several, of every class of experiment: what the golden numbers are of.

A label is the class's ``experiment``, with a word behind a slash where a class has several runs.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from unittest.mock import patch

import torch
from threadpoolctl import threadpool_limits

from escape_ntk.chapters.cnn.runs import Convolutional
from escape_ntk.chapters.directions import runs as directions
from escape_ntk.chapters.end_to_end import runs as end_to_end
from escape_ntk.chapters.joint import runs as joint
from escape_ntk.chapters.landscape import runs as landscape
from escape_ntk.chapters.mlp import runs as mlp
from escape_ntk.chapters.ntk_limits import runs as ntk_limits
from escape_ntk.chapters.other_ways import runs as other_ways
from escape_ntk.chapters.published_figure import runs as published_figure
from escape_ntk.chapters.published_figure.noisy_leak import NoisyLeakCurve
from escape_ntk.chapters.quadntk import runs as quadntk
from escape_ntk.chapters.regularizer import runs as regularizer
from escape_ntk.chapters.sample_complexity import more_runs as baselines
from escape_ntk.chapters.sample_complexity import runs as sample_complexity
from escape_ntk.chapters.setup import runs as foundations
from escape_ntk.chapters.your_network import follow_up, layer_sweep
from escape_ntk.chapters.your_network import modules as any_module
from escape_ntk.chapters.your_network import runs as own_network
from escape_ntk.chapters.your_network import study as real_data
from escape_ntk.study import curve as curves
from escape_ntk.study.point import Point
from escape_ntk.study.sweep import LiveResult, run_live

CURVE = curves.Curve(
    1, 2.0, d=6, n=30, m=40, n_k=6, n_test=50, t_end=30, n_times=5, dtype="float64"
)
SMALL = {"d": 6, "n": 30, "m": 40, "n_test": 50, "t_end": 100.0, "n_times": 5}
FIT = {"n_validation": 40, "n_test": 60, "m": 40, "t_end": 30.0}
SCENE = {"d": 5, "n": 20}
RUNS = {"round_time": 50.0, "max_rounds": 2}
ALL_FOUR = {"population": 1.0, "empirical": 10.0, "low_degree": 1e-2, "norm": 1e-3}

CLIMB = {"largest": 29, "first": 20, "m": 20, "n_test": 60, "t_end": 100.0, "n_times": 5}
POINTS: dict[str, Point] = {
    # Setup
    "setup-initialization": foundations.Initialization(1, m=40, d=6, n=30),
    "setup-remainder-order": foundations.RemainderOrder(1, m=40, d=6, n=30),
    "setup-quadratic-scale": foundations.QuadraticScale(1, d=6, n=30, widths=(64, 256)),
    "setup-pair-descent": foundations.PairDescent(1, m=20, d=4, n=15, n_steps=20),
    "setup-leak-closed-form": foundations.LeakClosedForm(1, m=20, d=4, n=15, n_fresh=20_000),
    "setup-dense-projector": foundations.DenseProjector(1, m=20, d=4, n=15),
    # The published figure
    "curves": CURVE,
    "curves/descent": CURVE.at(method="descent", penalty_population=0.5),
    "curves/laws": CURVE.at(weight_law="gaussian", input_law="sphere"),
    "curves-noisy-leak": NoisyLeakCurve(
        1, 2.0, 0.5, d=6, n=30, m=40, n_k=6, n_test=50, t_end=30, n_times=5, n_leak=20,
        dtype="float64",
    ),
    "dropped-constant": published_figure.DroppedConstant(1, d=6, n=20, m=40),
    # NTK limits
    "ntk-width": ntk_limits.KernelWidth(1, d=5, n=12, widths=(64, 256)),
    "ntk-eigenvalues": ntk_limits.EigenvalueSlopes(ntk_limits.SINE, dims=(5, 10, 20)),
    "ntk-eigenvalue-samples": ntk_limits.EigenvalueSamples(1, d=5, n_triples=500, batch=100),
    "ntk-lazy": ntk_limits.Lazy(1, d=4, n=12, n_test=15, widths=(32, 128), n_steps=20),
    "ntk-staircase": ntk_limits.Staircase(1, 4, n_most=40, per_decade=3),
    "ntk-expected-error": ntk_limits.ExpectedError(1, d=5, sizes=(8, 20, 40)),
    "ntk-output-scale": ntk_limits.OutputScale(
        1, d=4, n=12, n_test=15, widths=(32, 128), n_steps=20
    ),
    "ntk-blind": ntk_limits.Blindness(
        1, 2, 20, d=4, n_directions=3, n_stretched=2, n_test=30, m=60
    ),
    # QuadNTK
    "quadntk-construction": quadntk.Construction(1, 1, d=5, n=20, widths=(64, 256)),
    "quadntk-construction/cubic": quadntk.Construction(1, 2, d=5, n=20, widths=(64,)),
    "quadntk-sign-draws": quadntk.SignDraws(1, d=5, n=20, m=40, n_draws=20),
    "quadntk-norm": quadntk.ConstructionNorm(1, 2, m=200, dims=(5, 10)),
    "quadntk-several": quadntk.SeveralDirections(1, 2, d=5, m=200, counts=(1, 3), n_bound=20),
    "quadntk-construction-error": quadntk.ConstructionError(
        1, 2, m=64, n=20, n_weights=2, dims=(5, 10)
    ),
    "quadntk-movement": quadntk.TrainedMovement(
        1, d=4, factor=2.0, m=40, scales=(0.1, 1.0), t_end=30.0, n_test=40
    ),
    "quadntk-complexity": quadntk.Complexity(
        1, dims=(4, 6), sizes=(30, 60), neurons=(10, 20), few=(2, 3), at=(4, 40, 10)
    ),
    "quadntk-saddle": quadntk.Saddle(
        1, 5e-3, d=4, factor=2.0, m=40, t_end=100.0, n_times=5, n_test=30
    ),
    "quadntk-alone": quadntk.Alone(
        1, 4, 2, 2, True, 2.0, m=40, scales=(0.1, 1.0), penalties=(0.0, 1e-3), ridges=(0.0, 1e-2),
        t_end=30.0, n_times=4, n_validation=30, n_test=40,
    ),
    "quadntk-alone/sparse": quadntk.Alone(
        1, 4, 2, 3, False, 2.0, m=40, scales=(1.0,), penalties=(0.0,), ridges=(1e-2,),
        t_end=10.0, n_times=3, n_validation=30, n_test=40,
    ),
    "quadntk-frozen": quadntk.FrozenKernel(
        1, 4, factor=1.5, widths=(200, 400), n_validation=30, n_test=40
    ),
    # Good directions
    "directions-gap": directions.PopulationGap(directions.SINE, dims=(5, 10, 20)),
    "directions-gram": directions.GramSpectrum(1, 5, 1, 30),
    "directions-noise": directions.GramNoise(1, 5, 1, 30),
    "directions-memorized": directions.MemorizedNoise(1, 5, 30),
    "directions-leaks": directions.Leaks(1, d=5, m=40, factors=(2.0, 5.0), n_random=4),
    "directions-movements": directions.Movements(1, **SCENE, widths=(32, 64), n_signs=3),
    "directions-equal-signs": directions.EqualSigns(1, **SCENE, widths=(32, 64)),
    "directions-memorizing": directions.Memorizing(1, **SCENE, m=64),
    "directions-views": directions.Views(1, **SCENE, m=64, n_shown=6),
    # The regulariser
    "regularizer-small": regularizer.Regularized(1, **ALL_FOUR, **SMALL),
    "regularizer-small/off": regularizer.Regularized(1, **SMALL),
    "regularizer-noise": regularizer.NoisyLabels(1, empirical=10.0, **SMALL),
    "regularizer-closed-forms": regularizer.ClosedForms(1, m=20, d=4, n_fresh=20_000),
    # Landscape
    "landscape-run": landscape.Landscape(1, low_degree=1e-3, **SMALL, **RUNS),
    "landscape-certified": landscape.Certified(1, plateau=3, **SMALL, **RUNS),
    "landscape-signs": landscape.SignMean(1, plateau=3, **SMALL, **RUNS),
    "landscape-noisy": landscape.Noisy(1, m=20, d=4, n=60, t_end=100.0),
    "landscape-switches": landscape.CertifiedSwitches(1, **ALL_FOUR, **SMALL),
    "landscape-published": landscape.PublishedLandscape(1, population=1.0, times=(0.0, 5.0, 20.0)),
    "landscape-published-certified": landscape.CertifiedPublished(1, times=(0.0, 5.0, 20.0)),
    "landscape-escape": landscape.Escape(1, d=4, n=20, m=20, sizes=(1e-2,)),
    "landscape-starts": landscape.ManyStarts(
        1, n_starts=3, d=5, n=20, m=40, n_test=50, t_end=100.0
    ),
    # Joint learning
    "joint-explicit": joint.Solution(1, 1, 5, n=20, widths=(64, 256)),
    "joint-leaks": joint.Budgets(1, 1, 5, 40, n_signs=3),
    "joint-norms": joint.Norms(1, 2, m=64, dims=(4, 6)),
    "joint-gap": joint.Gap(1, 1, 5, 20, norm=1e-3, **FIT),
    "joint-complexity": joint.GapClass(1, 1, 5, 20, n_validation=40, n_test=60, m=40),
    # Gradient descent end to end
    "end-to-end": end_to_end.Descent(1, 2, 4, 30, n_times=5, n_signs=3, **FIT),
    "end-to-end/descent": end_to_end.Descent(
        1, 1, 5, 20, method="descent", step=0.5, penalties=(1e-3, 1.0, 1e-2, 1e-3), n_times=5, **FIT
    ),
    "end-to-end/perturbed": end_to_end.Descent(
        1, 1, 5, 20, method="perturbed", **FIT | {"t_end": 300.0}
    ),
    "end-to-end-network": end_to_end.FullNetwork(1, 1, 5, 20, norm=1e-3, **FIT),
    "end-to-end-guarantee": end_to_end.Guaranteed(1, 2, 4, 30, n_times=5, **FIT),
    "end-to-end-complexity": end_to_end.DescentClass(
        1, 2, 4, 30, n_validation=40, n_test=60, m=40
    ),
    "end-to-end-noisy": end_to_end.Noisy(1, 1, 4, 60, m=20, n_test=60, n_signs=3, t_end=100.0),
    "end-to-end-wider": end_to_end.Wider(1, 2, 4, 30, **FIT),
    "end-to-end-required": end_to_end.Required(dims=(5, 8), errors=(0.5,)),
    # Sample complexity
    "complexity-ntk": sample_complexity.NTK(1, 2, 4, 30, n_validation=40, n_test=60),
    "complexity-joint": sample_complexity.Joint(
        1, 2, 4, 30, n_times=5, empirical=(0.0, 1.0), **FIT
    ),
    "complexity-quadntk": sample_complexity.QuadNTK(
        1, 2, 4, 30, n_times=5, scales=(0.1, 1.0), norms=(1e-3, 0.0), **FIT
    ),
    "complexity-noisy-ntk": sample_complexity.NoisyNTK(1, 2, 4, 30, n_validation=40, n_test=60),
    "complexity-noisy-joint": sample_complexity.NoisyJoint(
        1, 1, 4, 30, n_times=5, empirical=(0.0, 1.0), **FIT
    ),
    "complexity-joint-width": sample_complexity.JointWidth(
        1, 2, 4, 30, n_times=5, empirical=(1.0, 2.0), **FIT
    ),
    "complexity-split-joint": baselines.SplitJoint(
        1, 2, 4, 30, n_times=5, empirical=(0.0, 1.0), **FIT
    ),
    "complexity-split-quadntk": baselines.SplitQuadNTK(
        1, 2, 4, 30, n_times=5, scales=(0.1, 1.0), norms=(1e-3,), **FIT
    ),
    "complexity-network": baselines.Network(
        1, 2, 4, 30, n_times=5, empirical=(0.0, 1.0), **FIT
    ),
    "complexity-two-step": baselines.TwoStep(
        1, 2, 4, 30, n_times=5, scales=(0.1, 1.0), norms=(1e-3,), **FIT
    ),
    "other-ways": other_ways.Climb(1, "joint", "both", 1, 5, **CLIMB),
    "other-ways/steps": other_ways.Climb(1, "reused-batch", "both", 1, 5, **CLIMB),
    # Networks beyond the model
    "mlp": mlp.Climb(1, 6, "published", (1.0, 2.0), width=8, steps=40, n_test=50, n_times=5),
    "mlp/normalized": mlp.Climb(1, 6, "normalized", (1.0,), width=8, steps=40, n_test=50),
    "mlp/constant": mlp.Climb(
        1, 6, "constant", (1.0, 2.0), level=2.12, width=8, steps=40, n_test=50, n_times=5
    ),
    "cnn": Convolutional(1, n_train=12, n_test=8, channels=2, batch=5, epochs=4, n_times=4),
    "cnn/gelu": Convolutional(
        1, n_train=12, n_test=8, channels=2, activation="gelu", batch=5, epochs=2, n_times=3
    ),
    "modules-closed-form": any_module.ClosedForm(1, d=4, pairs=4, n=10, n_k=3),
    "modules-remainder": any_module.Remainder(1, "mlp", "tanh", n=20, halvings=3),
    "modules-remainder/cnn": any_module.Remainder(1, "cnn", "softplus", n=10, halvings=3),
    "modules-sweep": layer_sweep.LayerSweep(
        1, names=("Linear", "LayerNorm", "LSTM", "EmbeddingBag", "checkpoint")
    ),
    "own-network": own_network.OwnNetwork(
        1, n=10, n_test=12, width=8, n_k=3, leaks=(1.0, 3.0), decays=(0.1,), steps=20, every=10
    ),
    "good-directions-study": real_data.RealData(
        1, "iris", 10, "tanh", (6,), "momentum", 1.0, (1.0, 10.0), (1e-3, 0.1), steps=10, moments=3
    ),
    "good-directions-study/relu": real_data.RealData(
        *(1, "diabetes", 10, "relu", (5, 4), "adam", 0.003, (1.0, 10.0), (0.1, 1.0)),
        steps=10,
        moments=3,
    ),
    "good-directions-more": follow_up.FollowUp(
        *(1, "wine", 10, "tanh", (6,), "momentum", 1.0, (0.5, 5.0), (1e-3, 0.1)),
        steps=10,
        moments=3,
        loss="cross-entropy",
    ),
    "good-directions-more/relu": follow_up.FollowUp(
        *(1, "cancer", 10, "relu", (5, 4), "adam", 0.003, (0.1, 1.0), (0.1, 1.0)),
        steps=10,
        moments=3,
        loss="cross-entropy",
    ),
}  # fmt: skip


@contextmanager
def published_size_made_small() -> Iterator[None]:
    """The runs that fix the published size inside take the one of :data:`CURVE` for it."""

    def small(seed: int, empirical: float, population: float, n_test: int, **laws) -> curves.Curve:
        weights = {"penalty_empirical": empirical, "penalty_population": population}
        return CURVE.at(seed=seed, **weights, n_test=min(n_test, CURVE.n_test), **laws)

    with patch.object(landscape, "Curve", small):
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order: torch and every other BLAS on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def asked() -> Iterator[dict[str, float]]:
    """The numbers that perturbed descent is asked with: of some, small runs meet no use."""
    found: dict[str, float] = {}
    with ExitStack() as stack:
        for module in (end_to_end, landscape):
            descend = module.perturbed_descent

            def told(*args, descend=descend, **options):
                numbers = {k: v for k, v in options.items() if isinstance(v, (int, float))}
                found.update({f"asked_{name}": float(v) for name, v in numbers.items()})
                return descend(*args, **options)

            stack.enter_context(patch.object(module, "perturbed_descent", told))
        yield found


def run(point: Point) -> LiveResult:
    """The point, computed now."""
    with one_thread(), published_size_made_small(), asked() as numbers:
        result = run_live(point)
        return replace(result, summary=result.summary | numbers)
