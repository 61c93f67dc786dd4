"""A module as a function f(x; θ) that nothing outside can change: a deep copy, evaluated alone.

The copy keeps parameters, buffers and modes as they are when it is made; the module itself is never
touched.  Each call puts the given tensors where the parameters were, hands the module a clone of
its inputs, and restores what a forward pass has written into the copy.  Source: [D].
"""

import copy
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from operator import is_
from typing import cast

import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from escape_ntk.checks import InputError, message
from escape_ntk.models.composites import Composites

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)
_CHECKPOINT = ("CheckpointFunction", "_checkpoint_without_reentrant_generator")
"""What torch.utils.checkpoint makes of a reentrant one, and of another; the second is private."""
_CONTAINERS = (list, dict, set, OrderedDict, deque)


@contextmanager
def plainly(device: torch.device, recurrent: bool) -> Iterator[None]:
    """Gradients on, whatever the caller's mode; kernels that have all derivatives; no autocast.

    Attention by its mathematical formula, without the fast path of a transformer layer; compiled
    functions as they are written; cuDNN and oneDNN off where a layer is ``recurrent``; operations
    without second derivatives as :mod:`~escape_ntk.models.composites`.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        plain = torch.inference_mode(False), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH)
        with plain[0], plain[1], plain[2], Composites():
            if not recurrent and not torch.is_autocast_enabled(device.type):
                with _uncompiled():
                    yield
            else:
                kernels = _own_kernels() if recurrent else nullcontext()
                with kernels, torch.autocast(device.type, enabled=False), _uncompiled():
                    yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class PrivateCopy:
    """f(x; θ) of a copy of ``module``, θ the trainable parameters in order of their names.

    ``start`` is θ₀ by name; calling it with as many tensors and inputs x gives f(x; θ), as the
    module returns it.  Raises :class:`~escape_ntk.checks.InputError` for what is no ordinary module
    (functions, scripted, wrapped or lazy modules) or cannot be copied.
    """

    def __init__(self, module: nn.Module):
        _refuse_kind(module)
        with torch.inference_mode(False):
            self.module, twins = _deep_copy(module)
        self._trainable: dict[str, Tensor] = {
            k: cast(Tensor, twins[id(p)]) for k, p in module.named_parameters() if p.requires_grad
        }
        self.copied = {id(twin) for twin in twins.values() if isinstance(twin, Tensor)}
        self.originals = {id(v) for v in module.parameters()}
        for layer in self.module.modules():
            if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
                layer.sparse = False  # the same function, with dense gradients
        self._written: list[tuple[int, str]] = []
        self._learn()

    @property
    def start(self) -> dict[str, Tensor]:
        """θ₀: name → value."""
        return {name: p.detach() for name, p in self._trainable.items()}

    @property
    def recurrent(self) -> bool:
        """Whether a layer is an RNN, LSTM or GRU."""
        return any(isinstance(m, nn.RNNBase) for m in self.module.modules())

    @property
    def changes_buffers(self) -> bool:
        """Whether a forward pass was seen to change buffers, by :meth:`watch`."""
        return bool(self._written)

    def __call__(self, parameters: Sequence[Tensor], X: Tensor) -> Tensor:
        """f(x; θ) for all rows of X."""
        return self.calls(parameters, X, 1)[0]

    def calls(self, parameters: Sequence[Tensor], X: Tensor, count: int) -> list[Tensor]:
        """Outputs of ``count`` calls one after the other, nothing restored in between."""

        def again(function: Callable) -> Callable:
            def with_parameters(*args, **more):
                with self._holding(parameters):
                    return function(*args, **more)

            return with_parameters

        with self._holding(parameters), _checkpoints(again):
            return [self.module(X.clone()) for _ in range(count)]

    def in_float64(self) -> "PrivateCopy":
        """Another copy, in float64."""
        other = copy.deepcopy(self)
        places = [id(p) for p in other.module.parameters()]
        order = {name: places.index(id(p)) for name, p in other._trainable.items()}
        other.module.double()
        for layer in other.module.modules():
            for name, value in vars(layer).items():
                if isinstance(value, Tensor) and value.is_floating_point():
                    vars(layer)[name] = value.double()
        now = list(other.module.parameters())
        other._trainable = {name: now[place] for name, place in order.items()}
        other._learn()
        return other

    def watch(self, X: Tensor) -> None:
        """Find the buffers that a forward pass changes; each later call gets clones of them.

        :class:`~escape_ntk.checks.InputError` where it changes parameters.
        """
        given = [p.clone() for p in self.start.values()]
        held = [(i, k, b) for i, m in enumerate(self._modules) for k, b in m._buffers.items()]
        kept = [(i, k, b, b.clone(), b._version) for i, k, b in held if b is not None]
        self.calls(given, X, 1)
        for (name, p), after in zip(self.start.items(), given, strict=True):
            if after._version or not torch.equal(p, after):
                raise InputError(
                    message(
                        expected="a forward pass that leaves the parameters as they are",
                        got=f"one that changes {name!r} in place",
                        remedy="torch.nn.utils.parametrize for constraints; no max_norm",
                    )
                )
        for i, key, buffer, value, version in kept:
            if buffer._version != version or not torch.equal(buffer, value):
                self._modules[i]._buffers[key] = value
                self._written.append((i, key))
        self._remember()

    def trace(self, X: Tensor, before: Callable, after: Callable) -> None:
        """One call with hooks: ``before(name, layer, inputs)``, ``after(name, layer, outputs)``."""
        handles = []
        for name, layer in self.module.named_modules():

            def on_entry(layer, args, name=name):
                before(name, layer, args)

            def on_exit(layer, args, out, name=name):
                after(name, layer, out)

            handles.append(layer.register_forward_pre_hook(on_entry, prepend=True))
            handles.append(layer.register_forward_hook(on_exit))
        try:
            self.module(X.clone())
        finally:
            for handle in handles:
                handle.remove()
            self._restore()

    def _learn(self) -> None:
        """Where each trainable parameter stands, and what the copy holds at rest."""
        self._modules = list(self.module.modules())
        wanted = {id(p): place for place, p in enumerate(self._trainable.values())}
        self._places: list[list[tuple]] = [[] for _ in wanted]
        for layer in self._modules:
            for container in (v for v in vars(layer).values() if isinstance(v, dict | list)):
                for key, value in _items(container):
                    if id(value) in wanted:
                        self._places[wanted[id(value)]].append((container, key))
        self._remember()

    def _remember(self) -> None:
        self._rest = []
        for layer in self._modules:
            held = dict(vars(layer))
            containers = [v for v in held.values() if type(v) in _CONTAINERS]
            self._rest.append((layer, held, [(v, copy.copy(v)) for v in containers]))

    @contextmanager
    def _holding(self, parameters: Sequence[Tensor]) -> Iterator[None]:
        """``parameters`` in their places, and clones of the buffers that a forward pass changes."""
        try:
            for tensor, places in zip(parameters, self._places, strict=True):
                for container, key in places:
                    container[key] = tensor
            for i, key in self._written:
                buffers = self._modules[i]._buffers
                buffers[key] = cast(Tensor, buffers[key]).clone()
            yield
        finally:
            self._restore()

    def _restore(self) -> None:
        for layer, held, containers in self._rest:
            now = vars(layer)
            same = now.keys() == held.keys() and all(map(is_, now.values(), held.values()))
            if not same:
                now.clear()
                now.update(held)
            for container, content in containers:
                if container or content:
                    container.clear()
                    ordered = isinstance(content, list | deque)
                    (container.extend if ordered else container.update)(content)


def _items(container: Mapping | Sequence) -> Iterator[tuple]:
    return iter(container.items() if isinstance(container, Mapping) else enumerate(container))


@contextmanager
def _own_kernels() -> Iterator[None]:
    """Neither cuDNN nor oneDNN, whose recurrent layers lack derivatives."""
    onednn = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        with torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        torch._C._set_mkldnn_enabled(onednn)


@contextmanager
def _checkpoints(again: Callable[[Callable], Callable]) -> Iterator[None]:
    """Within it torch.utils.checkpoint computes again, in a backward pass, ``again(function)``.

    :class:`~escape_ntk.checks.InputError` for the reentrant kind.
    """
    there = torch.utils.checkpoint
    own = {name: getattr(there, name) for name in _CHECKPOINT if hasattr(there, name)}

    def surrounding(function, *args, **more):
        return own[_CHECKPOINT[1]](again(function), *args, **more)

    try:
        for name, value in zip(_CHECKPOINT, (_Reentrant, surrounding), strict=True):
            if name in own:  # else the trial finds what a checkpoint makes inexact
                setattr(there, name, value)
        yield
    finally:
        for name, value in own.items():
            setattr(there, name, value)


class _Reentrant:
    """Stands in for the autograd function of a reentrant checkpoint."""

    @staticmethod
    def apply(*args):
        raise InputError(
            message(
                expected="a module of which every gradient can be taken",
                got="a reentrant checkpoint, which has those of .backward() alone",
                remedy="checkpoint(…, use_reentrant=False)",
            )
        )


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Functions compiled by torch.compile run as they are written."""
    if "torch._dynamo" in sys.modules:
        with torch.compiler.set_stance("force_eager"):
            yield
    else:
        yield


def _refuse_kind(module: nn.Module) -> None:
    """Refuse what is no ordinary module."""

    def refuse(got: str, remedy: str) -> None:
        raise InputError(message(expected="an ordinary torch.nn.Module", got=got, remedy=remedy))

    if not isinstance(module, nn.Module):
        kind = getattr(module, "__name__", "") or type(module).__name__
        refuse(f"{kind}, no module", "a torch.nn.Module whose forward calls it")
    for name, layer in module.named_modules():
        where = f"{type(layer).__name__} {name!r}" if name else type(layer).__name__
        if isinstance(layer, torch.jit.ScriptModule):
            refuse(f"{where}, a scripted module", "the module before torch.jit.script or trace")
        if isinstance(layer, _WRAPPERS):
            refuse(where, "the module inside: net.module")
        for key, p in layer._parameters.items():
            if p is not None and p.layout != torch.strided:
                refuse(f"{where} with {key!r} {p.layout}", "a dense parameter: p.to_dense()")
        held = (*layer._parameters.values(), *layer._buffers.values())
        if any(v is not None and nn.parameter.is_lazy(v) for v in held):
            refuse(f"{where} whose shapes are not known yet", "call net(X[:2]) once first")


def _deep_copy(module: nn.Module) -> tuple[nn.Module, dict[int, object]]:
    """A deep copy, compiled layers unwrapped, and the twin of each tensor by the tensor's id."""
    twins: dict[int, object] = {}
    for layer in module.modules():
        for value in vars(layer).values():
            inside = list(value.values()) if isinstance(value, dict) else [value]
            inside = list(value) if isinstance(value, list | tuple | set | deque) else inside
            for tensor in inside:
                if isinstance(tensor, Tensor) and not tensor.is_leaf:
                    twins[id(tensor)] = tensor.detach().clone()
    try:
        twin = copy.deepcopy(module, twins)
    except Exception as error:
        raise InputError(
            message(
                expected="a module that copy.deepcopy can copy",
                got=f"{type(error).__name__}: {str(error)[:150]}",
                remedy="keep what cannot be copied outside of the module, or leave it out in "
                "__getstate__",
            )
        ) from error
    if any(id(p) not in twins or twins[id(p)] is p for p in module.parameters()):
        raise InputError(
            message(
                expected="a module whose deep copy has parameters of its own",
                got=f"{type(module).__name__} whose copy shares them",
                remedy="remove its __deepcopy__",
            )
        )
    return _unwrapped(twin), twins


def _unwrapped(module: nn.Module) -> nn.Module:
    """Without the wrappers of torch.compile."""
    for layer in list(module.modules()):
        for name, child in layer._modules.items():
            if child is not None:
                layer._modules[name] = _inside(child)
    return _inside(module)


def _inside(module: nn.Module) -> nn.Module:
    while type(module).__name__ == "OptimizedModule":
        module = cast(nn.Module, module._modules["_orig_mod"])
    return module
