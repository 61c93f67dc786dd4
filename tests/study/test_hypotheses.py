"""The hypotheses of the theorems: every check can fail, and what it says of the records."""

import dataclasses
import math

import pytest

from escape_ntk import chapters
from escape_ntk.chapters.end_to_end import page as end_to_end
from escape_ntk.chapters.end_to_end import theorems as guarantee
from escape_ntk.models.network import Activation, activation
from escape_ntk.records.store import Record, RecordStore, default_root
from escape_ntk.study import computed_checks as p
from escape_ntk.study import hypotheses as c
from escape_ntk.study import recurring_hypotheses, theorems
from escape_ntk.study.claims import Runs

STORE = RecordStore(default_root())
ENTRIES = [entry for chapter in chapters.load("theorems") for entry in chapter.theorems]


@pytest.fixture(scope="module")
def settings():
    """Each entry's setting, by the claims of the statement on its page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(default_root().parents[0] / "tools")
        import statements

        pages = statements.pages(default_root().parents[1])
    found = {s.label: s.claims for page in pages.values() for s in page.statements}
    rests_on = {
        entry.label: [chapters.claim(name) for name in (*found[entry.label], *entry.claims)]
        for entry in ENTRIES
    }
    return {e.label: theorems.setting_of(e, rests_on[e.label], STORE) for e in ENTRIES}


def rows() -> list:
    return [
        pytest.param(entry.label, h, id=f"{entry.label}-{place}")
        for entry in ENTRIES
        for place, h in enumerate(entry.hypotheses)
    ]


@pytest.mark.parametrize(("label", "hypothesis"), rows())
def test_every_check_can_say_otherwise(settings, label, hypothesis):
    """What is met has a control that is not; what is not met would be met if mended."""
    setting = settings[label]
    answer = hypothesis.check(setting)
    assert answer.detail
    if answer.outcome == c.Outcome.MET:
        assert hypothesis.control is not None and hypothesis.mended is None
        broken = hypothesis.check(hypothesis.control(setting))
        assert broken.outcome == c.Outcome.NOT_MET, broken
    elif answer.outcome == c.Outcome.NOT_MET:
        assert hypothesis.mended is not None and hypothesis.control is None
        assert hypothesis.check(hypothesis.mended(setting)).outcome == c.Outcome.MET
    else:
        assert hypothesis.control is None and hypothesis.mended is None


def test_labels_are_unique():
    assert len(chapters.theorems()) == len(ENTRIES)


def test_what_is_not_met_is_known(settings):
    """Two, each said so on its page; a third would be news."""
    failing = [
        (entry.label, h.words.split(":")[0])
        for entry in ENTRIES
        for h in entry.hypotheses
        if h.check(settings[entry.label]).outcome == c.Outcome.NOT_MET
    ]
    assert failing == [
        ("thm-end", "wide"),
        ("thm-end", "enough samples"),
    ]


def test_the_guarantee_has_the_rows_of_its_page(settings):
    """Badge and table of thm-end say the same: one source."""
    table = end_to_end.guarantee_rows(Runs(STORE))
    checks = [h for h in chapters.theorems()["thm-end"].hypotheses if h.words in guarantee.MEASURED]
    said = [h.check(settings["thm-end"]).outcome for h in checks]
    assert [row[2] == "holds" for row in table] == [s == c.Outcome.MET for s in said]
    names = [h.words.split(":")[0].replace("$", "") for h in checks]
    assert [row[0].split(":")[0] for row in table] == [n.replace("W^*", "W*") for n in names]


# ---------------------------------------------------------------- the checks, on small cases


@pytest.mark.parametrize(
    ("experiment", "config", "inputs", "weights"),
    [
        ("setup-initialization", {"seed": 1}, {"gaussian"}, {"sphere"}),
        ("quadntk-construction", {"seed": 1, "k": 1}, {"gaussian", "sphere"}, {"sphere"}),
        ("joint-gap", {"seed": 1, "k": 1, "d": 5, "n": 9}, {"sphere"}, {"sphere"}),
        ("directions-gap", {"activation": "erf"}, set(), set()),  # nothing drawn
        ("landscape-published", {"seed": 1, "times": [0.0, 1.0]}, {"gaussian"}, {"sphere"}),
    ],
)
def test_a_class_is_asked_what_it_draws(experiment, config, inputs, weights):
    got = c.drawn(experiment, config)
    assert (set(got["inputs"]), set(got["weights"])) == (inputs, weights)


@pytest.mark.parametrize("law", ["gaussian", "sphere"])
def test_a_law_that_is_a_field_is_the_records(law):
    config = {"seed": 1, "penalty_empirical": 0.0, "input_law": law, "weight_law": law}
    got = c.drawn("curves", config)
    assert (got["inputs"], got["weights"]) == ((law,), (law,))


@pytest.mark.parametrize(
    ("name", "order", "top"),
    [
        ("sin(z+pi/4)", 3, 1.0),
        ("sigmoid(z-1)", 1, 0.25),
        ("sigmoid(z-1)", 2, math.sqrt(3) / 18),
        ("erf", 1, 2 / math.sqrt(math.pi)),
        ("relu", 1, 1.0),
        ("relu", 2, math.inf),
        ("relu", 3, math.inf),
    ],
)
def test_bounds_of_derivatives(name, order, top):
    """Against their closed forms."""
    assert c.largest(activation(name), order) == pytest.approx(top, rel=1e-3)


def test_what_grows_has_no_bound():
    cube = Activation.from_function("z^3", lambda z: z**3)
    assert c.largest(cube, 2) == math.inf and c.largest(cube, 3) == pytest.approx(6, rel=1e-3)


def test_means_over_the_sphere():
    """E_w σ(w·x) of two monomials: 1 and 3d/(d + 2)."""
    square = Activation.from_function("z^2", lambda z: z**2)
    assert c.mean_over_sphere(square, 0, 12) == pytest.approx(1)
    assert c.mean_over_sphere(square, 0, 12, power=2) == pytest.approx(36 / 14)


def setting(**run) -> c.Setting:
    return c.Setting(({"experiment": "e", **run},))


def test_limits_say_how_far():
    two = c.Setting(
        (
            {"experiment": "a", "widths": [1, 10, 4096]},
            {"experiment": "b", "m": 7},  # of one width: no limit
        )
    )
    assert c.limit("m", "m", "widths")(two).detail == "m up to 4\N{NARROW NO-BREAK SPACE}096"
    several = c.Setting((*two.runs, {"experiment": "c", "widths": [1, 2, 3]}))
    assert c.limit("m", "widths")(several).detail.endswith("096 in a, 3 in c")
    assert c.limit("m", "widths")(two).outcome == c.Outcome.LIMIT
    same = c.Setting(tuple({"experiment": "b", "m": 7, "seed": s} for s in (1, 2)))
    assert c.limit("m", "m")(same).detail == "m = 7, not varied"


def test_equal_and_stretched_things_are_told_apart():
    act = {"activation": "sin(z+pi/4)", "d": 8, "k": 1}
    assert p.invariant_kernel(setting(**act)).outcome == c.Outcome.MET
    assert p.invariant_inputs(setting(**act, stretched=True)).outcome == c.Outcome.NOT_MET
    tools = [
        (("PopulationProjector",), "met"),
        (("TrainingProjector",), "not_met"),
        ((), "not_met"),
    ]
    for made, said in tools:
        assert p.population_projector()(setting(**act, tools=made)).outcome == said


def test_growth_over_the_width(tmp_path):
    def record(m: int, value: float) -> Record:
        return Record("e", {"m": m}, "k", {"x": value}, {}, {}, tmp_path)

    flat = c.Setting((), tuple(record(m, 1.0) for m in (1, 2, 4)))
    steep = c.Setting((), tuple(record(m, float(m)) for m in (1, 2, 4)))
    assert p.no_growth("e", "x")(flat).outcome == c.Outcome.MET
    assert p.no_growth("e", "x")(steep).outcome == c.Outcome.NOT_MET
    assert p.at_most(lambda r: r.summary["x"], 2.0, "x")(steep).outcome == c.Outcome.NOT_MET


def test_signs_and_radii():
    assert p.fair_signs(setting(tools=())).outcome == c.Outcome.NOT_MET
    assert p.fair_signs(setting(tools=("random_signs",))).outcome == c.Outcome.MET
    assert p.radii_in_advance(setting()).outcome == c.Outcome.MET


def test_a_summary_counts_every_outcome():
    kinds = [(c.Outcome.MET, "1"), (c.Outcome.LIMIT, "m up to 2"), (c.Outcome.LIMIT, "d up to 3")]
    found = [(c.Hypothesis("w: x", c.unchecked("no reason")), c.Answer(*kind)) for kind in kinds]
    assert theorems.summary(found) == "1 of 3 met, 2 limits (m up to 2; d up to 3)"
    more = [*found, (found[0][0], c.Answer(c.Outcome.NOT_MET, "7"))]
    assert theorems.summary(more).endswith("; not met: w")
    assert theorems.summary(found[:1]) == "1 of 1 met"


def test_a_rank_above_the_samples_is_refused():
    run = {"activation": "erf", "n": 5, "d": 4, "m": 40}
    assert p.gram_rank(lambda run: 5)(setting(**run)).outcome == c.Outcome.MET
    assert p.gram_rank(lambda run: 6)(setting(**run)).outcome == c.Outcome.NOT_MET


def test_controls_change_only_what_they_say():
    before = c.Setting(({"experiment": "e", "m": 4, "inputs": ("sphere",)},))
    after = recurring_hypotheses.GAUSSIAN(before)
    assert after.runs[0] == {**before.runs[0], "inputs": ("gaussian",)}
    assert before.runs[0]["inputs"] == ("sphere",) and dataclasses.is_dataclass(after)


def test_rounding_is_told_by_its_bar_alike_on_every_machine():
    assert c.below(3e-15, 1e-6, "agree") == c.below(7e-15, 1e-6, "agree")
    failed = c.below(2e-5, 1e-6, "agree")
    assert failed.outcome is c.Outcome.NOT_MET and failed.detail == "agree to 2e-05"
