"""All claims of the book, in the order of its chapters."""

from escape_ntk.claims import (
    cnn,
    directions,
    end_to_end,
    exponents,
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
from escape_ntk.claims.ledger import Claim, Fate, MissingRecordError, Verdict
from escape_ntk.records import RecordStore

__all__ = ["CLAIMS", "Claim", "Fate", "MissingRecordError", "Verdict", "evaluate_all"]

CLAIMS: tuple[Claim, ...] = (
    *setup.CLAIMS,
    *ntk_limits.CLAIMS,
    *quadntk.CLAIMS,
    *directions.CLAIMS,
    *regularizer.CLAIMS,
    *landscape.CLAIMS,
    *joint.CLAIMS,
    *end_to_end.CLAIMS,
    *sample_complexity.CLAIMS,
    *exponents.CLAIMS,
    *mlp.CLAIMS,
    *cnn.CLAIMS,
    *own_network.CLAIMS,
    *published_figure.CLAIMS,
)


def evaluate_all(store: RecordStore) -> list[dict]:
    """The ledger: one row for each claim, see :meth:`~escape_ntk.claims.ledger.Claim.evaluate`."""
    return [claim.evaluate(store) for claim in CLAIMS]
