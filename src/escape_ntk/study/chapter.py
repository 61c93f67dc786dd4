"""A chapter of the book: one folder, in which what it runs, claims, shows and assumes registers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from escape_ntk.study.claims import Claim, Finding, Measure
from escape_ntk.study.plans import Experiment, Plan
from escape_ntk.study.sweep import Together

V = TypeVar("V")


@dataclass(frozen=True)
class Chapter:
    """The chapter in the folder ``package``, ``number`` in the book; its page is ``name``.md."""

    package: str
    number: int
    experiments: list[Experiment] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of its page: ``"ntk-limits"`` for the folder ``ntk_limits``."""
        return self.package.rpartition(".")[2].replace("_", "-")

    def experiment(
        self,
        name: str,
        title: str,
        seeds: tuple[int, ...],
        live: Plan,
        full: Plan,
        data: tuple[str, ...] = (),
        together: Together | None = None,
    ) -> Experiment:
        """Make what can be run by ``name``: see :class:`~escape_ntk.study.plans.Experiment`."""
        made = Experiment(name, title, seeds, live, full, data, together)
        self.experiments.append(made)
        return made

    def claim(
        self,
        id: str,
        statement: str,
        *,
        source: str,
        target: str,
        tolerance: str,
        broken: str,
        judge: Callable[[V], Finding],
        measure: Measure[V] | None = None,
    ) -> Callable[[Measure[V]], Measure[V]]:
        """Put ``measure`` into the ledger; without it, a decorator for the measurement below."""

        def register(measure: Measure[V]) -> Measure[V]:
            words = (id, self.name, statement, source, target, tolerance, broken)
            self.claims.append(Claim(*words, measure, judge))
            return measure

        if measure is not None:
            register(measure)
        return register
