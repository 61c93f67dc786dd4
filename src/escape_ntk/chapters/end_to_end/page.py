"""What the page *Gradient descent end to end* shows, and from which runs."""

import numpy as np

from escape_ntk.chapters.end_to_end import chapter, figures
from escape_ntk.chapters.end_to_end import runs as e
from escape_ntk.chapters.end_to_end.claims import (
    SEEDS,
    SIZES,
    every_term,
    guarantee_terms,
    networks,
    setting,
    with_bound,
)
from escape_ntk.study.claims import Runs
from escape_ntk.study.dense_plus_sparse import PARTS

show = chapter.show


@chapter.figure("fig-phases")
def phases(runs: Runs):
    """Flow with R_2 alone over time."""
    return figures.two_phases(setting(runs, "flow"))


@chapter.table(
    "guarantee",
    ["hypothesis", "value", "", "limit taken"],
    "Flow with R_2 alone, d = 16, n = 3 n_2, m = 2000; means of five seeds",
)
def guarantee_rows(runs: Runs) -> list[list[str]]:
    """The hypotheses of the guarantee; "holds" is at most the limit in the last cell.

    The badge of the theorem reads the same terms: :mod:`escape_ntk.chapters.end_to_end.theorems`.
    """
    flow = with_bound(setting(runs, "flow"), runs(e.class_points(SEEDS)))
    return [
        [label, f"{value:.2g}", "holds" if value <= limit else "fails", f"{limit:g}"]
        for label, value, limit in guarantee_terms(flow)
    ]


@chapter.table(
    "terms",
    ["term", "at the end", "in advance"],
    "All four penalties, d = 10, n = 3 n_2, m = 1000; means of five seeds",
)
def term_rows(runs: Runs) -> list[list[str]]:
    """Every term, their sum, and from where on it says nothing: L_λ(0), which Ξ has a fourth of."""
    records = runs(e.guaranteed_points(SEEDS))
    terms = every_term(records)
    rows = [[t.words, f"{t.measured:.2g}", f"{t.advance:.2g}"] for t in terms]
    sums = [sum(t.measured for t in terms), sum(t.advance for t in terms)]
    start = float(np.mean([r.summary["known_start"] for r in records]))
    rows.append(["together", *(f"{total:.2g}" for total in sums)])
    rows.append(["empty from here on", f"{start:.2g}", f"{start / 4:.2g}"])
    return rows


@chapter.figure("fig-required")
def required(runs: Runs):
    """Width and samples that the guarantee asks for, by its formulas."""
    return figures.required_sizes(*runs([e.Required()]))


@chapter.table(
    "ends",
    ["run", "test error", "training loss", "R_1", "R_2", "‖P_≤k W‖²", "‖W‖⁴"],
    "The end of each kind of run beside the explicit W* at the same weights; means of five seeds",
)
def end_rows(runs: Runs) -> list[list[str]]:
    """The end of each kind of run beside W*: means over five seeds."""
    rows = []
    for label, name, prefix in (
        ("flow, R_2", "flow", "end"),
        ("descent, R_2", "descent", "end"),
        ("perturbed, R_2", "perturbed", "end"),
        ("flow, all four", "all four", "end"),
        ("W*, random signs", "flow", "explicit"),
    ):
        records = setting(runs, name)
        mean = {
            key: float(np.mean([r.summary[f"{prefix}_{key}"] for r in records]))
            for key in ("error", "train", *SIZES)
        }
        rows.append(
            [
                label,
                f"{mean['error']:.3f}",
                f"{mean['train']:.1e}",
                f"{mean['R_1']:.3f}",
                f"{mean['R_2']:.1e}",
                f"{mean['R_3']:.1f}",
                f"{mean['norm_fourth']:.0f}",
            ]
        )
    return rows


@chapter.table(
    "wider",
    [
        "λ_2",
        "m",
        "test error (range)",
        "missed dense",
        "missed sparse",
        "rest",
        "sparse part in f_L",
        "in f_Q",
    ],
    "The Taylor model over the width for two λ_2, time 10 000, means of five seeds",
)
def wider_rows(runs: Runs) -> list[list[str]]:
    """Test error by part, and what each term has learned of the sparse part: means over seeds."""
    rows = []
    for weight in e.WEIGHTS:
        records = runs(e.wider_points(SEEDS, weight))
        for m in e.WIDER:
            own = [r.summary for r in records if r.config["m"] == m]
            errors = [s["error"] for s in own]
            keys = (*PARTS, "linear_sparse", "quadratic_sparse")
            cells = [f"{np.mean([s[key] for s in own]):.3f}" for key in keys]
            spread = f"{np.mean(errors):.3f} ({min(errors):.3f}–{max(errors):.3f})"
            rows.append([f"{weight:g}", str(m), spread, *cells])
    return rows


@chapter.figure("fig-network")
def network(runs: Runs):
    """The full network over the width, R_4 off and on."""
    return figures.network_over_width(
        {"no $R_4$": networks(runs, 0.0), "$R_4$": networks(runs, e.NORM)}
    )


@chapter.table(
    "network",
    ["R_4", "m", "f_L + f_Q", "its rest", "network", "its rest", "network, no R_2"],
    "Test errors at time 10 000 and the spurious rest among them, means of five seeds",
)
def network_rows(runs: Runs) -> list[list[str]]:
    """Test errors at the end, and the rest among them, over the width: means over five seeds."""
    rows = []
    for label, norm in (("off", 0.0), ("on", e.NORM)):
        for m in e.WIDTHS:
            own = [r.summary for r in networks(runs, norm) if r.config["m"] == m]
            keys = ("taylor_error", "taylor_rest", "network_error", "network_rest", "free_error")
            cells = [f"{np.mean([s[key] for s in own]):.3f}" for key in keys]
            rows.append([label, str(m), *cells])
    return rows
