"""What is no matrix to take eigenvectors of."""

import pytest
import torch

from escape_ntk.checks import InputError, NonFiniteError, ShapeError
from escape_ntk.numerics.eigenpairs import leading_eigenpairs


@pytest.mark.parametrize("bad", [torch.zeros(3, 4), torch.zeros(3), torch.eye(3).long(), [[1.0]]])
def test_no_square_matrix_is_refused(bad):
    with pytest.raises(ShapeError, match="matrix"):
        leading_eigenpairs(bad, 1)
    assert leading_eigenpairs(torch.eye(3), 1)[1].shape == (3, 3)  # control


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(NonFiniteError, match="matrix"):
        leading_eigenpairs(torch.eye(3) / 0, 1)


@pytest.mark.parametrize("bad", [-1, 1.5, "gap"])
def test_no_count_is_refused(bad):
    with pytest.raises(InputError, match="count"):
        leading_eigenpairs(torch.eye(3), bad)
