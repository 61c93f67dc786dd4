"""Draw the README's picture from the records: ``book/_static/published-figure.png``.

Called by ``make picture``.
"""

from __future__ import annotations

from pathlib import Path

from escape_ntk.chapters.published_figure.page import home
from escape_ntk.study.claims import Runs

TARGET = Path(__file__).parents[1] / "_static" / "published-figure.png"


def main() -> None:
    """Draw and save."""
    figure = home(Runs())
    figure.savefig(TARGET, dpi=150, metadata={"Software": None})
    print(TARGET)


if __name__ == "__main__":
    main()
