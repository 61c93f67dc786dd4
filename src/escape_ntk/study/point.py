"""A point: one run of an experiment, a frozen dataclass of JSON values that registers itself.

Its fields are its configuration, by which its record is found; its class says what it draws, and
draws by it::

    @dataclass(frozen=True)
    class Width(Point):
        experiment: ClassVar[str] = "ntk-width"
        draws: ClassVar[Draws] = Draws("sphere", "sphere")

        seed: int
        m: int = 1000

        def compute(self, run: Run = UNSAVED) -> Result:
            ...
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from escape_ntk import checks
from escape_ntk.models.network import WEIGHT_LAWS
from escape_ntk.numerics.polynomials import LAWS
from escape_ntk.records.store import record_key
from escape_ntk.training.run import UNSAVED, Run

Result = tuple[dict, dict[str, np.ndarray]]
"""(summary, arrays) of a point."""
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


@dataclasses.dataclass(frozen=True)
class Draws:
    """The laws by which a run draws inputs and weights, and which of :data:`TOOLS` it uses.

    ``inputs`` as for :func:`~escape_ntk.models.data.draw_inputs` and ``weights`` as for
    :func:`~escape_ntk.models.network.draw_weights`; "" where none are drawn by such a law: images,
    exact spectra, networks with an initialisation of their own.  ``beside``: another law of inputs,
    for a claim's control or comparison.
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


KINDS: dict[str, type["Point"]] = {}
"""Experiment → its class: every class that was imported and names one."""


class Point:
    """One run; a subclass with an ``experiment`` of its own is in :data:`KINDS`."""

    experiment: ClassVar[str]
    """Where its records are kept; other classes may not take the same name."""
    draws: ClassVar[Draws]
    device = None
    """Where it computes, if not on the CPU: no part of its configuration."""
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        name = vars(cls).get("experiment")
        if name is not None and KINDS.setdefault(name, cls) is not cls:
            raise TypeError(f"expected one class for {name!r}; got {KINDS[name]} and {cls}")

    def compute(self, run: Run = UNSAVED) -> Result:
        """(summary, arrays) of this point; ``run`` goes on to whatever takes long."""
        raise NotImplementedError


def configuration(point: Point) -> dict:
    """The fields of a point, by which its record is addressed."""
    return dataclasses.asdict(point)


def from_configuration(experiment: str, config: Mapping[str, object]) -> Point:
    """The point of a record's configuration, of a class that was imported."""
    kind = KINDS[checks.one_of("experiment", experiment, tuple(KINDS))]
    return kind(**{name: _hashable(value) for name, value in config.items()})


def _hashable(value: object) -> object:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


_KEYS: dict[tuple[type, str], str] = {}


def key_of(point: Point) -> str:
    """The key of a point's record.

    Kept by class and ``repr``, which tells 1 from 1.0: points that are equal may differ in that.
    """
    said = type(point), repr(point)
    if said not in _KEYS:
        _KEYS[said] = record_key(point.experiment, configuration(point))
    return _KEYS[said]
