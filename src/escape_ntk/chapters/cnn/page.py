"""What the page *Convolutional networks* shows, and from which runs."""

from collections.abc import Sequence

import numpy as np

from escape_ntk.chapters.cnn import chapter, figures
from escape_ntk.chapters.cnn import runs as e
from escape_ntk.chapters.cnn.claims import POINTS
from escape_ntk.records.store import Record
from escape_ntk.study.claims import Runs, plus_minus

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


def _interval(values: Sequence[float | None]) -> str:
    known = [v for v in values if v is not None]
    return plus_minus(known) if len(known) == len(values) else ""
