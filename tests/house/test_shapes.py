"""The shapes that signatures state are checked while the other tests run (see conftest.py)."""

import importlib
import inspect
import os

import jaxtyping
import pytest
import torch
from conftest import with_shapes

from escape_ntk.models.network import ACTIVATIONS
from escape_ntk.models.pairs import PairFeatures

pytestmark = pytest.mark.skipif(os.environ.get("SHAPES") != "1", reason="shapes are not checked")


def is_checked(name: str) -> bool:
    """Whether functions or methods of a module are wrapped."""
    module = importlib.import_module(name)
    kinds = [kind for kind in vars(module).values() if inspect.isclass(kind)]
    found = [f for place in (module, *kinds) for f in vars(place).values() if inspect.isfunction(f)]
    wrapped = [f for f in found if f.__globals__["__name__"].startswith("jaxtyping")]
    return any(f.__module__ == name for f in wrapped)


@pytest.mark.parametrize("name", with_shapes())
def test_every_module_that_states_shapes_is_checked(name):
    assert is_checked(name)


def test_modules_with_shapes_are_known():
    known = {
        f"escape_ntk.{name}" for name in ("models.pairs", "models.modules", "risk.regularizer")
    }
    without = "escape_ntk.numerics.stats"
    assert known <= {*with_shapes()}
    assert without not in with_shapes() and not is_checked(without)


def test_a_wrong_shape_and_a_wrong_closure_are_found(monkeypatch):
    """Also in what a function hands out to be called later."""
    eye = torch.eye(3, dtype=torch.float64)
    features = PairFeatures(eye, eye[:2], ACTIVATIONS["erf"])
    with pytest.raises(jaxtyping.TypeCheckError):
        features.linear(torch.zeros(2, dtype=torch.float64))
    _, _, pullback = features.terms_and_pullback(torch.zeros(2, 2, 3, dtype=torch.float64))
    monkeypatch.setattr(
        torch.Tensor, "new_zeros", lambda self, *shape: torch.zeros(3, 2, 3).double()
    )
    with pytest.raises(jaxtyping.TypeCheckError):
        pullback(torch.ones(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64))
