"""Refuse bad input: every refusal says what was expected, what came, and how to mend it.

Errors are typed so that a caller can catch them: all derive from :class:`EscapeNTKError`, and the
ones about arguments also from :class:`ValueError`.  ``assert`` is for impossibilities only.
"""

import math
from collections.abc import Sequence
from typing import SupportsFloat, TypeVar, cast

import torch
from torch import Tensor

_Kind = TypeVar("_Kind")


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


def message(*, expected: str, got: object, remedy: str) -> str:
    """One sentence in the house's order: expected, got, remedy."""
    return f"expected {expected}; got {got}; remedy: {remedy}"


def integer(name: str, value: object, *, least: int, remedy: str = "") -> int:
    """Return ``value`` if it is an integer ≥ ``least``; else raise :class:`InputError`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(
            message(
                expected=f"{name} to be an integer ≥ {least}",
                got=repr(value),
                remedy=remedy or f"pass {name}={least} or more",
            )
        )
    return value


def instance(name: str, value: object, kind: type[_Kind], remedy: str) -> _Kind:
    """Return ``value`` if it is of this ``kind``; else raise :class:`InputError`."""
    if not isinstance(value, kind):
        expected = f"{name} to be a {kind.__name__}"
        raise InputError(message(expected=expected, got=repr(value)[:80], remedy=remedy))
    return value


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
        if isinstance(value, (str, bytes)):
            raise TypeError
        x = float(cast(SupportsFloat, value))
    except OverflowError:
        x = math.inf
    except (TypeError, ValueError):
        raise InputError(
            message(expected=f"{name} to be a real number", got=repr(value), remedy="pass a float")
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
                got=repr(value),
                remedy=remedy,
            )
        )
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
        bad = int((~torch.isfinite(value)).sum())
        raise NonFiniteError(
            message(
                expected=f"{name} to be finite",
                got=f"{bad} NaN or infinite entries",
                remedy=f"look at {name} before this call",
            )
        )
    return value


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
                remedy="torch.as_tensor(…, dtype=torch.float32)",
            )
        )
    wanted = "(" + ", ".join("·" if s is None else str(s) for s in shape) + ")"
    fits = value.ndim == len(shape) and all(
        s is None or s == got for s, got in zip(shape, value.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            message(
                expected=f"{name} of shape {wanted}",
                got=tuple(value.shape),
                remedy="check the order (n, d) of inputs and (pairs, d) of weights",
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
