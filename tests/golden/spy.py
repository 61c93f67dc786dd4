"""What a run really draws: its inputs and weights are looked at, its tools are listened to."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

from torch import Tensor

from escape_ntk.models import data, network, pairs
from escape_ntk.risk import constructions
from escape_ntk.risk import projectors as directions


@dataclass
class Seen:
    """The laws of all inputs and weights that were drawn, and the tools that were made."""

    inputs: set[str] = field(default_factory=set)
    weights: set[str] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)


def law(rows: Tensor, square: float) -> str:
    """``"sphere"`` when every row has this square of its length, else ``"gaussian"``."""
    off = (rows.double().square().sum(1) / square - 1).abs().max()
    return "sphere" if float(off) < 1e-5 else "gaussian"


@contextmanager
def spied() -> Iterator[Seen]:
    """Watch every draw and every tool of the package while the block runs."""
    seen = Seen()

    def inputs(x: Tensor) -> None:
        seen.inputs.add(law(x, x.shape[1]))

    def weights(w: Tensor) -> None:
        seen.weights.add(law(w, 1.0))

    with ExitStack() as stack:
        _everywhere(stack, data.inputs_of_law, inputs)
        _everywhere(stack, network.weights_of_law, weights)
        for tool in (network.paired_network, data.random_signs, constructions.represent_power):
            _everywhere(stack, tool, functools.partial(_note, seen, tool.__name__))
        tools = (pairs.PairFeatures, directions.TrainingProjector, directions.PopulationProjector)
        for kind in tools:
            told = _told(kind.__init__, functools.partial(_note, seen, kind.__name__))
            stack.enter_context(patch.object(kind, "__init__", told))
        yield seen


def _note(seen: Seen, name: str, result: object) -> None:
    seen.tools.add(name)


def _told(function: Callable, tell: Callable) -> Callable:
    """The same function, whose results are told."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        result = function(*args, **kwargs)
        tell(result)
        return result

    return wrapped


def _everywhere(stack: ExitStack, function: Callable, tell: Callable) -> None:
    """Tell of a function under every name by which a module of the package knows it."""
    told = _told(function, tell)
    for place, module in list(sys.modules.items()):
        if place.partition(".")[0] == "escape_ntk":
            for name, value in list(vars(module).items()):
                if value is function:
                    stack.enter_context(patch.object(module, name, told))
