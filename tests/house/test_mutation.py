"""The mutants of the numeric core: which are made, which are not, and what became of them."""

import ast
import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "mutation"
MADE = '''"""1 + 1"""
import math as maths

TOLERANCE: Dict[1, "n 2"] = 0.5

@cached(maxsize=3)
def scaled(x: Float[Tensor, "n 4"], factor: int = 6) -> Shape[7]:
    """2 * x"""
    if x < 0:
        raise InputError(message(got=x + 8))
    bar.update(9 + x)
    x.check(10)
    return (x.T * factor).sum(1)
'''


@pytest.fixture
def operators(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import operators

    return operators


@pytest.fixture(scope="module")
def outcome() -> dict:
    return json.loads((FOLDER / "outcome.json").read_text(encoding="utf-8"))


def test_each_operator_and_nothing_silent(operators):
    """Numbers of annotations, docstrings, decorators, messages and progress bars stay."""
    made = operators.mutants("made", ast.parse(MADE))
    changes = {(mutant.before, mutant.after) for mutant in made}
    assert changes == {
        ("0.5", "1.5"),
        ("6", "7"),
        ("6", "5"),
        ("x < 0", "x <= 0"),
        ("x < 0", "x >= 0"),
        ("0", "1"),
        ("0", "-1"),
        ("raise InputError(message(got=x + 8))", "pass"),
        ("x.check(10)", "pass"),
        ("10", "11"),
        ("10", "9"),
        ("return (x.T * factor).sum(1)", "return None"),
        ("(x.T * factor).sum(1)", "(x.T * factor).mean(1)"),
        ("(x.T * factor).sum(1)", "(x.T * factor).sum()"),
        ("x.T * factor", "x.T / factor"),
        ("x.T", "x"),
        ("1", "2"),
        ("1", "0"),
    }
    assert len({mutant.key for mutant in made}) == len(made)
    assert {m.function for m in made} == {"", "scaled"}


def test_a_mutant_is_one_change_and_is_taken_back(operators):
    tree = ast.parse(MADE)
    unchanged = ast.unparse(tree).splitlines()
    for mutant in operators.mutants("made", tree):
        with mutant.applied():
            changed = ast.unparse(tree).splitlines()
        assert sum(a != b for a, b in zip(unchanged, changed, strict=True)) == 1
        assert ast.unparse(tree).splitlines() == unchanged


def test_keys_outlive_lines_above(operators):
    """A reason given for a survivor still holds when something before it grows."""
    before = operators.mutants("made", ast.parse(MADE))
    after = operators.mutants("made", ast.parse(MADE.replace("import", "\n\nimport", 1)))
    assert [mutant.key for mutant in before] == [mutant.key for mutant in after]
    assert [mutant.span for mutant in before] != [mutant.span for mutant in after]


def test_the_stored_outcome_passes_the_bar(outcome):
    counts = [m[result] for m in outcome["modules"].values() for result in ("killed", "timeout")]
    assert outcome["drawn"] == sum(m["drawn"] for m in outcome["modules"].values()) >= 300
    assert outcome["drawn"] == sum(counts) + outcome["survived"]
    assert outcome["killed_share"] == pytest.approx(sum(counts) / outcome["drawn"], abs=1e-4)
    assert outcome["killed_share"] >= 0.9


def test_every_survivor_is_named_with_its_reason(outcome):
    reasons = json.loads((FOLDER / "equivalent.json").read_text(encoding="utf-8"))
    assert all(entry["reason"] for entry in reasons.values())
    survivors = {found["key"] for found in outcome["survivors"]}
    assert len(survivors) == outcome["survived"] and survivors == set(reasons)
