"""What a run draws and by which law: its class declares it, draws by it, and is asked for it."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass

from escape_ntk import checks, experiments
from escape_ntk.network import WEIGHT_LAWS
from escape_ntk.polynomials import LAWS

TOOLS = (
    "paired_network",
    "PairFeatures",
    "TrainingProjector",
    "PopulationProjector",
    "random_signs",
    "represent_power",
)
"""What hypotheses ask about beside the laws: pairs, projectors and random signs."""
PROJECTED = ("PairFeatures", "TrainingProjector")
"""The joint model of a training set, and P_{≤k} of it."""


@dataclass(frozen=True)
class Draws:
    """The laws by which a run draws inputs and weights, and which of :data:`TOOLS` it uses.

    ``inputs`` as for :func:`~escape_ntk.data.draw_inputs` and ``weights`` as for
    :func:`~escape_ntk.network.draw_weights`; "" where none are drawn by such a law: images, exact
    spectra, networks with an initialisation of their own.  ``beside``: another law of inputs, for a
    claim's control or comparison.
    """

    inputs: str = ""
    weights: str = ""
    beside: str = ""
    tools: tuple[str, ...] = ()

    def __post_init__(self):
        for name, laws in (("inputs", LAWS), ("weights", WEIGHT_LAWS), ("beside", LAWS)):
            if getattr(self, name):
                checks.one_of(f"law of {name}", getattr(self, name), laws)
        for tool in self.tools:
            checks.one_of("tool", tool, TOOLS)


@functools.cache
def classes() -> dict[str, type]:
    """Experiment → its class, for every class of the package that declares one."""
    found: dict[str, type] = {}
    for info in pkgutil.iter_modules(experiments.__path__):
        module = importlib.import_module(f"{experiments.__name__}.{info.name}")
        for kind in vars(module).values():
            own = inspect.isclass(kind) and kind.__module__ == module.__name__
            name = vars(kind).get("experiment") if own else None
            if isinstance(name, str) and found.setdefault(name, kind) is not kind:
                raise TypeError(f"{kind} and {found[name]} write one experiment")
    return found


def draws_of(experiment: str, config: Mapping[str, object]) -> Draws:
    """What a run of ``experiment`` with this configuration draws, by its class."""
    known = classes()
    kind = known[checks.one_of("experiment", experiment, tuple(known))]
    return kind(**{name: _hashable(value) for name, value in config.items()}).draws


def _hashable(value: object) -> object:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
