"""What the page *Setup* shows, and from which runs."""

from escape_ntk.chapters.setup import chapter, figures
from escape_ntk.chapters.setup import runs as e
from escape_ntk.study.claims import Runs

show = chapter.show


@chapter.figure("fig-remainder")
def remainder(runs: Runs):
    """What the Taylor terms leave over, against the movement and the width."""
    orders = runs([e.RemainderOrder(seed) for seed in e.SEEDS])
    return figures.remainder_orders(orders, runs([e.QuadraticScale(seed) for seed in e.SEEDS]))
