"""States of the global random generators: were numbers drawn, and put back as it was."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def states() -> tuple:
    """States of the generators of torch, on each device, of NumPy and of Python."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return torch.get_rng_state(), cuda, np.random.get_state(), random.getstate()


def same_states(a: tuple, b: tuple) -> bool:
    """Whether nothing was drawn between two :func:`states`."""
    numbers = all(np.array_equal(x, y) for x, y in zip(a[2], b[2], strict=True))
    cuda = all(torch.equal(x, y) for x, y in zip(a[1], b[1], strict=True))
    return torch.equal(a[0], b[0]) and cuda and numbers and a[3] == b[3]


@contextmanager
def as_it_was() -> Iterator[None]:
    """Random states put back at the end."""
    cpu, cuda, numbers, python = states()
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
        np.random.set_state(numbers)
        random.setstate(python)
