"""What the page *Good directions* shows, and from which runs."""

from escape_ntk.chapters.directions import chapter, figures, widget
from escape_ntk.chapters.directions import runs as e
from escape_ntk.study.claims import Runs

show = chapter.show


@chapter.figure("fig-movements")
def movements(runs: Runs):
    """Four movements, as the training set and the population see them."""
    return figures.four_movements(runs([e.Movements(seed) for seed in e.SEEDS]))


@chapter.figure("fig-gaps")
def gaps(runs: Runs):
    """The gap over the dimension, population and Gram matrices."""
    population = runs([e.PopulationGap(a) for a in (e.SINE, e.SIGMOID)])
    return figures.gaps(population, {k: runs(e.gram_points(e.SEEDS, k)) for k in (1, 2)})


@chapter.figure("fig-spectra")
def spectra(runs: Runs):
    """Two Gram spectra, drawn and foreseen."""
    seed = e.SEEDS[0]
    points = {
        "$k=1$, $d=100$, $n=1000$": e.GramSpectrum(seed, 100, 1, 1000),
        "$k=2$, $d=16$, $n=1024$": e.GramSpectrum(seed, 16, 2, 1024),
    }
    return figures.gram_spectra({title: runs([point])[0] for title, point in points.items()})


@chapter.figure("fig-angles")
def angles(runs: Runs):
    """How far the training set's directions are tilted, over the sample size."""
    turned = {
        f"$k={k}$, $d={d}$": runs(e.angle_points(e.SEEDS, k)) for k, d in e.ANGLE_DIMS.items()
    }
    return figures.angles(turned, e.drawn_denominator)


@chapter.figure("fig-leaks")
def leaks(runs: Runs):
    """The worst direction of P_{>k}, and three movements, as the population sees them."""
    bounds = runs([e.Leaks(seed) for seed in e.SEEDS])
    return figures.leaks(bounds, runs([e.Movements(seed) for seed in e.SEEDS]))


@chapter.figure("fig-moves")
def moves(runs: Runs):
    """Predictions along a movement that the reader picks."""
    (view,) = runs([e.Views(e.SEEDS[0])])
    return widget.moves(view.arrays)
