"""All claims of the book, in the order of its chapters."""

from escape_ntk import checks
from escape_ntk.claims import (
    cnn,
    directions,
    end_to_end,
    joint,
    landscape,
    mlp,
    ntk_limits,
    own_network,
    published_figure,
    quadntk,
    regularizer,
    sample_complexity,
    setup,
)
from escape_ntk.claims.ledger import Claim, Fate, MissingRecordError, Runs, Verdict
from escape_ntk.records import RecordStore

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
    """The ledger: one row for each claim, see :meth:`~escape_ntk.claims.ledger.Claim.evaluate`."""
    return [claim.evaluate(store) for claim in CLAIMS]
