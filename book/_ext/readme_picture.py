"""Draw the README's picture from the records: ``book/_static/published-figure.png``.

Called by ``make picture``.
"""

from __future__ import annotations

from pathlib import Path

from escape_ntk.chapters import figures
from escape_ntk.chapters.published_figure import comparisons as ledger
from escape_ntk.chapters.published_figure import runs as experiment
from escape_ntk.records.store import RecordStore, default_root
from escape_ntk.study.claims import require

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
