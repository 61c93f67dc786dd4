"""Were random numbers drawn, and put back as it was."""

import torch

from escape_ntk.models.random_states import as_it_was, same_states, states

before = states()
with as_it_was():
    torch.rand(1)
    assert not same_states(before, states())
assert same_states(before, states())
