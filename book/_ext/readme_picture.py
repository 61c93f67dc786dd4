"""Draw the README's picture from the records: ``book/_static/published-figure.png``.

Called by ``make picture``.
"""

from __future__ import annotations

from pathlib import Path

from escape_ntk.chapters import figures
from escape_ntk.chapters.published_figure import comparisons as ledger
from escape_ntk.chapters.published_figure import runs as experiment
from escape_ntk.study.claims import Runs

TARGET = Path(__file__).parents[1] / "_static" / "published-figure.png"


def main() -> None:
    """Draw and save."""
    runs = Runs()
    curves = {
        lam: runs(experiment.figure_points(ledger.SEEDS, lambdas=(lam,)))
        for lam in experiment.LAMBDAS
    }
    figure = figures.figure_panels(curves, ("test_loss", "penalty"))
    figure.savefig(TARGET, dpi=150, metadata={"Software": None})
    print(TARGET)


if __name__ == "__main__":
    main()
