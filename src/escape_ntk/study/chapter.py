"""A chapter of the book: one folder, in which what it runs, claims, shows and assumes registers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, Union

from escape_ntk import checks
from escape_ntk.display import html
from escape_ntk.study import reading
from escape_ntk.study.claims import Claim, Finding, Measure, Runs
from escape_ntk.study.plans import Experiment, Plan, commands
from escape_ntk.study.sweep import Together
from escape_ntk.study.theorems import Entry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

V = TypeVar("V")
Shown = Union["Figure", html.Html]
"""What a page shows: a figure, or a table or a figure to move as HTML."""
Draw = Callable[[Runs], Shown]
Row = Sequence[object]


@dataclass(frozen=True)
class Chapter:
    """The chapter in the folder ``package``, ``number`` in the book; its page is ``name``.md."""

    package: str
    number: int
    experiments: list[Experiment] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    theorems: list[Entry] = field(default_factory=list)
    pieces: dict[str, Draw] = field(default_factory=dict)
    """What the page can :meth:`show`, by name."""

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
        **more: Any,
    ) -> Experiment:
        """Make what can be run by ``name``: see :class:`~escape_ntk.study.plans.Experiment`."""
        made = Experiment(name, title, seeds, live, full, data, together, **more)
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
        after: str = "",
        identity: bool = False,
    ) -> Callable[[Measure[V]], Measure[V]]:
        """Put ``measure`` into the ledger; without it, a decorator for the measurement below."""

        def register(measure: Measure[V]) -> Measure[V]:
            words = (id, self.name, statement, source, target, tolerance, broken)
            self.claims.append(Claim(*words, measure, judge, after, identity))
            return measure

        if measure is not None:
            register(measure)
        return register

    def assume(self, *entries: Entry) -> None:
        """Say what statements of this chapter assume."""
        self.theorems.extend(entries)

    def figure(self, name: str) -> Callable[[Draw], Draw]:
        """A decorator for what draws the figure ``name`` of the page from its runs."""

        def register(draw: Draw) -> Draw:
            self.pieces[name] = draw
            return draw

        return register

    def table(
        self, name: str, header: Sequence[str], caption: str = ""
    ) -> Callable[[Callable[[Runs], Sequence[Row]]], Callable[[Runs], Sequence[Row]]]:
        """A decorator for what makes the rows of the table ``name`` from its runs."""

        def register(rows: Callable[[Runs], Sequence[Row]]) -> Callable[[Runs], Sequence[Row]]:
            self.pieces[name] = lambda runs: html.table(header, rows(runs), caption)
            return rows

        return register

    def show(self, name: str, *, origin: bool | None = None) -> html.Html | reading.Picture:
        """In a cell of the page: the piece ``name``, with the strip that says where it comes from.

        A figure is handed to the page, which sets it where it says so; its strip is what the cell
        shows.  ``origin``: whether there is a strip; a table has none unless it is asked for.
        In a reader's notebook the cell shows the figure itself.
        """
        runs = Runs()
        draw = self.pieces[checks.one_of("piece of the page", name, tuple(self.pieces))]
        if reading.begun():
            return reading.shown(name, lambda: draw(runs))
        piece = draw(runs)
        strip = html.provenance(runs.read, commands(runs.points, self.experiments))
        if isinstance(piece, html.Html):
            return html.Html(piece.text + strip.text) if origin else piece
        _hand_over(name, piece)
        return strip

    @staticmethod
    def live(name: str, figure: "Figure", what: str) -> html.Html | reading.Picture:
        """In a cell of the page: the ``figure`` of ``what`` it just computed, and its strip.

        The page sets it where it says ``name``.
        """
        if reading.begun():
            return reading.picture(name, figure)
        _hand_over(name, figure)
        return html.live(what)


def _hand_over(name: str, figure: "Figure") -> None:
    from matplotlib import pyplot as plt  # a second to import: not for the command line
    from myst_nb import glue  # a page has it

    glue(name, figure, display=False)
    plt.close(figure)
