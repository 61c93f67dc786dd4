"""What the page *Landscape* shows, and from which runs."""

from escape_ntk.chapters.landscape import chapter, figures
from escape_ntk.chapters.landscape import runs as e
from escape_ntk.chapters.landscape.claims import FEW, SEEDS, final_depth
from escape_ntk.chapters.regularizer.page import setting_name
from escape_ntk.chapters.regularizer.runs import by_setting
from escape_ntk.study.claims import Runs

show = chapter.show


@chapter.figure("fig-descent")
def descent(runs: Runs):
    """Runs from W = 0, and the floor under their curvature."""
    watched = runs([e.Landscape(seed) for seed in SEEDS])
    floors = runs(p for p in e.certified_points(SEEDS) if p.m == e.Landscape.m)
    return figures.descent_over_time(watched, floors)


@chapter.figure("fig-escape")
def escape(runs: Runs):
    """Escape times of f_Q alone."""
    return figures.escape_times(runs([e.Escape(seed) for seed in SEEDS]))


@chapter.figure("fig-bound")
def bound(runs: Runs):
    """The random-sign bound over the width."""
    return figures.bound_over_width(runs(e.certified_points(SEEDS)))


@chapter.table(
    "published-size",
    ["λ_1", "seed", "‖∇L‖, end/start", "λ_min at 0", "floor at the end", "Ritz value there"],
    "Runs of the published size with λ_2 = 10: λ_min at the end lies between the last two columns",
)
def published_size(runs: Runs) -> list[list[str]]:
    """One row for each run: gradient over its start, and λ_min bracketed."""
    pairs = zip(runs(e.published_points(FEW)), runs(e.certified_published_points(FEW)), strict=True)
    return [
        [
            f"{w.config['population']:g}",
            str(w.config["seed"]),
            f"{w.arrays['gradient'][-1] / w.arrays['gradient'][0]:.1e}",
            f"{w.arrays['lowest'][0]:.1e}",
            f"{c.arrays['floor'][-1]:+.1e}",
            f"{w.arrays['lowest'][-1]:+.1e}",
        ]
        for w, c in pairs
    ]


@chapter.table(
    "switches",
    ["penalties", "floor under λ_min", "largest ‖∇L‖", "largest L"],
    "The sixteen settings at the end, d = 30, worst of five draws, in units of W = 0",
)
def switches(runs: Runs) -> list[list[str]]:
    """One row for each on/off setting: floor, gradient and risk at the end, over their start."""
    rows = []
    for on, group in by_setting(runs(e.switch_points(SEEDS))).items():
        ends = [
            [r.arrays[key][-1] / r.arrays[key][0] for r in group] for key in ("gradient", "value")
        ]
        least = -max(final_depth(r, False) for r in group)
        rows.append([setting_name(on), f"{least:+.1e}", *(f"{max(v):.1e}" for v in ends)])
    return rows
