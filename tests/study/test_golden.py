"""Every class of experiment at a tiny size: its numbers are those stored in golden/golden.json.

``python tests/golden/remake.py golden`` stores what moved and prints it.
"""

import dataclasses
import fnmatch
import functools
import inspect
import re
import sys
import types
from unittest.mock import patch

import pytest
from golden import points, remake, stored
from golden.points import POINTS
from golden.spy import Seen, spied
from golden.stored import GOLDEN, Allowed, Tolerance, moved

from escape_ntk.chapters.mlp import runs as mlp
from escape_ntk.chapters.quadntk import runs as quadntk
from escape_ntk.study.plans import EXPERIMENTS
from escape_ntk.study.point import KINDS, Draws, from_configuration

SAVED = stored.load(GOLDEN)
TOLERANCE = Tolerance.of(SAVED)


@functools.cache
def today(label: str) -> tuple[dict, Seen]:
    """The entry of a label, computed now, and what was drawn for it."""
    with spied() as seen:
        result = points.run(POINTS[label])
    return stored.entry(POINTS[label], result), seen


def told(changes) -> str:
    """The changes, one a line."""
    return "\n".join(str(change) for change in changes)


def unlike_declared(seen: Seen, draws: Draws) -> str:
    """What of the laws and tools of a run is not what its class declares."""
    pairs = {
        "inputs": (seen.inputs, {draws.inputs, draws.beside} - {""}),
        "weights": (seen.weights, {draws.weights} - {""}),
        "tools": (seen.tools, {*draws.tools}),
    }
    told = (f"{name}: {got}, not {wanted}" for name, (got, wanted) in pairs.items() if got ^ wanted)
    return "; ".join(told)


@pytest.mark.parametrize("label", POINTS)
def test_numbers_are_those_stored_and_draws_those_declared(label):
    """One test of one run: wherever it is run, it is run once."""
    assert label in SAVED["runs"], (
        f"no stored numbers: python tests/golden/remake.py golden {label}"
    )
    entry, seen = today(label)
    assert told(moved(label, SAVED["runs"][label], entry, TOLERANCE)) == ""
    again = from_configuration(POINTS[label].experiment, entry["config"])
    assert POINTS[label] == again and POINTS[label].draws == again.draws
    assert unlike_declared(seen, POINTS[label].draws) == ""


@pytest.mark.parametrize(
    ("label", "change"),
    [
        ("setup-dense-projector", {"inputs": "sphere"}),
        ("setup-dense-projector", {"weights": "gaussian"}),
        ("setup-dense-projector", {"tools": ()}),
        ("landscape-published", {"inputs": "sphere"}),
        ("ntk-eigenvalue-samples", {"inputs": ""}),
        ("ntk-staircase", {"beside": "gaussian"}),
        ("mlp", {"weights": "sphere"}),
    ],
)
def test_a_declaration_that_is_not_what_is_drawn_fails(label, change):
    wrong = dataclasses.replace(POINTS[label].draws, **change)
    (name,) = change
    said = unlike_declared(today(label)[1], wrong)
    assert said.startswith("inputs: " if name == "beside" else f"{name}: ")


def test_a_run_that_draws_by_a_law_of_its_own_fails():
    """The declaration stays and a literal takes its place in the code: the spy looks at values."""
    old, new = (
        "self.draws.inputs, generator)\n        return",
        "'sphere', generator)\n        return",
    )
    twin = edited(mlp.Climb, old, new)
    with spied() as seen:
        points.run(twin(*dataclasses.astuple(POINTS["mlp"])))
    said = unlike_declared(seen, POINTS["mlp"].draws)
    assert said.startswith("inputs: ") and said.endswith(", not {'gaussian'}")


def unlike(runs, known) -> set[str]:
    """Classes without a run, and runs without a class."""
    return {label.partition("/")[0] for label in runs} ^ {*known}


def test_every_class_has_an_entry_and_every_entry_a_class():
    known = {name: kind for name, kind in KINDS.items() if kind.__module__.startswith("escape")}
    assert unlike(SAVED["runs"], known) == set()
    assert {**POINTS}.keys() == SAVED["runs"].keys()
    for label, point in POINTS.items():
        assert type(point) is known[label.partition("/")[0]], label
    assert unlike({**SAVED["runs"], "attic/small": {}}, known) == {"attic"}
    assert unlike(SAVED["runs"], {**known, "brand-new": object}) == {"brand-new"}


def test_experiments_plan_the_runs_they_planned():
    """Seeds, sizes and grids of every experiment, live and full, by count and digest."""
    assert told(moved("plans", SAVED["plans"], stored.plans(), TOLERANCE)) == ""
    with patch.object(mlp, "SEEDS", (1,)), patch.object(quadntk, "SCALES", (0.0, 1e-3)):
        changes = [*moved("plans", SAVED["plans"], stored.plans(), TOLERANCE)]
    assert {change.name.split(".")[0] for change in changes} == {"quadntk live", "quadntk full"}


EDITS = [
    ("setup-remainder-order", "geomspace(1e-3, 1e-1", "geomspace(1e-3, 1.1e-1", "size"),
    ("curves", "_2_4_to_the_4(state)[0]) ** 0.25", "_2_4_to_the_4(state)[0]) ** 0.26", "norm_2_4"),
    ("dropped-constant", "2 * values.flip(0)", "3 * values.flip(0)", "eigenvalues"),
    ("ntk-blind", "unit = 1e-6", "unit = 1.1e-6", "dense_finite"),
    ("quadntk-saddle", "min(1e-5, 1e-3 *", "min(1e-3, 1e-1 *", "test"),
    ("directions-movements", "1_000_003", "1_000_033", "same_sign_train"),
    ("regularizer-small", "math.sqrt(0.5)", "math.sqrt(0.51)", "test"),
    ("landscape-starts", "1_000_000 + self.seed", "1_000_001 + self.seed", "value"),
    ("joint-leaks", "tolerance=1e-6", "tolerance=1e-1", "R_1"),
    ("end-to-end-network", "rtol=2e-3", "rtol=4e-3", "difference"),
    ("complexity-ntk", "[0.5, 0.5]", "[0.4, 0.6]", "predicted"),
    ("mlp", "PUBLISHED_SCALE = 675.0", "PUBLISHED_SCALE = 685.0", "missed_dense"),
    ("cnn", "math.sqrt(1.5 /", "math.sqrt(1.6 /", "predictions"),
    ("modules-remainder", "self.largest * 2.0**-j", "self.largest * 2.1**-j", "sizes"),
    ("own-network", "(2**31, ()", "(2**31 - 1, ()", "plain"),
    ("good-directions-study", "v.mul_(0.9)", "v.mul_(0.8)", "leak"),
    ("good-directions-study/relu", "first.lerp_(g, 0.1)", "first.lerp_(g, 0.2)", "decay"),
]  # fmt: skip
"""Label, a constant in the source of its module, another in its place, and what must move."""


def edited(kind: type, old: str, new: str) -> type:
    """The class of this name in a copy of its module with one text replaced."""
    module = sys.modules[kind.__module__]
    source = inspect.getsource(module)
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {module.__name__}"
    copy = types.ModuleType(f"edited_{kind.__name__}")
    chapter = getattr(module, "chapter", None)
    planned = len(chapter.experiments) if chapter else 0
    others = {name: known for name, known in KINDS.items() if known.__module__ != module.__name__}
    with patch.dict(sys.modules, {copy.__name__: copy}), patch.dict(KINDS, others, clear=True):
        with patch.dict(EXPERIMENTS):
            exec(compile(source.replace(old, new), copy.__name__, "exec"), vars(copy))
    if chapter:
        del chapter.experiments[planned:]
    return vars(copy)[kind.__name__]


@pytest.mark.parametrize(("label", "old", "new", "name"), EDITS, ids=[edit[0] for edit in EDITS])
def test_a_changed_constant_is_caught_by_name(label, old, new, name):
    point = POINTS[label]
    values = {field.name: getattr(point, field.name) for field in dataclasses.fields(point)}
    twin = edited(type(point), old, new)(**values)
    entry = {**stored.entry(point, points.run(twin)), "class": SAVED["runs"][label]["class"]}
    changes = [*moved(label, SAVED["runs"][label], entry, TOLERANCE)]
    assert re.search(rf"^{label}: (summary|arrays)\.{name}\b", told(changes), re.MULTILINE)


def test_a_changed_default_is_caught_by_name():
    """A field's default is a constant too, though the tiny run gives the field another value."""
    label = "curves"
    old = SAVED["runs"][label]
    new = {**old, "defaults": {**old["defaults"], "rtol": 1e-3}}
    assert "curves: defaults.rtol: 0.0015 → 0.001" in told(moved(label, old, new, TOLERANCE))


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ({"a": 1.0}, {"a": 1.0 + 2e-9}, "a"),
        ({"a": [1.0, 2e-3]}, {"a": [1.0, 2e-3 * (1 + 2e-9)]}, "a[1]"),
        ({"a": [1.0, 1e-9]}, {"a": [1.0, 1e-9 + 3e-15]}, "a[1]"),
        ({"a": [1.0, 2.0]}, {"a": [1.0]}, "a"),
        ({"a": 1}, {"a": 2}, "a"),
        ({"a": 1}, {"a": 1.0}, "a"),
        ({"a": "nan"}, {"a": 0.0}, "a"),
        ({"a": None}, {"a": "nan"}, "a"),
        ({"a": True}, {"a": 1}, "a"),
        ({"a": {"b": "text"}}, {"a": {"b": "Text"}}, "a.b"),
        ({"a": [{"b": 1.0}]}, {"a": [{"b": 2.0}]}, "a[0].b"),
        ({}, {"a": 1.0}, "a"),
        ({"a": 1.0}, {}, "a"),
    ],
)
def test_a_difference_is_named(old, new, name):
    (change,) = moved("run", old, new, Tolerance(1e-9))
    assert str(change).startswith(f"run: {name}: ")
    assert not [*moved("run", new, new, Tolerance(1e-9))]


def test_what_is_near_enough_is_not():
    tolerance = Tolerance(1e-9)
    assert not [*moved("run", {"a": 1.0}, {"a": 1.0 + 5e-10}, tolerance)]
    assert not [*moved("run", [1.0, 1e-9], [1.0, 1e-9 + 5e-16], tolerance)]


def test_exceptions_hold_where_they_are_stated_and_say_why():
    """Each fits numbers that are stored; rounding is let through, and nothing beside it."""
    names = [
        f"{label} {change.name}"
        for label, run in SAVED["runs"].items()
        for change in moved(label, run, _emptied(run), Tolerance(0.0))
    ]
    for exception in SAVED["tolerance"]["exceptions"]:
        assert exception.keys() <= {"why", "names", "relative", "absolute", "counts"}
        assert exception["why"]
        for pattern in exception["names"]:
            assert fnmatch.filter(names, pattern), pattern
    assert TOLERANCE.at("setup-pair-descent", "summary.right") == Allowed(1e-8, 1e-12)
    assert TOLERANCE.at("setup-pair-descent", "summary.wrong") == Allowed(1e-8)
    assert TOLERANCE.at("quadntk-saddle", "summary.n_gradients") == Allowed(0.1, counts=True)
    assert TOLERANCE.at("curves", "summary.gradients") == Allowed(1e-8)


def _emptied(tree):
    """The same tree with every leaf replaced."""
    if isinstance(tree, dict):
        return {key: _emptied(value) for key, value in tree.items()}
    return [_emptied(value) for value in tree] if isinstance(tree, list) else "emptied"


def test_what_is_within_its_tolerance_stays_as_it_is_stored():
    tolerance = Tolerance(1e-9)
    old = {"summary": {"a": 1.0}}
    near, far = {"summary": {"a": 1 + 1e-10}}, {"summary": {"a": 1 + 1e-8}}
    assert remake.kept_or_new("run", old, near, tolerance) is old
    assert remake.kept_or_new("run", old, far, tolerance) is far
    assert remake.kept_or_new("run", stored.ABSENT, near, tolerance) is near
    assert remake.asked_for("setup-x", ()) and remake.asked_for("setup-x", ("mlp", "setup-*"))
    assert not remake.asked_for("setup-x", ("mlp",))


def test_only_the_run_that_is_asked_for_is_made_anew(tmp_path, monkeypatch):
    """Its entry had been another; that of a second run had too, and keeps what it has."""
    label, other = "setup-dense-projector", "setup-initialization"
    spoilt = stored.load(GOLDEN)
    kept = spoilt["runs"][label]
    spoilt["runs"][label] = {"class": "Attic"}
    spoilt["runs"][other] = {"class": "Barn"}
    stored.save(tmp_path / "golden.json", spoilt)
    monkeypatch.setattr(remake, "GOLDEN", tmp_path / "golden.json")
    told_changes = [str(change) for change in remake.golden([label], False)]
    new = stored.load(tmp_path / "golden.json")
    assert told(moved(label, kept, new["runs"][label], TOLERANCE)) == ""
    assert new["runs"][other] == {"class": "Barn"}
    assert {line.split(":")[0] for line in told_changes} == {label}


def test_a_number_that_is_perhaps_zero_is_asked_about(tmp_path, monkeypatch):
    spoilt = stored.load(GOLDEN)
    del spoilt["runs"]["setup-dense-projector"]
    spoilt["tolerance"]["exceptions"] = []
    stored.save(tmp_path / "golden.json", spoilt)
    monkeypatch.setattr(remake, "GOLDEN", tmp_path / "golden.json")
    said = [
        line
        for line in remake.golden(["setup-dense-projector"], False)
        if remake.ROUNDING in str(line)
    ]
    assert said and all("setup-dense-projector summary.right = " in line for line in said)
