"""What the page *Convolutional networks* shows, and from which runs."""

import base64
from collections.abc import Sequence

import numpy as np

from escape_ntk.chapters.cnn import chapter, figures
from escape_ntk.chapters.cnn import runs as e
from escape_ntk.chapters.cnn.claims import POINTS
from escape_ntk.display import html
from escape_ntk.display.svg import as_svg
from escape_ntk.records.store import Record
from escape_ntk.study.claims import Runs, plus_minus
from escape_ntk.study.sweep import lookup

show = chapter.show


def trained(runs: Runs, activation: str) -> list[Record]:
    """The records of one activation, seed by seed."""
    return runs(p for p in POINTS if p.activation == activation)


def three_models(runs: Runs, activation: str):
    """Losses and distances, with the mean test loss of f_L trained endlessly."""
    records = trained(runs, activation)
    limit = float(np.mean([r.summary["test_loss_limit"] for r in records]))
    return figures.three_models(records, limit)


@chapter.figure("fig-three")
def with_relu(runs: Runs):
    """The three models with ReLU."""
    return three_models(runs, "relu")


@chapter.figure("fig-three-gelu")
def with_gelu(runs: Runs):
    """The same with GELU."""
    return three_models(runs, "gelu")


@chapter.table(
    "ends",
    ["", "", "training loss", "test loss", "accuracy", "from trained f", "own, from f", "moved"],
    "At the end; means and 95 % intervals over five seeds. Moved: ‖Δ‖/‖θ_0‖",
)
def ends(runs: Runs) -> list[list[str]]:
    """Losses, accuracy and distances with 95 % intervals, by activation and model."""
    out = []
    names = {"network": "f", "quadratic": "f_L + f_Q", "linear": "f_L", "limit": "f_L, endlessly"}
    for activation in e.ACTIVATIONS:
        summaries = [r.summary for r in trained(runs, activation)]
        for model, label in names.items():
            cells = [
                _interval([s.get(f"{key}_{model}") for s in summaries])
                for key in ("train_loss", "test_loss", "test_accuracy", "apart", "own", "moved")
            ]
            out.append([activation, label, *cells])
    return out


@chapter.figure("cifar10")
def cifar10(runs: Runs) -> html.Html:
    """What is recorded of CIFAR-10: a figure for each activation, or a line that says nothing is.

    Means and ranges where there are several seeds.
    """
    points = [p for a in e.ACTIVATIONS for p in e.full_points(e.SEEDS, "cifar10", activation=a)]
    there = [p for p in points if lookup(p, runs.store) is not None]
    if not there:
        return html.Html("<p><em>No run on CIFAR-10 is recorded here.</em></p>")
    parts = []
    for activation in dict.fromkeys(p.activation for p in there):
        records = runs(p for p in there if p.activation == activation)
        picture = as_svg(figures.three_models(records, passing=True))
        code = base64.b64encode(picture.encode()).decode()
        words = (
            f"CIFAR-10, 3 against 7, {activation}, {len(records)} of {len(e.SEEDS)} seeds: "
            "training and test loss of f, f_L + f_Q and f_L over the epochs, and distances from f."
        )
        parts.append(f'<img alt="{words}" src="data:image/svg+xml;base64,{code}"><p>{words}</p>')
    return html.Html("".join(parts))


def _interval(values: Sequence[float | None]) -> str:
    known = [v for v in values if v is not None]
    return plus_minus(known) if len(known) == len(values) else ""
