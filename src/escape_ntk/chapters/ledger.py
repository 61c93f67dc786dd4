"""All claims of the book, in the order of its chapters."""

from escape_ntk import checks
from escape_ntk.chapters.cnn import claims as cnn
from escape_ntk.chapters.directions import claims as directions
from escape_ntk.chapters.end_to_end import claims as end_to_end
from escape_ntk.chapters.joint import claims as joint
from escape_ntk.chapters.landscape import claims as landscape
from escape_ntk.chapters.mlp import claims as mlp
from escape_ntk.chapters.ntk_limits import claims as ntk_limits
from escape_ntk.chapters.published_figure import claims as published_figure
from escape_ntk.chapters.quadntk import claims as quadntk
from escape_ntk.chapters.regularizer import claims as regularizer
from escape_ntk.chapters.sample_complexity import claims as sample_complexity
from escape_ntk.chapters.setup import claims as setup
from escape_ntk.chapters.your_network import claims as own_network
from escape_ntk.records.store import RecordStore
from escape_ntk.study.claims import Claim, Fate, MissingRecordError, Runs, Verdict

__all__ = [
    "CLAIMS",
    "Claim",
    "Fate",
    "MissingRecordError",
    "Runs",
    "Verdict",
    "claim",
    "evaluate_all",
]

CHAPTERS = (
    setup,
    ntk_limits,
    quadntk,
    directions,
    regularizer,
    landscape,
    joint,
    end_to_end,
    sample_complexity,
    mlp,
    cnn,
    own_network,
    published_figure,
)
CLAIMS: tuple[Claim, ...] = tuple(claim for part in CHAPTERS for claim in part.chapter.claims)


def claim(name: str) -> Claim:
    """The claim of this id; :class:`~escape_ntk.checks.UnknownNameError` otherwise."""
    known = {c.id: c for c in CLAIMS}
    return known[checks.one_of("claim", name, tuple(known))]


def evaluate_all(store: RecordStore) -> list[dict]:
    """The ledger: one row for each claim, see :meth:`~escape_ntk.study.claims.Claim.evaluate`."""
    return [claim.evaluate(store) for claim in CLAIMS]
