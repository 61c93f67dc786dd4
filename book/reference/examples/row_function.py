"""A module that is a function of each row, and one that is not."""

import torch
from torch import nn

from escape_ntk.checks import InputError
from escape_ntk.models.private_copy import PrivateCopy
from escape_ntk.models.row_function import (
    Output,
    close,
    function_of_rows,
    in_words,
)

X = torch.randn(5, 3)
column: Output = 1
net = PrivateCopy(nn.Linear(3, 2))
assert function_of_rows(net, X, column, 256) == (1, 1)
assert function_of_rows(net, X, "all", 256) == (None, 2)
try:
    function_of_rows(PrivateCopy(nn.Softmax(0)), X, column, 256)
    raise AssertionError
except InputError as error:
    assert "rows beside it" in in_words(error) + str(error)
assert close(X, X + 1e-6, exact=False) and not close(X, X + 1, exact=False)
