"""How many intervals miss by chance, and p corrected for the number of them."""

import numpy as np
import pytest

from escape_ntk.display import html
from escape_ntk.study import multiplicity


def row(name: str, p: dict[str, float], after: str = "") -> dict:
    """A claim's row of the ledger that compares published numbers."""
    numbers = {label: {"low": 0.0, "high": 1.0, "p": value} for label, value in p.items()}
    worst = min(p, key=lambda label: p[label])
    told = {"z": -2.0, "farthest": worst, "p_corrected": min(1.0, len(p) * p[worst])}
    return {"id": name, "verdict": "partly", "after": after, "measured": numbers | told}


LEDGER = [
    row("a", {"x": 0.01, "y": 0.5}),
    row("b", {"x": 0.04}, after="chosen"),
    {"id": "c", "verdict": "reproduced", "after": "", "measured": {"ratio": 1.0, "low": 0.9}},
    {"id": "d", "verdict": "reproduced", "after": "", "measured": {"largest": 1.0}},
]


def test_holm_raises_the_smallest_most_and_keeps_the_order():
    assert multiplicity.holm([0.04, 0.01, 0.5]) == pytest.approx([0.08, 0.03, 0.5])
    assert multiplicity.holm([0.3, 0.3]) == pytest.approx([0.6, 0.6])
    assert multiplicity.holm([0.9, 0.8]).max() == 1.0


def test_holm_keeps_the_chance_of_any_false_rejection_and_plain_p_do_not():
    draw = np.random.default_rng(0)
    p = draw.uniform(size=(2000, 10))
    corrected = np.array([multiplicity.holm(values) for values in p])
    assert (corrected.min(1) < 0.05).mean() < 0.065
    assert (p.min(1) < 0.05).mean() > 0.3  # control


def test_intervals_and_compared_numbers_are_counted_once():
    assert multiplicity.intervals(LEDGER) == 4 and multiplicity.compared(LEDGER) == 3
    assert multiplicity.expected_misses(40) == pytest.approx(2)


def test_the_worst_number_of_each_claim_is_corrected_among_all():
    a, b = multiplicity.corrected(LEDGER)
    assert (a.id, a.farthest, a.p, a.within, a.after) == ("a", "x", 0.01, 0.02, False)
    assert (a.holm, a.false_share) == pytest.approx((0.03, 0.03))
    assert (b.holm, b.false_share, b.after) == (pytest.approx(0.08), pytest.approx(0.06), True)
    assert multiplicity.corrected(LEDGER[2:]) == []


def test_the_distance_stands_beside_the_badge_of_what_is_compared():
    assert html.distance(LEDGER[0]["measured"]) == "z = −2.0"
    assert html.distance(LEDGER[2]["measured"]) == ""


def test_what_another_claim_calls_inside_is_told_as_it_stands():
    assert html.describe({"inside": 0.5, "z": 1.0}) == "inside 0.5, z 1"
