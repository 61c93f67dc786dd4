"""A refusal has a type, and says what was expected, what came, what to do."""

import torch

from escape_ntk import checks

assert checks.integer("n", 3, least=1) == 3
assert checks.even_width(4) == 4
assert checks.number("step", 1) == 1.0
assert checks.one_of("law", "sphere", ("sphere", "gaussian")) == "sphere"
X = checks.array("X", torch.ones(2, 3), (None, 3))
assert checks.layout("X", X * torch.nan, (2, 3)).shape == (
    2,
    3,
)  # layout lets NaN pass

refused = {
    checks.InputError: lambda: checks.even_width(5),
    checks.ShapeError: lambda: checks.array("X", X, (3, 2)),
    checks.NonFiniteError: lambda: checks.array("X", X * torch.nan, (2, 3)),
    checks.UnknownNameError: lambda: checks.one_of(
        "law", "cube", ("sphere", "gaussian")
    ),
}
for expected, call in refused.items():
    try:
        call()
    except checks.EscapeNTKError as error:
        assert type(error) is expected and "remedy: " in str(error)
    else:
        raise AssertionError(f"not refused: {expected}")

# One form for all messages, one root for all errors; those about arguments
# are ValueErrors.
text = checks.message(expected="an even m", got=5, remedy="use m=6")
assert text == "expected an even m; got 5; remedy: use m=6"
assert issubclass(checks.RecordError, checks.EscapeNTKError)
for kind in (checks.RankError, checks.StabilityError, checks.DataFileError):
    assert issubclass(kind, checks.InputError) and issubclass(kind, ValueError)
for kind in (
    checks.RecordWarning,
    checks.CutoffWarning,
    checks.DerivativeWarning,
    checks.SaddleWarning,
):
    assert issubclass(kind, UserWarning)

# Objects are guarded like numbers.
assert checks.instance("d", 3, int, "pass an int") == 3
source = torch.Generator()
assert checks.generator(source) is source
for call in (
    lambda: checks.instance("d", "3", int, "pass an int"),
    lambda: checks.generator(0),
):
    try:
        call()
    except checks.InputError as error:
        assert "remedy: " in str(error)
    else:
        raise AssertionError("not refused")

# What else may be asked for, and how anything is shown in a few words.
assert checks.function("f", len, "pass a function") is len
assert checks.flag("keep", True) is True
assert checks.seed(0) == 0
assert checks.without_gradient("X", X) is X
assert checks.floating("dtype", torch.float64) is torch.float64
assert checks.items("ns", [1, 2], int, "pass integers") == (1, 2)
assert checks.shown(torch.ones(2, 3)) == "Tensor of shape (2, 3), torch.float32"
