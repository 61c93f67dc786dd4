"""Values of a record: plain JSON, checksums, and arrays without pickles.

Equal values and equal arrays give equal bytes on every machine and day.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from escape_ntk.checks import InputError, NonFiniteError, message

DEPTH = 100
"""Lists and dicts within one another in a JSON value, at most."""
DIGITS = 4300
"""Of an integer, at most: as many as Python reads."""
ARRAY_KINDS = "biufcSU"  # booleans, integers, floats, complex numbers, fixed-width text


class BadFileError(Exception):
    """A stored file failed verification; the arguments are what was expected and what came."""


def plain(value: object, where: str, depth: int = DEPTH) -> Any:
    """A deep copy of the JSON value ``value`` in plain types; ``where`` names it in errors.

    At most ``depth`` lists and dicts may stand within one another: a value that holds itself has no
    end.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value):
        return str.__str__(value)
    if isinstance(value, int):
        if abs(value) < 10**DIGITS:
            return int.__int__(value)
        expected, got = f"{where} to have at most {DIGITS} digits", f"{value.bit_length()} bits"
        raise InputError(message(expected=expected, got=got, remedy="keep it as text, in hex"))
    if isinstance(value, float):
        if math.isfinite(value):
            return float.__float__(value)
        remedy = "keep it in an array, or store None and say why in a field beside it"
        raise NonFiniteError(message(expected=f"{where} to be finite", got=value, remedy=remedy))
    if isinstance(value, (list, tuple, Mapping)) and not depth:
        expected = f"{where[:80]}… to be nested at most {DEPTH} deep"
        remedy = "flatten it; a list or dict that holds itself cannot be stored"
        raise InputError(message(expected=expected, got="more", remedy=remedy))
    if isinstance(value, (list, tuple)):
        return [plain(entry, f"{where}[{i}]", depth - 1) for i, entry in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {
            plain(n, f"a name in {where}"): plain(v, f"{where}.{n}", depth - 1)
            for n, v in value.items()
        }
    expected = f"{where} to be None, bool, int, float, valid text, a list or a dict with text keys"
    remedy = "convert it: value.item() for a NumPy or torch scalar, .tolist() for a short array"
    got = f"{value!a:.80} of type {type(value).__name__}"
    raise InputError(message(expected=expected, got=got, remedy=remedy))


def mapping(value: object, where: str) -> Mapping:
    """``value`` if it is a mapping; else :class:`InputError`."""
    if isinstance(value, Mapping):
        return value
    remedy = "pass a dict, for example dataclasses.asdict(…)"
    got = f"a {type(value).__name__}"
    raise InputError(message(expected=f"{where} to be a mapping", got=got, remedy=remedy))


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces, in ASCII: equal bytes exactly for equal plain values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def text(value: object) -> str:
    """JSON of a plain value, for people to read: sorted keys, letters as they are."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def parse(stored: str) -> dict[str, Any]:
    """The object that :func:`text` or :func:`canonical` wrote; else :class:`BadFileError`."""
    try:
        value = json.loads(stored)
    except (ValueError, RecursionError) as error:
        raise BadFileError("JSON", f"{type(error).__name__}: {error}") from None
    if not isinstance(value, dict):
        raise BadFileError("a JSON object", type(value).__name__)
    return value


def sha256(*parts: bytes) -> str:
    """SHA-256 of the parts one after the other, in hex."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def array(name: object, value: object) -> np.ndarray:
    """``value`` as a little-endian C-ordered array; refuse what bytes cannot tell."""
    if not (isinstance(name, str) and name.isprintable() and 0 < len(name) <= 200):
        expected, remedy = "an array name of 1 to 200 printable characters", "rename the array"
        raise InputError(message(expected=expected, got=ascii(name), remedy=remedy))
    numeric = isinstance(value, (np.ndarray, np.generic, bool, int, float))
    found = np.asarray(value) if numeric and not isinstance(value, np.ma.MaskedArray) else None
    if found is None or found.dtype.kind not in ARRAY_KINDS:
        got = type(value).__name__ + ("" if found is None else f" of dtype {found.dtype}")
        remedy = "numpy.asarray(value), or tensor.detach().cpu().numpy(), without None or objects"
        expected = f"{name!r} to be a NumPy array of numbers, booleans or text"
        raise InputError(message(expected=expected, got=got, remedy=remedy))
    return found.astype(found.dtype.newbyteorder("<"), order="C", copy=False)
