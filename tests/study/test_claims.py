"""The ledger: its form, its judges, and that every negative control is a check that can fail."""

import dataclasses
import json

import numpy as np
import pytest

from escape_ntk import chapters
from escape_ntk.__main__ import main
from escape_ntk.chapters.ntk_limits import claims as ntk_limits
from escape_ntk.chapters.ntk_limits import runs as limits
from escape_ntk.chapters.published_figure import claims as published_figure
from escape_ntk.chapters.published_figure import runs as experiment
from escape_ntk.chapters.quadntk import claims as quadntk
from escape_ntk.chapters.quadntk import runs as alone
from escape_ntk.chapters.regularizer import claims as regularizer
from escape_ntk.chapters.setup import runs as foundations
from escape_ntk.checks import InputError
from escape_ntk.display import html
from escape_ntk.numerics.stats import Estimate, Interval
from escape_ntk.records.store import RecordStore, default_root
from escape_ntk.study import claims as ledger

KEYS = {
    "id", "chapter", "statement", "source", "verdict",
    "measured", "target", "tolerance", "after", "identity", "negative_control", "record",
}  # fmt: skip


def test_rows_have_the_public_form(ledger_rows):
    assert len({row["id"] for row in ledger_rows}) == len(ledger_rows) >= 10
    for row in ledger_rows:
        assert row.keys() == KEYS
        assert row["verdict"] in list(ledger.Verdict)
        assert row["measured"] and row["record"]
    json.dumps(ledger_rows, allow_nan=False)


def test_negative_controls_do_worse(ledger_rows):
    """Than their claims; undecided are those of claims that are not reproduced, and no others."""
    fates = {row["id"]: row["negative_control"]["fate"] for row in ledger_rows}
    assert [name for name, fate in fates.items() if fate == "passes"] == []
    undecided = [row["id"] for row in ledger_rows if fates[row["id"]] == "undecided"]
    assert undecided == [row["id"] for row in ledger_rows if row["verdict"] == "not_reproduced"]


def test_a_row_says_what_was_set_after_looking_and_what_is_an_identity(ledger_rows):
    known = {row["id"]: row for row in ledger_rows}
    assert known["quadntk-foreseen"]["after"] and known["quadntk-signs"]["identity"]
    plain = known["setup-remainder-order"]
    assert plain["after"] == "" and plain["identity"] is False
    block = html.claim_blocks([known["quadntk-foreseen"]]).text
    assert (
        "set after looking" in block and html.typeset(known["quadntk-foreseen"]["after"]) in block
    )
    assert "an identity" in html.claim_blocks([known["quadntk-signs"]]).text
    assert "after looking" not in html.claim_blocks([plain]).text


@pytest.mark.parametrize(
    ("claim", "control", "fate"),
    [
        ("reproduced", "reproduced", "passes"),
        ("reproduced", "partly", "fails"),
        ("reproduced", "not_reproduced", "fails"),
        ("partly", "reproduced", "passes"),
        ("partly", "partly", "undecided"),
        ("partly", "not_reproduced", "fails"),
        ("not_reproduced", "reproduced", "passes"),
        ("not_reproduced", "partly", "undecided"),
        ("not_reproduced", "not_reproduced", "undecided"),
        ("not_testable", "not_reproduced", "undecided"),
        ("reproduced", "not_testable", "undecided"),
    ],
)
def test_a_control_fails_by_doing_worse_than_its_claim(claim, control, fate):
    assert ledger.fate(ledger.Verdict(claim), ledger.Verdict(control)) == fate


def test_a_control_that_is_not_broken_is_caught():
    """The control of a claim that measures the same thing twice passes: the ledger says so."""
    claim = chapters.claims()[0]
    same = dataclasses.replace(claim, measure=lambda runs, broken: claim.measure(runs, False))
    control = same.evaluate(RecordStore(default_root()))["negative_control"]
    assert control["fate"] == "passes" and control["failed"] is False


def test_command_prints_the_ledger(ledger_rows, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(chapters, "evaluate_all", lambda store: asked.append(store) or ledger_rows)
    assert main(["claims", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ledger_rows
    assert [store.root for store in asked] == [default_root()]


@pytest.mark.parametrize(
    ("slopes", "verdict"),
    [
        ([-0.26, -0.25, -0.24, -0.25], "reproduced"),
        ([-0.35, -0.25, -0.28, -0.26], "partly"),
        ([-0.51, -0.5, -0.49, -0.5], "not_reproduced"),
    ],
)
def test_slope_judge(slopes, verdict):
    assert ledger.slope_near(-0.25, 0.05)(slopes).verdict == verdict


def test_groups_of_slopes_are_judged_apart():
    """One group off its band is not hidden by another on the other side."""
    near, off = [2.99, 3.0, 3.01], [2.5, 2.51, 2.49]
    judge = ledger.slopes_near(3.0, 0.1)
    assert judge({"a": near, "b": near}).verdict == "reproduced"
    apart = judge({"a": off, "b": [3.5, 3.49, 3.51]})
    assert apart.verdict == "not_reproduced" and apart.measured["runs"] == 6
    assert judge({"a": near, "b": off}).measured["slope"] == pytest.approx(2.5)


def predicted(published: float, freedom: float = 9, **more) -> ledger.Predicted:
    """A published number beside 0 ± 1."""
    own = Estimate(0.0, 1.0, freedom)
    return ledger.Predicted(
        f"at {published}", published, own.interval(), 1.0, own.p(published), **more
    )


@pytest.mark.parametrize(
    ("published", "verdict", "inside"),
    [
        ([0.0, 2.2], "reproduced", 2),
        ([2.4], "not_reproduced", 0),
        ([2.4, 0.0], "partly", 1),  # one among two, p = .04
        ([0.0] * 3 + [12.7], "not_reproduced", 3),  # three heads do not outvote it
        ([3.3] + [0.0] * 9, "partly", 9),
    ],
)
def test_the_worst_miss_judges(published, verdict, inside):
    found = ledger.worst_miss([predicted(x) for x in published])
    assert found.verdict == verdict and found.measured["inside"] == inside
    assert found.measured["z"] == max(published, key=abs)


def test_what_follows_from_others_is_judged_and_not_counted():
    rows = [predicted(0.0), predicted(1.0), predicted(6.0, counted=False)]
    found = ledger.worst_miss(rows)
    assert found.verdict == "not_reproduced"
    assert (found.measured["inside"], found.measured["of"]) == (2, 2)


def test_missing_records_name_the_command(tmp_path):
    with pytest.raises(ledger.MissingRecordError, match="escape-ntk run setup"):
        chapters.claims()[0].evaluate(RecordStore(tmp_path))


@pytest.mark.parametrize(
    "point",
    [
        foundations.Initialization(1),
        foundations.RemainderOrder(1),
        foundations.PairDescent(1),
        foundations.DenseProjector(1),
        limits.EigenvalueSlopes(limits.SINE),
        alone.ConstructionNorm(1, 2),
    ],
    ids=lambda point: point.experiment,
)
def test_recorded_numbers_are_what_the_code_computes_now(point):
    """Small records, computed anew: a change of the code that moves them is seen here."""
    stored = RecordStore(default_root()).load(point.experiment, dataclasses.asdict(point))
    summary, arrays = point.compute()
    assert stored is not None
    for name, value in summary.items():
        assert value == pytest.approx(stored.summary[name], rel=1e-6, abs=1e-11)
    for name, value in arrays.items():
        assert np.allclose(value, stored.arrays[name], rtol=1e-5)


def test_full_size_records_start_as_the_code_does_now():
    """The first twenty time units of one full-size curve, computed anew at full size."""
    point = experiment.SUM_NO_R1.curve(1e-3, 1)
    stored = RecordStore(default_root()).load(point.experiment, dataclasses.asdict(point))
    _, now = point.at(t_end=20, n_times=14).compute()
    both, ours, theirs = np.intersect1d(now["times"], stored.arrays["times"], return_indices=True)
    assert len(both) >= 4
    for name in ("train", "test", "R_1"):
        assert now[name][ours] == pytest.approx(stored.arrays[name][theirs], rel=5e-3)


def test_flow_gaps_see_a_difference():
    times = np.array([1.0, 100.0, 1000.0])
    base = {"times": times, "test": times, "R_2": times, "train": times}
    moved = base | {"test": times * 1.02}

    same = published_figure.flow_gaps(base, base)
    off = published_figure.flow_gaps(moved, base)
    assert max(same.values()) == 0 and off["test"] == pytest.approx(0.02)


def saved(folder, config: dict, summary: dict | None = None, arrays: dict | None = None):
    """A record made by hand."""
    kind = {"wall_seconds": 0.0, "summary": summary or {}, "arrays": arrays or {}}
    return RecordStore(folder).save("by-hand", config, **kind)


def test_ratios_and_slopes_over_the_dimension(tmp_path):
    """Error ratio 2·d^0.5, the same for both seeds but for a factor."""
    records = [
        saved(tmp_path, {"d": d, "seed": seed}, {"over": 2 * factor * d**0.5, "under": 1.0})
        for d in (4, 16)
        for seed, factor in ((1, 1.1), (2, 1 / 1.1))
    ]
    price = quadntk.log_ratio(lambda r: r.summary["over"], lambda r: r.summary["under"])
    ratios = quadntk.by_dimension(records, price)
    assert ratios[4].value == pytest.approx(4) and ratios[16].value == pytest.approx(8)
    assert ratios[4].low < 4 < ratios[4].high
    assert quadntk.slope_in_dimension(records, price).value == pytest.approx(0.5)
    flat = quadntk.log_ratio(lambda r: r.summary["under"])
    assert quadntk.slope_in_dimension(records, flat).value == pytest.approx(0)
    with pytest.raises(InputError):  # one dimension is left: no slope
        quadntk.slope_in_dimension(records, price, least=16)


def test_staircase_gap_is_that_of_the_mean(tmp_path):
    records = [
        saved(
            tmp_path,
            {"d": 10, "shift": e, "activation": limits.SINE},
            arrays={
                "n": np.array([5, 20]),
                "learned": np.array([[0.9, 0.2 + e], [1.0, 0.7]]),
                "predicted": np.array([[0.9, 0.2], [1.0, 0.66]]),
            },
        )
        for e in (0.1, -0.1)
    ]
    assert ntk_limits.staircase_gaps(records) == pytest.approx(0.04)
    assert ntk_limits.staircase_gaps(records, broken=True) > 0.3  # 20 samples for 11 functions


def spread(centre: float) -> np.ndarray:
    """Four values close to ``centre``."""
    return centre + np.array([-0.01, 0.0, 0.005, 0.01])


def climbed(power: float) -> dict[int, list[tuple[float, bool]]]:
    """Thresholds d^power of four seeds, the last of the first d a bound."""
    rows = {d: [(d ** (power + 0.01 * x), False) for x in spread(0)] for d in (10, 20, 40)}
    rows[10][-1] = (rows[10][-1][0], True)
    return rows


ALONE = {"R_1": spread(0.02) / 10, "test": spread(0.5)}
GAIN = {"gain": spread(0.4), "share_without": spread(0.1), "share_with": spread(0.5)}
SAME = {"sparse": spread(3.0), "dense": spread(3.0)[::-1]}
ABOVE, BELOW = Interval(3.0, 2.5, 3.5), Interval(1.1, 0.9, 1.3)
FLAT, STEEP = Interval(-0.1, -0.2, -0.05), Interval(0.1, -0.1, 0.3)
RISING = Interval(0.5, 0.1, 0.9)
RATE = {"price": [STEEP, FLAT], "of_quadntk": [STEEP], "of_ntk": [STEEP]}
BULK = {1: {d: np.outer([0.99, 1.0, 1.01], [d**-0.25, 1.0, 1.0]) for d in (16, 64, 256)}}
FLAT_BULK = {1: {d: np.outer([0.99, 1.0, 1.01], [0.5, 1.0, 1.0]) for d in (16, 64, 256)}}
THIN = {"slopes": spread(1.0), "ratios": {(8, 8): spread(1.1)}, "seen": [0.1, 0.2]}
ALONG = {"share": np.full((2, 2), 0.5), "cosine": np.full((2, 2), 0.95), "d": np.array([[12]] * 2)}
ALONG |= {"share_all": np.full((2, 4), 0.5), "cosine_all": np.full((2, 4), 0.9)}
POWERS = {"k1": spread(0.0), "k2": spread(0.5), "k3": spread(1.0)}
ORDERED = {"n": spread(-0.5), "m": spread(0.0), "d": spread(-0.2)}
NOISE = {"left": [1e-9, 1e-8], "train": [0.9, 0.9], "population": [0.3, 0.4]}
EXCESS = {"factors": np.array([2.0, 4.0]), "rows": np.array([[3.0, 1.5], [2.9, 1.4]])}
APART = {"without": [0.3, 0.2], "with": [0.001, 0.01]}
COSTS = {"test": [0.02, 0.05], "quadratic": [0.03, 0.05]}
COSTS |= {name: [0.1, 0.2] for name in regularizer.COEFFICIENTS}
CUT = {"ranks": [31], "errors": {16: 0.3, 30: 0.1, 31: 0.04, 62: 0.08}}
HALVES = {
    f"{name}_{part}": np.array([0.1]) for name in ("ntk", "quadntk") for part in ("dense", "sparse")
}
HALVES |= {"ntk_sparse": np.array([0.3]), "joint_dense": np.array([0.05])}
HALVES |= {"joint_sparse": np.array([0.01]), "ntk_share": np.array([0.1])}
STARTS = {"gaps": [0.0, 1e-4], "tests": [0.01], "risks": [1e-5]}
ESCAPE = {"first": [1.1, 1.2], "last": [1.01, 1.05]}
ENDS = {"depth": [0.01, 0.02], "risk": [1e-5], "reached": [True], "perturbations": [0]}
ENDS |= {"switches": [0.03], "published": [0.01, 0.01]}
HIGH = {"depth": [0.01, 0.02], "risk": [0.1, 0.2]}
NEAR = {name: spread(-0.5) for name in ("R_1_k1", "R_2_k1")}
SPLIT = {name: spread(1.05) for name in ("joint_quarter", "joint_tenth")}
FEWER = {"ratios": [0.5, 0.8], "with": [2.0], "without": [3.0]}
BETTER = {"ratios": [0.5, 0.9], "joint": [0.1], "two_step": [0.2]}
WIDER = {"ratios": [0.8, 0.9], "small": {"growth": 1.5}}
STUCK = {"curvature": [-0.5, -0.4], "gradient": [0.01], "risk": [0.4, 0.5]}
ORDERS = {"slopes": spread(-0.5), "floored": spread(-0.4), "bound_widest": 0.02}
SPARSE = {"ntk": spread(0.8), "quadntk": spread(0.2)}
DRAWN = np.stack([spread(1.0), np.ones(4), np.full(4, 0.95)], axis=1)
SIGNS = {"slopes": spread(-0.25), "equal": spread(0.25), "inside": [0.7, 0.6]}
FROZEN = {"largest": {8: spread(1.0)}, "smaller": {8: spread(0.9)}}
LEAKS = {"leak_without": spread(0.05), "leak_with": spread(0.02)}


@pytest.mark.parametrize(
    ("judge", "passing", "failing"),
    [
        (ledger.ratio_one(0.8, 1.25), spread(1.0), spread(0.5)),
        (ledger.ratio_one(0.8, 1.25, held=True), spread(1.0), spread(0.95)),
        (ledger.ratio_one(0.8, 1.25), spread(1.0), spread(1.0) * [1, 1, 1, 3]),
        (
            "figure-r1-added",
            LEAKS | {"change": spread(-0.05)},
            LEAKS | {"change": spread(0.0)},
        ),
        ("figure-r2-teaches", GAIN, GAIN | {"gain": spread(0.1)}),
        ("figure-r2-teaches", GAIN, GAIN | {"share_with": spread(0.2)}),
        ("figure-r1-alone", ALONE, ALONE | {"test": spread(0.2)}),
        ("figure-r1-alone", ALONE, ALONE | {"R_1": spread(0.05)}),
        ("figure-flow", {"test": 0.004}, {"test": 0.006}),
        (ledger.at_most(1.0), [0.2, 1.0], [0.2, 1.1]),
        (ledger.slopes_near(3, 0.1), {"a": spread(3)}, {"a": spread(3), "b": spread(2)}),
        (ledger.ratio_below_one, spread(0.9), spread(1.1)),
        ("study-decay", spread(0.9), spread(1.1)),
        ("cnn-equal", {"relu": spread(0.9), "gelu": spread(1.0)}, {"relu": spread(0.2)}),
        ("cnn-order", {"relu": [0.9], "gelu": [0.5]}, {"relu": [1.1], "gelu": [1.2]}),
        ("ntk-eigenvalue-slopes", {"a": [0.0, -1.04, -1.96]}, {"a": [0.0, -1.06, -2.0]}),
        ("ntk-blind-two", SAME, SAME | {"sparse": spread(4.0)}),
        (
            "ntk-stretched",
            {"sparse": spread(0.1), "dense": spread(0.3)},
            {"sparse": spread(0.4), "dense": spread(0.3)},
        ),
        ("quadntk-sparse", SPARSE, SPARSE | {"ntk": np.full(4, 0.6)}),
        ("quadntk-start", [[1.0, 1.0], [0.01, 0.1]], [[1.0, 0.1], [0.01, 0.1]]),
        ("quadntk-wide", {8: spread(1.0)}, {8: spread(1.0), 16: spread(0.9)}),
        ("directions-gap", {"a": 0.95, "b": 1.02}, {"a": 0.95, "b": 1.2}),
        ("directions-bulk", BULK, FLAT_BULK),
        ("directions-bulk", BULK, {1: {d: row * [1, 1, 1.2] for d, row in BULK[1].items()}}),
        ("directions-memorized", THIN, THIN | {"slopes": spread(0.5)}),
        ("ntk-lazy-scale", {"slopes": spread(0.0)}, {"slopes": spread(-1.0)}),
        ("quadntk-error-dims", POWERS, POWERS | {"k1": spread(0.5), "k2": spread(0.0)}),
        ("quadntk-complexity", ORDERED, ORDERED | {"n": spread(-1.0)}),
        ("quadntk-direction", ALONG, ALONG | {"cosine": np.full((2, 2), 0.5)}),
        ("directions-angles-first-1", {8: DRAWN}, {8: DRAWN, 16: DRAWN * [1.2, 1, 1]}),
        ("directions-angles-first-1", {8: DRAWN}, {8: DRAWN[:, [0, 2, 1]]}),  # the rival is nearer
        ("directions-random-signs", SIGNS, SIGNS | {"slopes": spread(0.25)}),
        ("quadntk-frozen", FROZEN, FROZEN | {"largest": {8: spread(0.85)}}),
        ("directions-memorizing", NOISE, NOISE | {"left": [1e-9, 0.02]}),
        ("directions-leak-excess", EXCESS, EXCESS | {"rows": np.array([[2.0, 1.0], [2.0, 1.0]])}),
        ("directions-leak-excess", EXCESS, EXCESS | {"rows": np.array([[2.0, 3.0], [2.0, 3.0]])}),
        ("regularizer-memorizes", APART, APART | {"with": [0.001, 0.2]}),
        ("regularizer-memorizes", APART, APART | {"without": [0.05, 0.2]}),
        ("regularizer-r1-weak", {"a": [-0.02], "b": [-0.01]}, {"a": [-0.02], "b": [0.01]}),
        ("regularizer-r1-costs", COSTS, COSTS | {"test": [0.02, -0.01]}),
        ("regularizer-r1-costs", COSTS, COSTS | {"quadratic": [0.01, 0.06]}),
        ("regularizer-others", {"a": spread(0.1)}, {"a": spread(0.0)}),
        ("regularizer-switch-r2", {"a": spread(-0.1)}, {"a": spread(0.1)}),
        ("regularizer-tuning", {0.01: 3.0, 0.1: 1.2, 1.0: 1.0}, {0.1: 2.0, 1.0: 1.0}),
        ("regularizer-cut", CUT, CUT | {"ranks": [30, 31]}),
        ("regularizer-cut", CUT, CUT | {"errors": CUT["errors"] | {62: 0.01}}),
        ("landscape-starts", STARTS, STARTS | {"gaps": [0.0, 0.1]}),
        ("landscape-escape-slope", ESCAPE, ESCAPE | {"last": [1.01, 1.2]}),
        ("landscape-escape-slope", ESCAPE, ESCAPE | {"last": [0.9, 1.05]}),
        ("landscape-flat", ENDS, ENDS | {"depth": [0.01, 0.06]}),
        ("landscape-flat", ENDS, ENDS | {"switches": [0.06]}),
        ("landscape-flat", ENDS, ENDS | {"published": [0.01, 0.06]}),
        ("landscape-flat-noisy", HIGH, HIGH | {"depth": [0.01, 0.06]}),
        ("landscape-flat-noisy", HIGH, HIGH | {"risk": [0.01, 0.2]}),
        ("joint-fresh", NEAR, NEAR | {"R_1_k1": spread(0.0)}),
        ("complexity-split", SPLIT, SPLIT | {"joint_tenth": spread(1.2)}),
        ("complexity-network", FEWER, FEWER | {"ratios": [0.5, 0.9]}),
        ("complexity-two-step", BETTER, BETTER | {"ratios": [1.5, 0.9]}),
        ("e2e-wider", WIDER, WIDER | {"ratios": [0.8, 1.1]}),
        ("e2e-guarantee", {"ratios": [0.1], "gap": [9.0]}, {"ratios": [0.1, 1.2], "gap": [9.0]}),
        ("landscape-plateau", STUCK, STUCK | {"curvature": [-0.5, 0.01]}),
        ("landscape-floor", np.array([0.0, 0.01]), np.array([-0.01, 0.01])),
        ("landscape-bound-order", ORDERS, ORDERS | {"slopes": spread(-0.1)}),
        ("complexity-half", [0.3, 0.49], [0.3, 0.51, 0.6]),
        ("complexity-multiple-k1", {"change": spread(0.0)}, {"change": spread(0.3)}),
        ("complexity-width", [spread(0.0), spread(0.0)], [spread(0.0), spread(0.2)]),
        ("complexity-parts", HALVES, HALVES | {"joint_sparse": np.array([0.06])}),
        ("complexity-parts", HALVES, HALVES | {"joint_dense": np.array([0.2])}),
        ("quadntk-price-rate", RATE, RATE | {"price": [RISING, STEEP]}),
        ("mlp-exponent-published", climbed(2.0), climbed(3.0)),
        ("figure-coefficient", Interval(1.0, 0.6, 1.4), Interval(1.5, 1.1, 2.0)),
        ("figure-coefficient", Interval(1.0, 0.6, 1.4), Interval(1.0, 0.1, 1.4)),
        ("mlp-floor", {"a": 1.0, "b": 1.4}, {"a": 1.0, "b": 1.6}),
        (
            "quadntk-price-1",
            {"ratios": {8: ABOVE}, "slope": FLAT, "errors": {8: BELOW}},
            {"ratios": {8: BELOW}, "slope": FLAT, "errors": {8: BELOW}},
        ),
    ],
)
def test_each_judge_can_pass_and_can_fail(judge, passing, failing):
    """Also those whose claim is not reproduced: the check could have passed."""
    judge = chapters.claim(judge).judge if isinstance(judge, str) else judge
    assert judge(passing).verdict == "reproduced"
    assert judge(failing).verdict == "not_reproduced"
