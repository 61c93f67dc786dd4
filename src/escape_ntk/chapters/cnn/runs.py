"""Experiment behind the chapter *Convolutional networks*: a network and its Taylor models.

Three models start from one initialisation θ₀ and are trained on the same mini-batches: the network
f(θ₀ + Δ), the quadratic model f(θ₀) + f_L + f_Q, and the linear model f(θ₀) + f_L, each a function
of its own movement Δ.  Network, loss and optimiser are those of the authors' notebook [C].
"""

import copy
import hashlib
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from escape_ntk import checks
from escape_ntk.chapters.cnn import chapter
from escape_ntk.models.images import Images, Split, cifar10, digits
from escape_ntk.models.made_images import LAYOUT, made_images
from escape_ntk.models.modules import ModuleFeatures
from escape_ntk.numerics.stats import rms
from escape_ntk.study.point import Draws, Point, Result
from escape_ntk.study.sampling import accuracy, finite
from escape_ntk.training.run import UNSAVED, Run
from escape_ntk.training.trajectory import Outcome, Recorder, integer_times, log_times

DATA = ("digits", "cifar10", "made")
PACKED = DATA[1:]
"""What is read from an archive in a folder."""
MODELS = ("network", "quadratic", "linear")
"""What is trained; also the order of the rows of a state (3, P)."""
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU}


def convolutional(
    channels: int,
    activation: str,
    planes: int,
    side: int,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> nn.Sequential:
    """Four times 3×3 convolution, activation, 2×2 average pooling; then a linear head, one output.

    Images are planes × side × side.  Weights are uniform with variance 1/(2 fan-in), biases 0, as
    in the authors' notebook [C]; drawn in float64 and rounded.  A side that is odd is rounded up
    when it is pooled, and one pixel stays one: digits (8) end at 1, CIFAR-10 (32) at 2.
    """
    act = ACTIVATIONS[checks.one_of("activation", activation, tuple(ACTIVATIONS))]
    checks.integer("channels", channels, least=1)
    checks.integer("side", side, least=1)

    def drawn(kind: type[nn.Module], *sizes: int, **options) -> nn.Module:
        layer = nn.utils.skip_init(kind, *sizes, **options, dtype=dtype)  # no global generator
        weight, bias = layer.parameters()
        bound = math.sqrt(1.5 / math.prod(weight.shape[1:]))
        drawn = 2 * torch.rand(weight.shape, generator=generator, dtype=torch.float64) - 1
        with torch.no_grad():
            weight.copy_(drawn * bound)
            bias.zero_()
        return layer

    layers: list[nn.Module] = []
    for inputs in (planes, channels, channels, channels):
        layers += [drawn(nn.Conv2d, inputs, channels, 3, padding=1), act()]
        layers.append(nn.AvgPool2d(2, ceil_mode=True))
        side = -(-side // 2)
    return nn.Sequential(*layers, nn.Flatten(), drawn(nn.Linear, channels * side**2, 1))


@dataclass(frozen=True)
class Inputs:
    """Features and labels of some images, with the network's outputs at θ₀."""

    features: ModuleFeatures
    y: Tensor
    start: Tensor

    @classmethod
    def of(cls, features: ModuleFeatures, images: Images) -> "Inputs":
        """The module of ``features`` at these images."""
        there = features.at(images.X.to(features.X))
        with torch.no_grad():
            start = there.value(torch.zeros(there.size).to(there.X))
        return cls(there, images.y.to(there.X), start)

    def batch(self, rows: Tensor) -> "Inputs":
        """These rows."""
        features = self.features.at(self.features.X[rows])
        return Inputs(features, self.y[rows], self.start[rows])

    def prediction(self, model: str, movement: Tensor) -> Tensor:
        """(n,) outputs of one of the three models at Δ (P,); differentiable in Δ."""
        if model == "network":
            return self.features.value(movement)
        if model == "quadratic":
            return self.start + sum(self.features.terms(movement))
        return self.start + self.features.linear(movement)

    def loss_gradient(self, model: str, movement: Tensor) -> tuple[float, Tensor]:
        """((1/n)Σ_i (f_i − y_i)², its gradient (P,) in Δ)."""
        at = movement.detach().requires_grad_()
        loss = (self.prediction(model, at) - self.y).square().mean()
        (gradient,) = torch.autograd.grad(loss, at)
        return float(loss.detach()), gradient


@dataclass(frozen=True)
class Observer:
    """What is measured of a state (3, P), one movement for each of MODELS."""

    train: Inputs
    test: Inputs
    size: float
    """‖θ₀‖."""
    passing: Mapping[str, float] = field(default_factory=dict)
    """By model, the mean of the batch losses of the epoch that has just passed."""

    def __call__(self, state: Tensor) -> dict[str, float]:
        """Losses, accuracies, sizes, distances; NaN for a model that has diverged.

        ``train_loss_…``: after the epoch; ``batch_loss_…``: the training loss as the authors'
        notebook counts it [C], the mean of the losses of its batches, each before its step; the
        same before the first epoch.  ``apart_…``: rms over the test images between the trained
        network and that trained Taylor model; ``own_…``: between the network and its own Taylor
        terms at its own movement.
        """
        out = {}
        with torch.no_grad():
            ends = {m: self.test.prediction(m, d) for m, d in zip(MODELS, state, strict=True)}
            for model, movement in zip(MODELS, state, strict=True):
                seen = self.train.prediction(model, movement)
                pairs = {"train": (seen, self.train.y), "test": (ends[model], self.test.y)}
                for name, (prediction, y) in pairs.items():
                    out[f"{name}_loss_{model}"] = float((prediction - y).square().mean())
                    out[f"{name}_accuracy_{model}"] = accuracy(prediction, y)
                out[f"size_{model}"] = rms(ends[model])
                out[f"moved_{model}"] = float(movement.norm()) / self.size
                out[f"batch_loss_{model}"] = self.passing.get(model, out[f"train_loss_{model}"])
            for model in MODELS[1:]:
                own = self.test.prediction(model, state[0])
                out[f"apart_{model}"] = rms(ends["network"] - ends[model])
                out[f"own_{model}"] = rms(ends["network"] - own)
        return out


@dataclass(frozen=True)
class Schedule:
    """Plain SGD: Δ ← Δ − step·∇(mean square) over the rows of each batch, epoch by epoch."""

    step: float
    batch: int
    orders: Tensor
    """(epochs, n): in which order each epoch meets the images; its last batch may be smaller."""
    passing: dict[str, float] = field(default_factory=dict)
    """By model, the mean of the batch losses of the last epoch; :meth:`epoch` writes it."""

    def epoch(self, inputs: Inputs, state: Tensor, number: int) -> None:
        """One epoch of all three models, in place; a model with a loss not finite becomes NaN."""
        batches = self.orders[number].split(self.batch)
        self.passing.update(dict.fromkeys(MODELS, 0.0))
        for rows in batches:
            batch = inputs.batch(rows)
            for model, movement in zip(MODELS, state, strict=True):
                if movement[0].isnan():
                    self.passing[model] = math.nan
                    continue
                loss, gradient = batch.loss_gradient(model, movement)
                self.passing[model] += loss / len(batches)
                if math.isfinite(loss) and bool(gradient.isfinite().all()):
                    movement.sub_(gradient, alpha=self.step)
                else:
                    movement.fill_(math.nan)


def train(inputs: Inputs, schedule: Schedule, recorder: Recorder, run: Run = UNSAVED) -> Tensor:
    """The state (3, P) after all epochs; the recorder's times are epochs."""
    state = inputs.features.X.new_zeros(len(MODELS), inputs.features.size)
    done, epochs = 0, len(schedule.orders)
    run = run.part()
    saved = run.load()
    if saved is not None:
        recorder.restore(saved)
        state.copy_(torch.from_numpy(np.array(saved["state"])))
        done = int(saved["done"])
        schedule.passing.update(zip(MODELS, saved["passing"].tolist(), strict=True))
    with tqdm(
        total=epochs,
        initial=done,
        desc=run.progress,
        disable=run.progress is None,
        delay=2,
        leave=False,
    ) as bar:
        while True:
            if recorder.next_time == done:
                recorder.record(state)
            if done == epochs:
                return state
            schedule.epoch(inputs, state, done)
            done += 1
            bar.update()
            if run.due():
                passing = np.array([schedule.passing[model] for model in MODELS])
                kept = {"state": state.cpu().numpy().copy(), "done": done, "passing": passing}
                run.save(kept | recorder.dump())


@dataclass(frozen=True)
class Convolutional(Point):
    """The network, f_L + f_Q and f_L on two classes of images, over the epochs.

    As published [C]: :func:`convolutional`, mean square on ±1, SGD in batches of 64; published are
    512 channels with step 5e-3 and CIFAR-10, 3 against 7, for 100 epochs.  With fewer channels
    step × channels stays 2.56, so that f_L moves as fast.  Unlike the notebook we draw the order of
    the images anew for every epoch, and keep the last, smaller batch.

    ``root`` is the folder of the archive, ``device`` where to compute: no fields but attributes
    that travel with the point, to other processes as well.  They are no part of the configuration,
    of equality or of the record's key: the archive is known by its MD5, wherever it lies, and the
    numbers are those of the CPU up to rounding.  What is drawn is drawn on the CPU.
    """

    experiment: ClassVar[str] = "cnn"
    draws: ClassVar[Draws] = Draws()

    seed: int
    data: str = "digits"
    classes: tuple[int, int] = (3, 8)
    n_train: int = 240
    n_test: int = 108
    channels: int = 32
    activation: str = "relu"
    step: float = 0.08
    batch: int = 64
    epochs: int = 300
    n_times: int = 21
    root: InitVar[Path | str | None] = None
    device: InitVar[str | None] = None

    def __post_init__(self, root, device):
        checks.integer("seed", self.seed, least=0)
        checks.one_of("data", self.data, DATA)
        checks.one_of("activation", self.activation, tuple(ACTIVATIONS))
        checks.number("step", self.step, least=0, strict=True)
        for name, least in (("channels", 1), ("batch", 1), ("epochs", 2)):
            checks.integer(name, getattr(self, name), least=least)
        if root is not None and self.data not in PACKED:
            raise checks.InputError(
                checks.message(
                    expected=f"a folder of images only for {' and '.join(PACKED)}",
                    got=f"{root} for {self.data}",
                    remedy="--data cifar10 (data='cifar10'), or no --root",
                )
            )
        object.__setattr__(self, "root", None if root is None else Path(root).absolute())
        object.__setattr__(self, "device", device)

    def compute(self, run: Run = UNSAVED) -> Result:
        """(the last of each measurement and how each model ended, measurements over the epochs).

        What is drawn from the seed, in this order: the split, the weights, the batches.  The names
        are explained by :class:`Observer`; a number that is not finite is None in the summary.
        """
        generator = torch.Generator().manual_seed(self.seed)
        split = self.images(generator)
        module, features = self.network(split, generator)
        seen, test = Inputs.of(features, split.train), Inputs.of(features, split.test)
        size = float(features.join(features.start).norm())
        orders = [torch.randperm(len(split.train), generator=generator) for _ in range(self.epochs)]
        schedule = Schedule(self.step, self.batch, torch.stack(orders))
        recorder = Recorder(self.times(), Observer(seen, test, size, schedule.passing))
        state = train(seen, schedule, recorder, run)
        values = recorder.values()
        return {
            "n_parameters": features.size,
            "steps": self.epochs * math.ceil(self.n_train / self.batch),
            **outcomes(state),
            **finite({name: column[-1] for name, column in values.items()}),
            **finite(linear_limit(module, split)),
        }, {
            "times": recorder.times,
            "predictions": _predictions(test, state),
            "labels": split.test.y.numpy(),
            **values,
        }

    def network(self, split: Split, generator: torch.Generator) -> tuple[nn.Module, ModuleFeatures]:
        """The module at θ₀ and its features at the training images, on the point's device."""
        _, planes, side, _ = split.train.X.shape
        module = convolutional(self.channels, self.activation, planes, side, generator)
        place = vars(self)["device"]
        module = module.to(place)
        return module, ModuleFeatures(module, split.train.X.to(place))

    def images(self, generator: torch.Generator) -> Split:
        """Training and test images, both half and half."""
        if self.data == "digits":
            sizes = {"n_train": self.n_train, "n_test": self.n_test}
            return digits(generator, self.classes, **sizes)
        read = cifar10 if self.data == "cifar10" else made_images
        both = read(vars(self)["root"], self.classes)
        return both.balanced(self.n_train, self.n_test, generator)

    def times(self) -> np.ndarray:
        """The epochs after which all is measured: 0, 1, …, the last, even in their logarithm."""
        return integer_times(log_times(float(self.epochs), self.n_times))


LIMIT_LARGEST = 2000
"""No kernel matrix beyond this many training images."""


def linear_limit(module: nn.Module, split: Split) -> dict[str, float]:
    """Test loss and accuracy of f(θ₀) + f_L after endless gradient flow: kernel regression.

    f(x) = f(x; θ₀) + K(x, X)K⁺(y − f(X; θ₀)), in float64; NaN beyond :data:`LIMIT_LARGEST` images.
    θ₀ is what the module's parameters are now.
    """
    names = ("test_loss_limit", "test_accuracy_limit")
    if len(split.train) > LIMIT_LARGEST:
        return dict.fromkeys(names, math.nan)
    features = ModuleFeatures(copy.deepcopy(module).cpu().double(), split.train.X.double())
    train, test = (Inputs.of(features, images) for images in (split.train, split.test))
    gram, across = (i.features.cross_gram(train.features) for i in (train, test))
    dual = torch.linalg.pinv(gram, hermitian=True) @ (train.y - train.start)
    prediction = test.start + across @ dual
    loss = float((prediction - test.y).square().mean())
    return dict(zip(names, (loss, accuracy(prediction, test.y)), strict=True))


def outcomes(state: Tensor) -> dict[str, str]:
    """How each model ended."""
    ends = {True: Outcome.DIVERGED, False: Outcome.REACHED_END}
    rows = zip(MODELS, state, strict=True)
    return {f"outcome_{model}": str(ends[bool(row.isnan().any())]) for model, row in rows}


def _predictions(test: Inputs, state: Tensor) -> np.ndarray:
    """(3, n_test) outputs at the end, in the order of MODELS."""
    with torch.no_grad():
        rows = [test.prediction(m, d) for m, d in zip(MODELS, state, strict=True)]
    return torch.stack(rows).cpu().numpy()


# ---------------------------------------------------------------- what a run would take

QUICK = 0.5
"""Seconds for two images, above which a batch is not timed but scaled up from them."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of one run and its memory, from a few timed steps."""

    seconds: float
    gib: float
    device: str

    @classmethod
    def of(cls, point: Convolutional) -> "Estimate":
        """One step of each model and the measurement of a few images, timed where ``point`` runs.

        Each is done once before it is timed.  The memory is the most that was held meanwhile: on a
        CUDA device by PyTorch, else by this process, images included.
        """
        device = torch.device(vars(point)["device"] or "cpu")
        generator = torch.Generator().manual_seed(point.seed)
        split = point.images(generator)
        _, features = point.network(split, generator)
        train = Inputs.of(features, split.train)
        zero = train.features.X.new_zeros(len(MODELS), features.size)

        def steps(batch: Inputs) -> float:
            return _timed(lambda: [batch.loss_gradient(m, zero[0]) for m in MODELS], device)

        pair = train.batch(torch.arange(2))
        rows = min(point.batch, len(split.train))
        step = steps(pair)
        if step < QUICK:
            step = steps(train.batch(torch.arange(rows)))
        else:
            step *= rows / 2
        few = pair if step > QUICK * rows / 2 else train.batch(torch.arange(rows))
        look = _timed(lambda: Observer(few, few, 1.0)(zero), device) / (2 * len(few.y))
        images = len(split.train) + len(split.test)
        batches = point.epochs * math.ceil(len(split.train) / point.batch)
        seconds = batches * step + len(point.times()) * images * look
        return cls(seconds, _peak(device) / 2**30, str(device))

    def __str__(self) -> str:
        for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1)):
            if self.seconds >= 2 * size or size == 1:
                time = f"{self.seconds / size:.0f} {unit}"
                return f"one would take about {time} on {self.device}, and {self.gib:.1f} GiB"
        raise AssertionError("a second is the least unit")


def _timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the second of two times."""

    def once() -> float:
        before = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - before

    once()
    return once()


def _peak(device: torch.device) -> float:
    """The most bytes that PyTorch, or else this process, has held; NaN where nothing tells."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    try:
        import resource  # not on Windows
    except ImportError:
        return math.nan
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def forecast(point: Convolutional) -> str:
    """What one run from an archive would take; of digits nothing is said."""
    if point.data not in PACKED:
        return ""
    words = str(Estimate.of(point))
    if point.data == "made":
        there = Path(vars(point)["root"]) / LAYOUT.archive
        md5 = hashlib.md5(there.read_bytes(), usedforsecurity=False).hexdigest()
        words += f"; {there} has been made, of MD5 {md5}"
    return words


SEEDS = (1, 2, 3, 4, 5)
CIFAR = {"classes": (3, 7), "n_train": 10_000, "n_test": 2000, "epochs": 100}
"""All images of the published classes for the published epochs.  [C]"""
MADE = {"classes": (3, 7), "n_train": 100, "n_test": 20, "channels": 4, "step": 0.64, "epochs": 8}
FULL = {"digits": {}, "cifar10": CIFAR | {"channels": 512, "step": 5e-3}, "made": MADE}
SMALL = {"n_train": 1000, "n_test": 500, "channels": 8, "step": 0.32, "epochs": 8, "n_times": 7}
LIVE = {
    "digits": {"channels": 16, "step": 0.16, "epochs": 60, "n_times": 13},
    "cifar10": CIFAR | SMALL,
    "made": MADE,
}


def full_points(
    seeds: Sequence[int],
    data: str = "digits",
    root: Path | str | None = None,
    activation: str | None = None,
) -> list[Convolutional]:
    """On digits the published activation, ReLU, and a smooth one, GELU; elsewhere ReLU; or one."""
    size = FULL[checks.one_of("data", data, DATA)]
    usual = tuple(ACTIVATIONS) if data == "digits" else ("relu",)
    return [
        Convolutional(seed, data, activation=chosen, root=root, **size)
        for chosen in (usual if activation is None else (activation,))
        for seed in seeds
    ]


def live_points(
    seeds: Sequence[int],
    data: str = "digits",
    root: Path | str | None = None,
    activation: str = "relu",
) -> list[Point]:
    """A few channels, for some epochs."""
    size = LIVE[checks.one_of("data", data, DATA)]
    return [Convolutional(seed, data, activation=activation, root=root, **size) for seed in seeds]


LONG = {"epochs": 1500, "n_times": 31}
"""The budget of the digits, five times over: f_L + f_Q is to come near its end."""


def long_points(seeds: Sequence[int]) -> list[Convolutional]:
    """Each run of :func:`full_points` on digits, continued: same draws, more epochs."""
    return [replace(point, **LONG) for seed in seeds for point in full_points([seed])]


chapter.experiment(
    "cnn",
    "A convolutional network on images beside its quadratic and its linear Taylor model",
    SEEDS,
    live_points,
    full_points,
    DATA,
    activations=tuple(ACTIVATIONS),
    placed=True,
    forecast=forecast,
)
chapter.experiment(
    "cnn-long",
    "The same on digits until the quadratic model is near its end",
    SEEDS,
    live_points,
    long_points,
    placed=True,
)
