"""Draw pictures from the records: the README's two, and the card that a link to the book shows.

``book/_static/samples.png`` is the home page's figure, ``published-figure.png`` the published one;
``card.png`` has the book's name, its question and the first of them.  Called by ``make picture``.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from escape_ntk.chapters.published_figure.page import home
from escape_ntk.chapters.sample_complexity.page import thresholds_in_words
from escape_ntk.study.claims import Runs

FOLDER = Path(__file__).parents[1] / "_static"
CARD = (12.0, 6.3)
"""Inches, at 100 points each: what messengers show whole."""
GROUND, INK, LINE = "#0072b2", "#ffffff", "#f0e442"
"""Of the mark, ``favicon.svg``."""
QUESTION = "Can gradient descent on a wide network learn\nfrom few examples what no kernel can?"


def card(samples: Path) -> Figure:
    """The book's name and question on the mark's ground, above the drawing in ``samples``."""
    figure = plt.figure(figsize=CARD, dpi=100, facecolor=INK)
    band = figure.add_axes((0, 0.72, 1, 0.28), facecolor=GROUND)
    band.set(xlim=(0, 12), ylim=(0, 1.76), xticks=[], yticks=[])
    for spine in band.spines.values():
        spine.set_visible(False)
    band.text(0.5, 1.25, "Escaping the NTK regime", color=INK, size=30, weight="bold", va="center")
    band.text(0.5, 0.5, QUESTION, color=INK, size=17, va="center", linespacing=1.3)
    band.plot((9.7, 11.5), (0.35, 1.0), color=INK, alpha=0.55, lw=6, solid_capstyle="round")
    t = [i / 40 for i in range(41)]
    x = [9.7 * (1 - s) ** 2 + 2 * s * (1 - s) * 10.85 + s * s * 11.25 for s in t]
    y = [0.35 * (1 - s) ** 2 + 2 * s * (1 - s) * 0.42 + s * s * 1.5 for s in t]
    band.plot(x, y, color=LINE, lw=8, solid_capstyle="round")
    below = figure.add_axes((0.14, 0.01, 0.72, 0.7))
    below.imshow(plt.imread(samples), interpolation="lanczos")
    below.set_axis_off()
    return figure


def main() -> None:
    """Draw and save."""
    runs, plain = Runs(), {"metadata": {"Software": None}}
    for name, draw in (("published-figure", home), ("samples", thresholds_in_words)):
        draw(runs).savefig(FOLDER / f"{name}.png", dpi=150, **plain)
    card(FOLDER / "samples.png").savefig(FOLDER / "card.png", **plain)
    print(*sorted(FOLDER.glob("*.png")), sep="\n")


if __name__ == "__main__":
    main()
