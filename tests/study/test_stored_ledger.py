"""The claims ledger is the one stored in golden/ledger.json: a row that moves is seen.

``python tests/golden/remake.py ledger`` stores what moved and prints it.
"""

from pathlib import Path

import pytest
from golden import stored
from golden.stored import EVERYWHERE, LEDGER, moved_rows


def told(changes) -> str:
    """The changes, one a line."""
    return "\n".join(str(change) for change in changes)


def test_rows_are_those_stored(ledger_rows):
    moved = told(moved_rows(stored.load(LEDGER), ledger_rows, EVERYWHERE))
    assert moved == "", f"if that is meant: python tests/golden/remake.py ledger\n{moved}"


def test_no_row_knows_where_it_was_evaluated():
    assert str(Path(__file__).parents[2]) not in LEDGER.read_text("utf-8")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"verdict": "partly"}, "one: verdict: 'reproduced' → 'partly'"),
        ({"measured": {"slope": 0.25 * (1 + 2e-9)}}, "one: measured.slope: 0.25 → 0.2500000005"),
        ({"record": ["a/1"]}, "one: record: ['a/1', 'a/2'] → ['a/1']"),
        ({"statement": "So."}, "one: statement: 'so' → 'So.'"),
    ],
)
def test_a_row_that_moves_is_told_by_field(change, line):
    row = {
        "id": "one",
        "statement": "so",
        "verdict": "reproduced",
        "measured": {"slope": 0.25},
        "record": ["a/1", "a/2"],
    }
    near = row | {"measured": {"slope": 0.25 * (1 + 1e-10)}}
    assert told(moved_rows([row], [near], EVERYWHERE)) == ""
    assert told(moved_rows([row], [row | change], EVERYWHERE)).startswith(line)


def test_rows_that_come_and_go_are_told():
    one, two = {"id": "one"}, {"id": "two"}
    changes = told(moved_rows([one], [two], EVERYWHERE))
    assert changes == "one: {'id': 'one'} → 'absent'\ntwo: 'absent' → {'id': 'two'}"
