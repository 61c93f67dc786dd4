"""What every refusal must be: a typed error that says expected, got and remedy."""

import re

import pytest

from escape_ntk.checks import EscapeNTKError

SENTENCE = re.compile(r"expected .+; got .+; remedy: .+", re.DOTALL)


def refused(call, error: type[Exception]) -> str:
    """The message of the typed error that ``call`` raises."""
    with pytest.raises(error, match=SENTENCE) as caught:
        call()
    assert type(caught.value) is error
    assert isinstance(caught.value, EscapeNTKError) and isinstance(caught.value, ValueError)
    return str(caught.value)


def table(*rows):
    """Rows (label, error, call) as parameters."""
    return pytest.mark.parametrize(
        "error, call", [pytest.param(e, c, id=label) for label, e, c in rows]
    )
