"""How many learnable directions, and how strong a penalty?  A grid, on validation data.

The directions are sought once, for the largest n_k: the others are the first of them.  [D]
"""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from escape_ntk import checks
from escape_ntk.risk.good_directions import GoodDirections

Train = Callable[[GoodDirections | None, float], float]
"""(penalty or None, λ) ↦ validation loss of the model, trained from where it stands."""


@dataclass(frozen=True, repr=False)
class Scan:
    """Validation losses (len(n_k), len(strengths)); ``plain`` without a penalty; NaN: diverged."""

    n_k: tuple[int, ...]
    strengths: tuple[float, ...]
    losses: np.ndarray
    plain: float

    @property
    def best(self) -> tuple[int, float, float]:
        """(n_k, λ, loss) of the least loss with a penalty; its loss is NaN if all diverged."""
        least = np.where(np.isnan(self.losses), np.inf, self.losses)
        i, j = np.unravel_index(int(least.argmin()), least.shape)
        return self.n_k[i], self.strengths[j], float(self.losses[i, j])

    @property
    def edges(self) -> tuple[str, ...]:
        """Where the best lies at an edge of the grid: a wider one may have a better."""
        n_k, strength, loss = self.best
        found = []
        if math.isnan(loss):
            return ()
        for name, value, grid in (("n_k", n_k, self.n_k), ("λ", strength, self.strengths)):
            if value == max(grid):
                found.append(f"{name} = {value:g} is the greatest of its grid")
            elif value == min(grid) and (name, value) != ("n_k", 1):
                found.append(f"{name} = {value:g} is the least of its grid")
        return tuple(found)

    def __repr__(self) -> str:
        head = "   n_k  " + "".join(f"{f'λ = {s:g}':>12}" for s in self.strengths)
        rows = [
            f"{k:>6}  " + "".join(f"{loss:>12.4g}" for loss in row)
            for k, row in zip(self.n_k, self.losses, strict=True)
        ]
        n_k, strength, loss = self.best
        if math.isnan(loss):
            plain = "diverged" if math.isnan(self.plain) else f"{self.plain:.4g}"
            said = f"every training with a penalty diverged; no penalty: {plain}"
            return "\n".join(["validation loss", head, *rows, said, "take smaller λ, or steps"])
        said = [f"best: n_k = {n_k}, λ = {strength:g}: {loss:.4g}; no penalty: {self.plain:.4g}"]
        if not loss < self.plain:
            said.append("no penalty is at least as good as any of these")
        said += [f"{edge}: widen it" for edge in self.edges]
        return "\n".join(["validation loss", head, *rows, *said])


def scan_good_directions(
    model: nn.Module,
    X: Tensor,
    train: Train | None = None,
    *,
    n_k: Sequence[int] = (1, 2, 5, 10, 20),
    strengths: Sequence[float] = (0.1, 1.0, 10.0),
    output: int | str | None = None,
    y: Tensor | None = None,
    validation: tuple[Tensor, Tensor] | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.mse_loss,
    steps: int = 1000,
    rate: float = 1e-3,
    batch: int = 64,
    progress: bool = True,
) -> Scan:
    """Train once for each n_k and λ, and once without; compare on validation data.  [D]

    Each training begins at the model's present parameters and with the same random numbers; after
    all the model is what it was before.

    Arguments:

    * ``model``, ``X``, ``output``: as for :class:`~escape_ntk.risk.good_directions.GoodDirections`;
    * ``train``: (penalty, λ) ↦ validation loss: trains ``model`` itself with the loss
      ``… + λ * penalty(batch)``; the penalty is None for the training without one.  None: a loop of
      its own, for which are
    * ``y``, ``validation``: labels of X, and a pair of further inputs and labels;
    * ``loss``: (model(X), y) ↦ number; (n, 1) becomes (n,) where y is;
    * ``steps``, ``rate``, ``batch``: of Adam, on batches drawn from X;
    * ``n_k``, ``strengths``: the grid;
    * ``progress``: a bar on stderr.

    Returns a :class:`Scan`: its ``repr`` is the table, with the best pair and whether it lies at an
    edge of the grid.

    Errors: :class:`~escape_ntk.checks.InputError` for an empty grid, a strength that is not
    positive, what fits no argument, a ``train`` that returns no number, and neither ``train`` nor
    labels;
    :class:`~escape_ntk.checks.ShapeError` for data on another device than X, and labels that mean
    squares cannot hold against the outputs.

    Example:

    >>> model, X = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)), torch.randn(30, 3)
    >>> data = {"y": X[:, 0], "validation": (X + 1, X[:, 0] + 1), "steps": 20}
    >>> scan_good_directions(model, X, n_k=(1, 4), strengths=(1.0,), **data).losses.shape
    (2, 1)
    """
    counts = sorted({checks.integer("n_k", k, least=1) for k in _grid("n_k", n_k)})
    strong = sorted(
        {checks.number("strength", s, least=0, strict=True) for s in _grid("strengths", strengths)}
    )
    if train is None:
        if y is None or validation is None:
            raise checks.InputError(
                checks.message(
                    expected="train=…, or y=… and validation=(X, y)",
                    got="neither",
                    remedy="labels for the loop that is built in, or a loop of your own",
                )
            )
        checks.instance("model", model, nn.Module, "a torch.nn.Module")
        _check_pair("X and y", (X, y), X)
        _check_pair("validation", validation, X)
        checks.integer("steps", steps, least=1)
        checks.number("rate", rate, least=0, strict=True)
        checks.integer("batch", batch, least=1)
        sizes = int(steps), float(rate), int(batch)
        train = _Loop(model, X, y, validation, _of_two("loss", loss), *sizes)
    _of_two("train", train)
    checks.flag("progress", progress)
    most = GoodDirections(model, X, counts[-1], output=output, progress=progress)
    start = {name: value.detach().clone() for name, value in model.state_dict().items()}
    losses = np.full((len(counts), len(strong)), math.nan)
    bar = tqdm(total=losses.size + 1, desc="scan", disable=not progress, delay=2, leave=False)

    def trained(penalty: GoodDirections | None, strength: float) -> float:
        with torch.random.fork_rng():
            model.load_state_dict(start)
            model.zero_grad(set_to_none=True)
            found = _number(train(penalty, strength))
        bar.update()
        return found if math.isfinite(found) else math.nan

    try:
        with bar:
            plain = trained(None, 0.0)
            for i, j in np.ndindex(losses.shape):
                losses[i, j] = trained(most.first(counts[i]), strong[j])
    finally:
        model.load_state_dict(start)
        model.zero_grad(set_to_none=True)
    return Scan(tuple(counts), tuple(strong), losses, plain)


@dataclass(frozen=True)
class _Loop:
    """Adam on batches of X; hands back the validation loss."""

    model: nn.Module
    X: Tensor
    y: Tensor
    validation: tuple[Tensor, Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    steps: int
    rate: float
    batch: int

    def __call__(self, penalty: GoodDirections | None, strength: float) -> float:
        trainable = [p for p in self.model.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(trainable, lr=self.rate)
        for _ in range(self.steps):
            rows = torch.randperm(len(self.X), device=self.X.device)[: self.batch]
            value = self._of(self.X[rows], self.y[rows])
            if penalty is not None:
                value = value + strength * penalty(self.X[rows])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        with torch.no_grad():
            return float(self._of(*self.validation))

    def _of(self, X: Tensor, y: Tensor) -> Tensor:
        out = self.model(X)
        out = out.squeeze(-1) if out.ndim == y.ndim + 1 and out.shape[-1] == 1 else out
        if self.loss is nn.functional.mse_loss and (out.shape, out.dtype) != (y.shape, y.dtype):
            raise checks.ShapeError(
                checks.message(
                    expected=f"labels of shape {tuple(out.shape)} and {out.dtype}, as the outputs",
                    got=f"shape {tuple(y.shape)}, {y.dtype}",
                    remedy="loss=torch.nn.functional.cross_entropy for classes, "
                    "y.view_as(model(X)).to(X) for numbers",
                )
            )
        return self.loss(out, y)


def _grid(name: str, values: Sequence) -> list:
    if isinstance(values, str | bytes) or not isinstance(values, Sequence) or not len(values):
        raise checks.InputError(
            checks.message(
                expected=f"{name} to be a list of values", got=repr(values), remedy=f"{name}=[1, 5]"
            )
        )
    return list(values)


def _number(loss: Any) -> float:
    """What ``train`` hands back, if it is one real number."""
    try:
        return float(loss)
    except (TypeError, ValueError, RuntimeError):
        raise checks.InputError(
            checks.message(
                expected="train(penalty, strength) to return the validation loss, one number",
                got=checks.shown(loss),
                remedy="return float(loss) at its end",
            )
        ) from None


def _of_two(name: str, value: Callable) -> Callable:
    """``value`` if it can be called with two arguments."""
    fits = callable(value) and not isinstance(value, type)
    if fits:
        try:
            inspect.signature(value).bind(None, None)
        except TypeError:
            fits = False
        except ValueError:  # a function in C that does not say
            pass
    if not fits:
        raise checks.InputError(
            checks.message(
                expected=f"{name} to be a function of two arguments",
                got=checks.shown(value),
                remedy="train(penalty, strength) → loss; loss(outputs, labels) → number",
            )
        )
    return value


def _check_pair(name: str, pair: Any, like: Tensor) -> None:
    """Refuse what is no pair of as many inputs as labels, where X is."""
    whole = isinstance(pair, tuple | list) and len(pair) == 2
    whole = whole and all(isinstance(p, Tensor) and p.ndim and not p.is_sparse for p in pair)
    if not whole or not len(pair[0]) or len(pair[0]) != len(pair[1]):
        raise checks.InputError(
            checks.message(
                expected=f"{name} to be two tensors of as many rows",
                got=", ".join(checks.shown(p) for p in pair)[:200]
                if isinstance(pair, tuple | list) and pair
                else checks.shown(pair),
                remedy="inputs and their labels: validation=(X, y)",
            )
        )
    if any(p.device != like.device for p in pair):
        devices = " and ".join(str(p.device) for p in pair)
        raise checks.ShapeError(
            checks.message(
                expected=f"{name} on {like.device}, where X is",
                got=devices,
                remedy="….to(X.device)",
            )
        )
