"""Is a module a function of each row alone, with one number, or C, a row?  Tried on three rows.

They are tried alone, together, and among as many as are evaluated at once.
Refused are randomness, memory of earlier calls, rows that influence one another, and outputs of
another kind or shape.  Outputs are compared beside θ₀ too, where a zero of θ₀ hides nothing.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, SupportsIndex, cast

import torch
from torch import Tensor, nn

from escape_ntk import checks
from escape_ntk.checks import InputError, message
from escape_ntk.models.private_copy import PrivateCopy, plainly
from escape_ntk.models.random_states import as_it_was, same_states, states

_NORMALIZED = nn.modules.batchnorm._BatchNorm
Output = SupportsIndex | str | None
"""What of a row's outputs: a column, "all", or none said."""


def function_of_rows(
    copy: PrivateCopy, X: Tensor, output: Output, chunk: int
) -> tuple[int | None, int]:
    """(column, outputs a row C) of the module; column None for all C.

    The rows are tried by themselves and among as many as are evaluated at once, ``chunk``.
    :class:`~escape_ntk.checks.InputError` where f(x) is not C real numbers that depend on x and the
    parameters alone.
    """
    with as_it_was(), plainly(X.device, copy.recurrent):
        parameters = list(copy.start.values())
        probe = X[[0, len(X) // 2, -1]]
        state = states()
        try:
            copy.watch(probe)
            together, again = copy.calls(parameters, probe, 2)
        except checks.EscapeNTKError:
            raise
        except Exception as error:
            raise InputError(_cannot_run(copy, probe, error)) from error
        shape = _shape(together, 3, X)
        _check_the_same(copy, probe, state, together, again)
        _check_graph(copy, parameters, probe)
        moved = _moved(copy, parameters, probe)
        together = copy(moved, probe)
        full = torch.cat([probe, X[: max(0, min(chunk, len(X)) - 3)]])
        for x, rows in (
            *((probe[rows], rows) for rows in ([0], [2], [1, 0], [2, 1], [0, 0])),
            (full, [0, 1, 2]),
        ):
            try:
                out = copy(moved, x)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                raise InputError(_mixed(copy, f"{in_words(error)} for {len(x)}")) from error
            _check_shape_of_few(out, len(x), shape)
            _check_alone(copy, out[: len(rows)], together[rows])
        return _column(shape, output)


def _moved(copy: PrivateCopy, start: list[Tensor], probe: Tensor) -> list[Tensor]:
    """Parameters beside θ₀, where a zero of θ₀ hides nothing; θ₀ where f has no value beside it."""
    generator = torch.Generator().manual_seed(0)
    moved = []
    for p in start:
        noise = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p)
        moved.append(p + noise * (0.1 * p.square().mean().sqrt() + 0.01 if p.numel() else 1.0))
    try:
        return moved if bool(torch.isfinite(copy(moved, probe)).all()) else start
    except Exception:
        return start


def _shape(out: Any, count: int, X: Tensor) -> tuple[int, ...]:
    """The shape of outputs for ``count`` rows, if it is (n,) or (n, C)."""

    def refuse(got: object, remedy: str) -> None:
        raise InputError(
            message(expected="one output a row: (n,) or (n, 1)", got=got, remedy=remedy)
        )

    if not isinstance(out, Tensor):
        first = "its tensor: a module whose forward returns net(x)[0], or net(x).logits"
        refuse(f"{type(out).__name__}", first)
    shape = tuple(out.shape)
    said = f"{shape} for {count} rows"
    if out.layout != torch.strided:
        refuse(f"a {out.layout} tensor", "return out.to_dense()")
    if out.is_complex():
        refuse(f"complex numbers, {out.dtype}", "return its real part, or its modulus")
    if not out.is_floating_point():
        refuse(f"{out.dtype}", "return the scores before rounding, argmax or comparison")
    if out.dtype != X.dtype or out.device != X.device:
        refuse(f"{out.dtype} on {out.device}", f"return out.to(x), here {X.dtype} on {X.device}")
    if not shape:
        refuse(f"{said}", "squeeze(-1) where it is squeeze(), no sum or mean over the rows")
    if shape[0] != count:
        flat = shape[-1] == count and len(shape) == 2
        refuse(
            said, "return out.T" if flat else "rows first, and squeeze(-1) where it is squeeze()"
        )
    if len(shape) > 2:
        refuse(said, "return out.flatten(1), and choose a column with output=…")
    if len(shape) == 2 and not shape[1]:
        refuse(said, "a head with one output")
    return shape


def _check_shape_of_few(out: Any, count: int, shape: tuple[int, ...]) -> None:
    if not isinstance(out, Tensor) or tuple(out.shape) != (count, *shape[1:]):
        got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise InputError(
            message(
                expected=f"outputs {(count, *shape[1:])} for {count} rows, as {shape} for 3",
                got=got,
                remedy="squeeze(-1) where it is squeeze(), which drops a batch of one as well",
            )
        )


def _column(shape: tuple[int, ...], output: Output) -> tuple[int | None, int]:
    """Which column, and how many outputs a row; refuses several without a choice."""
    count = shape[1] if len(shape) == 2 else 1
    if isinstance(output, str):
        if output != "all":
            remedy = 'a column counted from 0, or output="all"'
            raise InputError(message(expected="output", got=repr(output), remedy=remedy))
        return None, count
    if output is None:
        if count > 1:
            raise InputError(
                message(
                    expected="one output a row: (n,) or (n, 1)",
                    got=f"{count}",
                    remedy='choose a column with output=…, all with output="all", or add a head '
                    "with one output",
                )
            )
        return 0, 1
    column = checks.integer("output", output, least=0)
    if len(shape) == 1 or column >= count:
        raise InputError(
            message(
                expected="no output= for a module that returns (n,)"
                if len(shape) == 1
                else f"output < {count}, the module's outputs",
                got=column,
                remedy="leave output= out" if count == 1 else "count from 0",
            )
        )
    return column, 1


def _check_the_same(copy: PrivateCopy, probe: Tensor, state: Any, one: Any, two: Any) -> None:
    """Refuse randomness, and memory of the call before."""
    drawn, layer = not same_states(state, states()), ""
    if drawn:
        layer = _first_layer_that_draws(copy, probe)
    elif isinstance(two, Tensor) and one.shape == two.shape and _repeats(copy, one, two):
        return
    training = _in_training(copy)
    got = f"{layer or 'a module'} that draws random numbers" if drawn else "two calls that differ"
    if training and (drawn or training == layer):
        got = f"{training} in training mode"
    raise InputError(
        message(
            expected="a module whose output at x depends on x and the parameters alone",
            got=got,
            remedy="call module.eval() first"
            if _repeats_in_eval(copy, probe)
            else "F.dropout(…, training=self.training), no noise and no state kept between calls",
        )
    )


def _repeats(copy: PrivateCopy, one: Tensor, two: Tensor) -> bool:
    """Whether two calls agree: bit for bit where a call changes buffers."""
    return torch.equal(one, two) if copy.changes_buffers else close(one, two, exact=True)


def _repeats_in_eval(copy: PrivateCopy, probe: Tensor) -> bool:
    """Whether .eval() would help: two calls that draw nothing and agree."""
    if not any(layer.training for layer in copy.module.modules()):
        return False
    before = states()
    try:
        quiet = PrivateCopy(deepcopy(copy.module).eval())
        quiet.watch(probe)
        one, two = quiet.calls(list(quiet.start.values()), probe, 2)
    except Exception:
        return False
    return same_states(before, states()) and _repeats(quiet, one, two)


def _in_training(copy: PrivateCopy) -> str:
    """The first dropout or normalisation layer in training mode, for words."""
    kinds = (nn.modules.dropout._DropoutNd, _NORMALIZED)
    for name, layer in copy.module.named_modules():
        if isinstance(layer, kinds) and layer.training:
            return f"{type(layer).__name__} {name!r}"
    return next(
        (
            f"{type(layer).__name__} {name!r}"
            for name, layer in copy.module.named_modules()
            if layer.training and (getattr(layer, "dropout", 0) or isinstance(layer, nn.RReLU))
        ),
        "",
    )


def _first_layer_that_draws(copy: PrivateCopy, probe: Tensor) -> str:
    before, found = [], []

    def enter(name, layer, inputs):
        before.append(states())

    def leave(name, layer, out):
        if not same_states(before.pop(), states()):
            found.append(f"{type(layer).__name__} {name!r}")

    copy.trace(probe, enter, leave)
    return found[0] if found else ""


def _check_graph(copy: PrivateCopy, parameters: list[Tensor], probe: Tensor) -> None:
    """Refuse a forward pass that reaches parameters around the module's own."""
    leaves = [p.detach().requires_grad_() for p in parameters]
    try:
        out = copy(leaves, probe)
    except checks.EscapeNTKError:
        raise
    except Exception as error:
        raise InputError(
            message(
                expected="a module that runs with gradients in its parameters",
                got=in_words(error),
                remedy="operations that have gradients on this device: try module(X[:3]) with "
                "torch.enable_grad()",
            )
        ) from error
    own = {id(leaf) for leaf in leaves}
    registered = {id(p) for p in copy.module.parameters()}
    for tensor in _leaves_of(out):
        outside = isinstance(tensor, nn.Parameter) and id(tensor) not in copy.copied
        around = id(tensor) in registered or id(tensor) in copy.originals or outside
        if id(tensor) not in own and around:
            raise InputError(
                message(
                    expected="a forward pass that takes its parameters from the module it is of",
                    got=f"one that reaches a tensor of shape {tuple(tensor.shape)} around it",
                    remedy="methods of the module in the place of functions that close over it; "
                    "nn.ParameterList in the place of a tuple",
                )
            )


def _leaves_of(out: Tensor) -> Iterator[Tensor]:
    """The tensors that a graph ends in."""
    seen, todo = set(), [out.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield cast(Any, node).variable
        todo += [parent for parent, _ in node.next_functions]


def _check_alone(copy: PrivateCopy, out: Tensor, wanted: Tensor) -> None:
    if not close(out, wanted, exact=False):
        gap = float((out - wanted).abs().max())
        raise InputError(_mixed(copy, f"a row whose output moves by {gap:.2g}"))


def _mixed(copy: PrivateCopy, got: str) -> str:
    """Words for rows that influence one another."""
    norms = [(n, m) for n, m in copy.module.named_modules() if isinstance(m, _NORMALIZED)]
    training, bare = (
        next((f"{type(m).__name__} {name!r}" for name, m in norms if fits(m)), "")
        for fits in (lambda m: m.training, lambda m: m.running_mean is None)
    )
    first = next(
        (
            f"{type(m).__name__} {name!r}"
            for name, m in copy.module.named_modules()
            if getattr(m, "batch_first", True) is False
        ),
        "",
    )
    if bare:
        got = f"{bare} without running statistics"
        remedy = "track_running_stats=True and module.eval(); or GroupNorm"
    elif training:
        got, remedy = f"{training} in training mode", "call module.eval() first"
    elif first:
        got, remedy = f"{got} with the rows beside it, {first}", "batch_first=True, inputs (n, …)"
    else:
        got = f"{got} with the rows beside it"
        remedy = "reductions over dim 0 along another dimension, rows first"
    return message(
        expected="a module whose output at x depends on x and the parameters alone",
        got=got,
        remedy=remedy,
    )


def _cannot_run(copy: PrivateCopy, probe: Tensor, error: Exception) -> str:
    if _mixed_rows_only(copy):
        return _mixed(copy, in_words(error))
    return message(
        expected=f"a module that can be called on inputs of shape {tuple(probe.shape)}",
        got=in_words(error),
        remedy="try module(X[:3]) by itself; a module whose forward takes x alone",
    )


def _mixed_rows_only(copy: PrivateCopy) -> bool:
    return any(isinstance(m, _NORMALIZED) and m.training for m in copy.module.modules())


def close(a: Tensor, b: Tensor, *, exact: bool) -> bool:
    """Whether two outputs agree: to the last digits if ``exact``, else to rounding."""
    if a.dtype != b.dtype:
        return False
    finite = b[torch.isfinite(b)]
    scale = float(finite.abs().max()) if finite.numel() else 0.0
    rounding = 1e-12 if a.dtype == torch.float64 else 1e-5
    rounding = rounding if exact else 100 * rounding
    return torch.allclose(a, b, rtol=0, atol=rounding * scale, equal_nan=True)


def in_words(error: Exception) -> str:
    """The kind of an error and the first of what it says."""
    line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {line.partition(' because ')[0][:110]}"
