"""Refuse bad input: every refusal says what was expected, what came, and how to mend it.

Errors are typed so that a caller can catch them: all derive from :class:`EscapeNTKError`, and the
ones about arguments also from :class:`ValueError`.  ``assert`` is for impossibilities only.
"""

import inspect
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, SupportsFloat, SupportsIndex, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

_Kind = TypeVar("_Kind")
_PRECISIONS = (torch.float32, torch.float64)


class EscapeNTKError(Exception):
    """Root of every error that this package raises on purpose."""


class InputError(EscapeNTKError, ValueError):
    """An argument lies outside its domain."""


class ShapeError(InputError):
    """An array has the wrong number of axes, the wrong length, dtype or device."""


class NonFiniteError(InputError):
    """An array or number holds NaN or infinity."""


class RankError(InputError):
    """More directions were asked for than the training features span."""


class StabilityError(InputError):
    """A step size lies beyond the stability limit 2/ρ of gradient descent."""


class UnknownNameError(InputError):
    """No experiment, scale, activation or claim has this name."""


class DataFileError(InputError):
    """A data set is missing, damaged, or another one than was expected."""


class RecordError(EscapeNTKError, RuntimeError):
    """A record could not be written; what was computed hangs on the error."""


class RecordWarning(UserWarning):
    """A stored record was unreadable and is computed again."""


class CutoffWarning(UserWarning):
    """Part of a spectrum was cut off as numerically zero."""


class DerivativeWarning(UserWarning):
    """A module's values and its derivatives, as automatic differentiation has them, differ."""


class SaddleWarning(UserWarning):
    """A run starts where the gradient is zero, and stays there."""


def message(*, expected: str, got: object, remedy: str) -> str:
    """One sentence in the house's order: expected, got, remedy."""
    return f"expected {expected}; got {got}; remedy: {remedy}"


def shown(value: object) -> str:
    """``value`` in a few words: tensors and arrays by kind and shape, other things cut short."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple):
        kind = type(value).__name__
        return f"{kind} of shape {tuple(shape)}" + (f", {dtype}" if dtype is not None else "")
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:79]}…"


def integer(name: str, value: object, *, least: int, remedy: str = "") -> int:
    """Return ``value`` as int if it is an integer ≥ ``least``, of Python, NumPy or torch.

    Else raise :class:`InputError`; a bool is no integer.
    """
    truth = isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")
    try:
        whole = None if truth else operator.index(cast(SupportsIndex, value))
    except TypeError:
        whole = None
    if whole is None or whole < least:
        raise InputError(
            message(
                expected=f"{name} to be an integer ≥ {least}",
                got=shown(value),
                remedy=remedy or f"pass {name}={least} or more",
            )
        )
    return whole


def seed(value: object) -> int:
    """Return ``value`` as int if it is an integer from 0 to 2^63 − 1; else :class:`InputError`."""
    number = integer("seed", value, least=0)
    if number >= 2**63:
        remedy = f"seed={number % 2**63}"
        raise InputError(message(expected="seed < 2^63", got=number, remedy=remedy))
    return number


def instance(name: str, value: object, kind: type[_Kind], remedy: str) -> _Kind:
    """Return ``value`` if it is of this ``kind``; else raise :class:`InputError`."""
    if not isinstance(value, kind):
        expected = f"{name} to be a {kind.__name__}"
        raise InputError(message(expected=expected, got=shown(value), remedy=remedy))
    return value


def function(name: str, value: object, remedy: str) -> Callable[..., Any]:
    """Return ``value`` if it can be called with one argument; else raise :class:`InputError`."""
    if not callable(value) or not _takes_one(value):
        expected = f"{name} to be a function of one argument"
        raise InputError(message(expected=expected, got=shown(value), remedy=remedy))
    return value


def _takes_one(value: Callable) -> bool:
    """Whether a call with one argument fits the signature; what has none is believed."""
    try:
        inspect.signature(value).bind(None)
    except TypeError:
        return False
    except ValueError:
        pass
    return True


def flag(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False; else raise :class:`InputError`."""
    return instance(name, value, bool, f"{name}=True or {name}=False")


def floating(name: str, value: object) -> torch.dtype:
    """Return ``value`` if it is torch.float32 or torch.float64; else raise :class:`InputError`."""
    if not isinstance(value, torch.dtype) or value not in _PRECISIONS:
        expected = f"{name} to be a torch.dtype of single or double precision"
        remedy = f"{name}=torch.float32 or {name}=torch.float64"
        raise InputError(message(expected=expected, got=shown(value), remedy=remedy))
    return value


def items(name: str, value: object, kind: type[_Kind], remedy: str) -> tuple[_Kind, ...]:
    """Return a tuple of ``value`` if it is a sequence of this ``kind``.

    Else raise :class:`InputError`.
    """
    listed = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else None
    if listed is None or not all(isinstance(item, kind) for item in listed):
        expected = f"{name} to be a sequence of {kind.__name__}"
        raise InputError(message(expected=expected, got=shown(value), remedy=remedy))
    return listed


def generator(value: object) -> torch.Generator:
    """Return ``value`` if it is a generator of random numbers; else :class:`InputError`."""
    return instance("generator", value, torch.Generator, "torch.Generator().manual_seed(0)")


def even_width(m: object) -> int:
    """Return the width ``m`` if it is even and ≥ 2: paired neurons need two of each weight.

    Else :class:`InputError`, with the next even width.
    """
    m = integer("m", m, least=2)
    if m % 2:
        raise InputError(
            message(
                expected="an even width m (neurons come in pairs a = +1, −1)",
                got=m,
                remedy=f"use m={m + 1}",
            )
        )
    return m


def number(name: str, value: object, *, least: float = -math.inf, strict: bool = False) -> float:
    """Return ``value`` as float if finite and ≥ ``least`` (> when ``strict``).

    Else :class:`NonFiniteError`, or :class:`InputError`: no real number, or too small.
    """
    try:
        if isinstance(value, (str, bytes)) or getattr(value, "ndim", 0):
            raise TypeError
        x = float(cast(SupportsFloat, value))
    except OverflowError:
        x = math.inf
    except (TypeError, ValueError, RuntimeError):  # the last: a tensor that is not one real number
        raise InputError(
            message(expected=f"{name} to be a real number", got=shown(value), remedy="pass a float")
        ) from None
    if not math.isfinite(x):
        raise NonFiniteError(
            message(expected=f"{name} to be finite", got=x, remedy="check how it was computed")
        )
    if x < least or (strict and x == least):
        sign = ">" if strict else "≥"
        raise InputError(
            message(
                expected=f"{name} {sign} {least:g}", got=x, remedy=f"pass {name} {sign} {least:g}"
            )
        )
    return x


def one_of(
    name: str, value: object, allowed: Sequence[str], remedy: str = "choose one of these"
) -> str:
    """Return ``value`` if it is among ``allowed``; else raise :class:`UnknownNameError`."""
    if not isinstance(value, str) or value not in allowed:
        raise UnknownNameError(
            message(
                expected=f"{name} to be one of {', '.join(allowed)}",
                got=shown(value),
                remedy=remedy,
            )
        )
    return value


def without_gradient(name: str, value: Tensor) -> Tensor:
    """Return ``value`` unless it requires a gradient, which nothing here would hand on.

    Else :class:`InputError`.
    """
    if value.requires_grad:
        expected = f"{name} without gradient: what is computed of it carries none"
        got, remedy = "a tensor that requires one", f"{name}.detach()"
        raise InputError(message(expected=expected, got=got, remedy=remedy))
    return value


def array(
    name: str, value: object, shape: Sequence[int | None], *, like: Tensor | None = None
) -> Tensor:
    """Return ``value`` if it is a finite floating tensor of ``shape`` (``None``: any length).

    With ``like``, dtype and device must agree with it.  Raises :class:`ShapeError` or
    :class:`NonFiniteError`.
    """
    value = layout(name, value, shape, like=like)
    if not bool(torch.isfinite(value).all()):
        raise NonFiniteError(
            message(
                expected=f"{name} to be finite",
                got=f"{_bad_entries(value)}",
                remedy=f"look at {name} before this call",
            )
        )
    return value


def _bad_entries(value: Tensor) -> str:
    """How many entries are NaN or infinite, and the row (from 0) that has most of them."""
    bad = ~torch.isfinite(value)
    text = f"{int(bad.sum())} NaN or infinite entries"
    if not value.ndim:
        return text
    by_row = bad.flatten(1).sum(1).tolist() if value.ndim > 1 else bad.tolist()
    where = "most of them" if sum(map(bool, by_row)) > 1 else "all"
    return f"{text}, {where} in row {by_row.index(max(by_row))}"


def _as_tensor(name: str, value: object, dtype: torch.dtype) -> str:
    """How to make a floating tensor of what came."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return f"torch.from_numpy({name}).to({dtype})"
    if isinstance(getattr(value, "state", None), Tensor):  # a whole run in the place of its end
        return f"its end: {name}=run.state"
    return f"torch.as_tensor(…, dtype={dtype})"


def _reshaped(name: str, value: Tensor, axes: int) -> str:
    """How to mend a shape."""
    if axes == 1 and value.ndim == 2 and 1 in value.shape:
        return f"{name}.squeeze({0 if value.shape[0] == 1 else 1})"
    if axes == 2:
        return "check the order (n, d) of inputs and (pairs, d) of weights"
    return f"look at {name}.shape"


def layout(
    name: str, value: object, shape: Sequence[int | None], *, like: Tensor | None = None
) -> Tensor:
    """As :func:`array`, but its numbers may be NaN or infinite; costs nothing in a hot loop.

    Raises :class:`ShapeError`.
    """
    if not isinstance(value, Tensor) or not value.is_floating_point():
        dtype = getattr(value, "dtype", None)
        kind = type(value).__name__ + (f" of {dtype}" if dtype is not None else "")
        raise ShapeError(
            message(
                expected=f"{name} to be a floating torch.Tensor",
                got=kind,
                remedy=_as_tensor(name, value, torch.float32 if like is None else like.dtype),
            )
        )
    if value.is_meta or value.layout is not torch.strided:
        raise ShapeError(
            message(
                expected=f"{name} to be a dense tensor that holds its numbers",
                got=f"{value.layout} on {value.device}",
                remedy=f"{name}.to_dense(), or a tensor on the CPU",
            )
        )
    if value.dtype not in _PRECISIONS:
        expected = f"{name} in float32 or float64: half precision carries three digits"
        raise ShapeError(message(expected=expected, got=value.dtype, remedy=f"{name}.float()"))
    wanted = "(" + ", ".join("·" if s is None else str(s) for s in shape) + ")"
    fits = value.ndim == len(shape) and all(
        s is None or s == got for s, got in zip(shape, value.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            message(
                expected=f"{name} of shape {wanted}",
                got=tuple(value.shape),
                remedy=_reshaped(name, value, len(shape)),
            )
        )
    if value.numel() == 0:
        raise ShapeError(
            message(expected=f"{name} not empty", got=tuple(value.shape), remedy="pass n, d, m ≥ 1")
        )
    if like is not None and (value.dtype != like.dtype or value.device != like.device):
        raise ShapeError(
            message(
                expected=f"{name} with dtype {like.dtype} on {like.device}",
                got=f"{value.dtype} on {value.device}",
                remedy=f"{name}.to(dtype={like.dtype}, device={str(like.device)!r})",
            )
        )
    return value
