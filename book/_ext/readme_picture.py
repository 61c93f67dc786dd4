"""Draw the README's picture from the records: ``book/_static/published-figure.png``.

Called by ``make picture``.
"""

from __future__ import annotations

from pathlib import Path

from escape_ntk import figures
from escape_ntk.claims import comparisons as ledger
from escape_ntk.claims.ledger import require
from escape_ntk.experiments import published_figure as experiment
from escape_ntk.records import RecordStore, default_root

TARGET = Path(__file__).parents[1] / "_static" / "published-figure.png"


def main() -> None:
    """Draw and save."""
    store = RecordStore(default_root())
    runs = {
        lam: require(experiment.figure_points(ledger.SEEDS, lambdas=(lam,)), store, ledger.COMMAND)
        for lam in experiment.LAMBDAS
    }
    figure = figures.figure_panels(runs, ("test_loss", "penalty"))
    figure.savefig(TARGET, dpi=150, metadata={"Software": None})
    print(TARGET)


if __name__ == "__main__":
    main()
