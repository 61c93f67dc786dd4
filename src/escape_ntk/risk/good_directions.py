"""R_2 of any module as a term of a training loss, whole or by minibatches.

With V (n_k, P) the learnable directions at θ₀, orthonormal, and P_{>k}Δ = Δ − VᵀVΔ, Δ = θ − θ₀,
R_2(Δ) = (1/nC) Σ_i Σ_c f_L,c(x_i; P_{>k}Δ)²,
a mean over rows of X.  So the same mean over a batch drawn uniformly from them has R_2 as its
expectation, and ∇R_2 as that of its gradient.  Source: [C] for R_2, [D] for the rest.
"""

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]

from escape_ntk import checks
from escape_ntk.checks import InputError, ShapeError, message
from escape_ntk.models.derivatives import Derivatives
from escape_ntk.models.modules import ModuleFeatures
from escape_ntk.models.route_trial import settle_linear
from escape_ntk.risk.top_directions import TopDirections, top_directions


class GoodDirections:
    """The penalty R_2 of ``model`` on the inputs X: ``loss + lam * penalty(batch)``.

    R_2(Δ) = (1/nC) Σ_i Σ_c f_L,c(x_i; P_{>k}Δ)², Δ = θ − θ₀: what f_L, the part of f that is linear
    in the movement, does outside the learnable directions, the top ``n_k`` eigenvectors of the
    tangent kernel on X.  So training keeps to good directions: f_L moves along learnable ones, and
    what else moves has to be harmless, unseen by f_L.  θ₀ is what the parameters are now.  [C]

    Arguments:

    * ``model``: any module that :class:`~escape_ntk.models.modules.ModuleFeatures` takes;
    * ``X`` (n, …): the training inputs, on the model's device;
    * ``n_k``: how many learnable directions; or ``"gap"``: up to the last step of the spectrum;
    * ``output``: None for one output; of C outputs a column, or ``"all"``: one kernel of n·C
      outputs, one set of directions that they share.  Take ``"all"`` when the outputs are of one
      kind, as logits are.  Where their kernels differ in size the largest would take all the n_k:
      then a penalty each, ``sum(penalty(batch) for penalty in penalties)``;
    * ``route``, ``tolerance``, ``progress``: how the directions are found, see
      :func:`~escape_ntk.risk.top_directions.top_directions`;
    * ``chunk``: rows at a time when the penalty is evaluated;
    * ``keep``: whether the Jacobian Φ of X, n·C·P numbers, is kept, so that the penalty is two
      products with rows of it; None: where these are at most 2²⁴.

    Calling it: :meth:`__call__`.  Held in memory: X, 2·P numbers for θ₀, (P + n·C)·n_k for the
    directions, and Φ if it is kept; while they are sought, what
    :func:`~escape_ntk.risk.top_directions.top_directions` says; in a call the activations of
    ``chunk`` rows, twice, and some P numbers.

    It watches ``model`` itself: Δ is how far *these* parameters have moved.  A deep copy of the
    penalty watches the same model, unless both are copied together; a pickle has a model of its
    own, ``penalty.model``.  Where another copy is trained, or parameters live outside of any model,
    as with ``torch.func``: ``movement=``.

    It is no ``nn.Module``: as a part of one it would put V into that one's ``state_dict``, and the
    model's parameters into it a second time.  It has a :meth:`state_dict` of its own.

    Errors: those of ``ModuleFeatures`` and of ``top_directions``;
    :class:`~escape_ntk.checks.InputError` for inputs that are no tensor; in a call
    :class:`~escape_ntk.checks.ShapeError` for rows of another shape.

    Example:

    >>> model, X = nn.Sequential(nn.Linear(5, 20), nn.Tanh(), nn.Linear(20, 1)), torch.randn(60, 5)
    >>> penalty = GoodDirections(model, X, n_k=3)
    >>> loss = model(X[:8]).square().mean() + 3.0 * penalty(X[:8])
    >>> loss.backward()  # and an optimizer's step
    >>> penalty.measure()["movement"], penalty.n_k
    (0.0, 3)
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        model: nn.Module,
        X: Tensor,
        n_k: int | str = "gap",
        *,
        output: int | str | None = None,
        route: str = "auto",
        tolerance: float = 1e-4,
        chunk: int = 256,
        keep: bool | None = None,
        progress: bool = True,
    ):
        _check_tensor(X)
        with _full_precision(X):
            self._begin(model, X, output, chunk, keep)
            asked = {"route": route, "tolerance": tolerance, "progress": progress}
            self.directions = top_directions(self.features, n_k, **asked)
            self._settle_linear()

    def _settle_linear(self) -> None:
        """A route to f_L that gives ΦVᵀ on all rows of X."""
        maps, found = self.features.derivatives, self.directions
        signs = torch.randint(0, 2, (self.n_k,), generator=torch.Generator().manual_seed(2)) * 2 - 1
        signs = signs.to(found.V)
        wanted = found.outputs @ signs
        bound = (1e-3 if wanted.dtype == torch.float32 else 1e-6) * float(wanted.abs().max())

        def wrong(by: Derivatives) -> int | None:
            gap = (by.push(self.features.X, signs @ found.V) - wanted).abs()
            bad = (~(gap <= bound)).nonzero().flatten()
            return int(bad[0]) // maps.outputs if len(bad) else None

        if settle_linear(maps, wrong):
            self._once = False

    def _begin(
        self,
        model: nn.Module,
        X: Tensor,
        output: int | str | None,
        chunk: int,
        keep: bool | None,
    ) -> None:
        self.model, self.output = model, output
        self.keep = None if keep is None else checks.flag("keep", keep)
        self.features = ModuleFeatures(model, X, output=output, chunk=chunk, keep=keep)
        self._rows = _Rows(self.features.X)
        self._once = _one_pass_is_exact(self.features)
        self._fixed = {name: value.detach().clone() for name, value in _fixed(model).items()}

    # ------------------------------------------------------------ the penalty

    def __call__(
        self,
        batch: Tensor | None = None,
        *,
        fresh: bool = False,
        movement: Float[Tensor, " P"] | None = None,
    ) -> Float[Tensor, ""]:
        """The mean of f_L(x; P_{>k}Δ)² over the rows of ``batch``; without one over X: R_2.

        For a batch drawn uniformly from X its expectation is R_2, and that of its gradient ∇R_2.
        Cost: one Jacobian-vector product, with a gradient one vector-Jacobian product more, and
        two products with V.  Where that is too dear, ``penalty(batch[: len(batch) // 2])`` costs
        half, and its expectation is the same.  All derivatives are right, the second ones too;
        float32 or float64, as the model is, also inside ``torch.autocast``.  [D]

        ``fresh``: rows that need not be in X.  Their mean is no estimate of R_2, which is about X,
        but of E_x f_L(x; P_{>k}Δ)², the penalty R_1, for the law that they are drawn from.
        ``movement``: Δ (P,), in the place of the model's own: with parameters in a dict θ, as
        ``torch.func.functional_call`` has them, and F = penalty.features,
        ``movement=F.join({name: θ[name] - F.start[name] for name in F.start})``.

        Inside ``torch.compile`` it runs outside of the graph, which breaks here.

        Errors: :class:`~escape_ntk.checks.InputError` for a row that is not in X, and inside
        ``torch.func.vmap``;
        :class:`~escape_ntk.checks.ShapeError` for rows of another shape, dtype or device, and when
        the model has moved to another dtype or device.
        """
        if torch.compiler.is_compiling():  # torch.compile breaks its graph here
            return cast(Any, torch.compiler.disable(type(self)._mean))(self, batch, fresh, movement)
        return self._mean(batch, fresh, movement)

    def _mean(self, batch: Tensor | None, fresh: bool, movement: Tensor | None) -> Tensor:
        _check_unmapped(batch)
        X = self.features.X
        with _full_precision(X):
            size = (self.features.size,)
            delta = (
                self.movement()
                if movement is None
                else checks.layout("movement", movement, size, like=X)
            )
            if batch is None:
                rows, places = X, torch.arange(len(X), device=X.device)
            else:
                _check_shape(batch, X)
                check = checks.array if fresh else checks.layout
                rows = check("batch", batch, (None, *X.shape[1:]), like=X)
                places = None if fresh else self._rows.places(rows)
            square = _SquareOutside(self, rows, places)
            if not (torch.is_grad_enabled() and delta.requires_grad):
                return square.value(delta.detach())
            return _Square.apply(delta, square)[0]

    def movement(self) -> Float[Tensor, " P"]:
        """Δ = θ − θ₀ of the model as it is now; carries its gradient.

        :class:`~escape_ntk.checks.ShapeError` when the model has another dtype or device than at
        θ₀.
        """
        try:
            return self.features.movement()
        except ShapeError as error:
            for name, now in self.model.named_parameters():
                start = self.features.start.get(name, now)
                if now.dtype != start.dtype or now.device != start.device:
                    there = f"{start.dtype} on {start.device}"
                    raise ShapeError(
                        message(
                            expected=f"parameter {name!r} as at θ₀, {there}",
                            got=f"{now.dtype} on {now.device}",
                            remedy="after model.to(device): penalty = penalty.to(device); "
                            "for another dtype build it anew",
                        )
                    ) from error
            raise

    def measure(self) -> dict[str, float]:
        """``"movement"``: ‖Δ‖; ``"share"``: ‖P_{≤k}Δ‖²/‖Δ‖², what of it is learnable.

        The share of Δ = 0 is 0.  [D]
        """
        with torch.no_grad():
            delta = self.movement()
            length, low = float(delta.norm()), float((self.directions.V @ delta).norm())
        return {"movement": length, "share": (low / length) ** 2 if length else 0.0}

    # ------------------------------------------------------------ what it is made of

    @property
    def n_k(self) -> int:
        """How many learnable directions."""
        return self.directions.n_k

    def first(self, n_k: int) -> "GoodDirections":
        """The same θ₀ and X with the first ``n_k`` directions; nothing is computed again.

        :class:`~escape_ntk.checks.RankError` for more than there are.
        """
        other = object.__new__(type(self))
        other.__dict__ = self.__dict__ | {"directions": self.directions.first(n_k)}
        return other

    def plot(self):
        """Draw the leading eigenvalues of K, its steps and where n_k cuts: a matplotlib figure."""
        from escape_ntk.display.spectra import leading_eigenvalues  # matplotlib comes with it

        return leading_eigenvalues(self.directions.eigenvalues.numpy(), self.n_k)

    def __deepcopy__(self, memo: dict[int, Any]) -> "GoodDirections":
        """Another that watches the same model; its copy, where the model is copied before."""
        alone = id(self.model) not in memo
        if alone:
            memo[id(self.model)] = self.model
        memo[id(self)] = other = object.__new__(type(self))
        other.__dict__ = deepcopy(self.__dict__, memo)
        if alone:
            del memo[id(self.model)]
        return other

    def __repr__(self) -> str:
        found, features = self.directions, self.features
        kept, following = (found.eigenvalues[self.n_k + j : self.n_k + j + 1] for j in (-1, 0))
        fall = float(kept / following) if len(following) and float(following) > 0 else float("inf")
        return (
            f"GoodDirections: n_k = {self.n_k}, after which K falls to 1/{fall:.3g}; "
            f"n = {len(features.X)}, outputs = {len(found.outputs)}, P = {features.size}; "
            f"{found.route}, residual {float(found.residuals.max()):.0e}"
        )

    # ------------------------------------------------------------ saving and moving

    def state_dict(self) -> dict[str, Tensor]:
        """θ₀ and the directions, tensors only: ``torch.load(…, weights_only=True)`` reads them.

        Of X it holds a fingerprint.
        """
        start = {f"start.{name}": value.clone() for name, value in self.features.start.items()}
        fixed = {f"fixed.{name}": value.clone() for name, value in self._fixed.items()}
        parts = {name: getattr(self.directions, name).clone() for name in _PARTS}
        return {**start, **fixed, **parts, "inputs": self._rows.fingerprint}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take θ₀ and the directions from a :meth:`state_dict` of the same model and X.

        The model may have been trained meanwhile.  :class:`~escape_ntk.checks.InputError` for a
        state of another model, of other inputs, or of another ``output``.
        """
        restored = type(self).restore(self.model, self.features.X, state, **self._asked)
        self.__dict__ = restored.__dict__

    @classmethod
    @torch.inference_mode(False)
    def restore(
        cls,
        model: nn.Module,
        X: Tensor,
        state: Mapping[str, Tensor],
        *,
        output: int | str | None = None,
        chunk: int = 256,
        keep: bool | None = None,
    ) -> "GoodDirections":
        """The penalty of a :meth:`state_dict`, without looking for the directions again.

        A run that is killed and goes on from the states of the model, the optimizer and the penalty
        takes the same steps as one that is not.  ``output``, ``chunk`` and ``keep`` as at first.
        :class:`~escape_ntk.checks.InputError` for a state of another model, of other inputs, or of
        another ``output``.
        """
        _check_tensor(X)
        self = object.__new__(cls)
        trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        own = {f"start.{name}": p for name, p in trainable.items()}
        own |= {f"fixed.{name}": value for name, value in _fixed(model).items()}
        _check_state(state, own, X)
        now = {name: value.detach().clone() for name, value in own.items()}
        try:
            _overwrite(own, state)
            with _full_precision(X):
                self._begin(model, X, output, chunk, keep)
        finally:
            _overwrite(own, now)
        parts = {name: state[name].clone() for name in _PARTS}
        parts |= {name: parts[name].to(X) for name in ("V", "outputs")}
        parts |= {name: parts[name].cpu() for name in ("eigenvalues", "residuals")}
        self.directions = TopDirections(**parts, route="restored")
        self._check_outputs()
        self._settle_linear()
        return self

    def to(self, device: torch.device | str) -> "GoodDirections":
        """The same penalty on another device, after ``model.to(device)``."""
        X = self.features.X.to(device)
        return type(self).restore(self.model, X, self.state_dict(), **self._asked)

    @property
    def _asked(self) -> dict[str, Any]:
        return {"output": self.output, "chunk": self.features.chunk, "keep": self.keep}

    def _check_outputs(self) -> None:
        """f_L(x_1; v_j) is what it was: the model computes the same function."""
        maps, first = self.features.derivatives, self.features.X[:1]
        seen = torch.stack([maps.push(first, v) for v in self.directions.V], dim=1)
        kept, count = self.directions.outputs, len(seen) * len(self.features.X)
        fits = len(kept) == count
        if not fits or float((seen - kept[: len(seen)]).norm()) > 1e-3 * float(seen.norm()):
            raise InputError(
                message(
                    expected="the model, its mode and the output that the state was made with",
                    got="another f_L at the first input",
                    remedy="the same architecture, model.eval() or train() as then, and output=…",
                )
            )


_PARTS = ("V", "outputs", "eigenvalues", "residuals")


class _SquareOutside:
    """Δ ↦ mean f_L(x; P_{>k}Δ)² over some rows, ½ΔᵀHΔ, and its gradient HΔ.

    Of rows of X it is known what f_L makes of V:
    f_L(x; P_{>k}Δ) = f_L(x; Δ) − Σ_j f_L(x; v_j)v_jᵀΔ,
    which reads V once where P_{>k} reads it twice.  Where Φ is kept, f_L(x; Δ) is its row times Δ.
    """

    def __init__(self, penalty: GoodDirections, rows: Tensor, places: Tensor | None):
        self.maps, self.once = penalty.features.derivatives, penalty._once
        self.V, self.rows = penalty.directions.V, rows
        self.known = self.jacobian = None
        if places is not None:
            n = len(penalty.features.X)

            def of_rows(kept: Tensor) -> Tensor:
                return kept.view(n, -1, kept.shape[1])[places].flatten(0, 1)

            self.known = of_rows(penalty.directions.outputs)
            kept = penalty.features.kept
            self.jacobian = None if kept is None else of_rows(kept)

    def value(self, delta: Tensor) -> Tensor:
        """Of Δ without a gradient."""
        delta, along = self._start(delta)
        f_L = self.maps.push(self.rows, delta) if self.jacobian is None else self.jacobian @ delta
        return self._outside(f_L, along, slice(None)).square().mean()

    def value_and_gradient(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """Both, in one pass over the rows."""
        delta, along = self._start(delta)
        count = len(self.rows) * self.maps.outputs
        if self.jacobian is not None:
            doubled = self._outside(self.jacobian @ delta, along, slice(None)) * (2 / count)
            return self._pulled(doubled, self.jacobian.T @ doubled, count)
        doubled, slope = self.maps.push_and_pull(
            self.rows,
            delta,
            lambda f, place: self._outside(f, along, place) * (2 / count),
            once=self.once,
        )
        return self._pulled(doubled, slope, count)

    def _pulled(self, doubled: Tensor, slope: Tensor, count: int) -> tuple[Tensor, Tensor]:
        low = self.V @ slope if self.known is None else self.known.T @ doubled
        return doubled.square().sum() * (count / 4), slope.addmv_(self.V.T, low, alpha=-1)

    def _start(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        along = self.V @ delta
        return (delta - self.V.T @ along if self.known is None else delta), along

    def _outside(self, outputs: Tensor, along: Tensor, place: slice) -> Tensor:
        return outputs if self.known is None else outputs - self.known[place] @ along


class _Square(torch.autograd.Function):
    """½ΔᵀHΔ and its gradient HΔ, which is computed beside it and has no gradient here."""

    @staticmethod
    def forward(delta, square):
        return square.value_and_gradient(delta.detach())

    @staticmethod
    def setup_context(ctx, inputs, output):
        delta, ctx.square = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(delta, output[1])

    @staticmethod
    def backward(ctx, *grad_outputs):
        delta, gradient = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return grad_outputs[0] * gradient, None
        return grad_outputs[0] * _Product.apply(delta, ctx.square, gradient), None


class _Product(torch.autograd.Function):
    """Δ ↦ HΔ, linear and symmetric: so is its derivative."""

    @staticmethod
    def forward(delta, square, known):
        return square.value_and_gradient(delta.detach())[1] if known is None else known.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.square = inputs[1]

    @staticmethod
    def backward(ctx, *grad_outputs):
        return _Product.apply(grad_outputs[0], ctx.square, None), None, None


def _one_pass_is_exact(features: ModuleFeatures) -> bool:
    """Whether Φᵀ may share the pass of Φv: tried on two rows and a random movement."""
    maps, x = features.derivatives, features.X[[0, -1]]
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(features.size, generator=generator).to(x)
    try:
        c, once = maps.push_and_pull(x, v, lambda f, place: f)
    except (RuntimeError, NotImplementedError):  # an operation without that derivative
        return False
    twice = maps.pull(x, c)
    return float((once - twice).norm()) <= 1e-4 * float(twice.norm())


# ---------------------------------------------------------------- rows of X


class _Rows:
    """Where a row stands in X, found by a hash of its bits and then compared."""

    def __init__(self, X: Tensor):
        self.X = X
        self._keys, self._order = self._hashes(X).sort()

    def places(self, batch: Tensor) -> Tensor:
        """The place of each row of ``batch`` in X; :class:`InputError` where it has none."""
        keys = self._hashes(batch)
        places = self._order[torch.searchsorted(self._keys, keys).clamp(max=len(self.X) - 1)]
        same = (self.X[places] == batch).flatten(1).all(1) if batch.ndim > 1 else None
        same = self.X[places] == batch if same is None else same
        if bool(same.all()):
            return places
        missing = (~same).nonzero().flatten()
        raise InputError(
            message(
                expected="rows of the X that the penalty was built with",
                got=f"{len(missing)} of {len(batch)} others, the first at place {int(missing[0])}",
                remedy="rows of X bit for bit, before augmentation; or fresh=True, which estimates "
                "another penalty, the mean over new inputs",
            )
        )

    def _hashes(self, rows: Tensor) -> Tensor:
        """Multiply and add the words of each row, modulo 2⁶⁴."""
        flat = rows.reshape(len(rows), -1)
        words = (flat + 0).contiguous().view(_WORDS[flat.element_size()])  # −0 becomes 0
        odd = torch.randint(
            -(2**62), 2**62, (words.shape[1],), generator=torch.Generator().manual_seed(0)
        )
        odd = (2 * odd + 1).to(words.device)
        return torch.cat([(part.long() * odd).sum(1) for part in words.split(1024)])

    @property
    def fingerprint(self) -> Tensor:
        """32 bytes that other inputs do not share."""
        digest = hashlib.sha256(str((tuple(self.X.shape), self.X.dtype)).encode())
        for part in (self.X + 0).split(1024):
            digest.update(part.cpu().contiguous().numpy().tobytes())
        return torch.tensor(list(digest.digest()), dtype=torch.uint8)


_WORDS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int32}


# ---------------------------------------------------------------- states


def _fixed(model: nn.Module) -> dict[str, Tensor]:
    """What f(·; θ₀) depends on besides θ₀: frozen parameters and buffers."""
    frozen = {name: p for name, p in model.named_parameters() if not p.requires_grad}
    return frozen | dict(model.named_buffers())


def _overwrite(own: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, tensor in own.items():
        with torch.inference_mode(tensor.is_inference()), torch.no_grad():
            tensor.copy_(values[name])


def _check_state(state: Mapping[str, Tensor], own: Mapping[str, Tensor], X: Tensor) -> None:
    """Whether ``state`` is of a model with the tensors ``own``, and of the inputs X."""
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(
            message(
                expected="the state_dict of a GoodDirections",
                got=checks.shown(state),
                remedy="torch.load(…) of what torch.save(penalty.state_dict(), …) has saved",
            )
        )
    there = {name: tuple(v.shape) for name, v in state.items() if name.partition(".")[1]}
    here = {name: tuple(v.shape) for name, v in own.items()}
    if here != there or not {*_PARTS, "inputs"} <= state.keys():
        names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
        raise InputError(
            message(
                expected="a state of this model: the same trainable and fixed tensors",
                got=", ".join(f"{k} {there.get(k)} for {here.get(k)}" for k in names[:3])
                or "no state_dict of GoodDirections",
                remedy="the model that the state was saved with",
            )
        )
    if not torch.equal(state["inputs"].cpu(), _Rows(X).fingerprint):
        raise InputError(
            message(
                expected="the inputs X that the state was saved with, in their order",
                got=f"others, of shape {tuple(X.shape)}",
                remedy="load the same X, or build the penalty anew",
            )
        )


def _check_tensor(X: object) -> None:
    """Refuse inputs that are no tensor with numbers in it."""
    if not isinstance(X, Tensor) or X.is_meta:
        got = checks.shown(X) + ", on meta" * isinstance(X, Tensor)
        several = isinstance(X, tuple | list | Mapping) and any(
            isinstance(part, Tensor) for part in (X.values() if isinstance(X, Mapping) else X)
        )
        remedy = "torch.as_tensor(X)"
        if several:
            remedy = "torch.cat(…, 1) of several inputs, and a module whose forward splits them"
        raise InputError(message(expected="X to be a tensor of inputs", got=got, remedy=remedy))


def _check_shape(batch: object, X: Tensor) -> None:
    """Refuse rows that are not of the shape of those of X, and none."""
    if not isinstance(batch, Tensor) or not batch.is_floating_point() or batch.is_meta:
        return  # what else is wrong is said elsewhere
    if batch.ndim != X.ndim or batch.shape[1:] != X.shape[1:] or not len(batch):
        wanted = ", ".join(("·", *map(str, X.shape[1:])))
        one = batch.shape == X.shape[1:]
        raise ShapeError(
            message(
                expected=f"a batch of rows of X, of shape ({wanted}), one or more",
                got=tuple(batch.shape),
                remedy="X[[i]] for a row alone" if one else "X[rows], of the X that it is built on",
            )
        )


def _check_unmapped(batch: object) -> None:
    """Refuse rows of torch.func.vmap."""
    if isinstance(batch, Tensor) and _functorch.is_batchedtensor(batch):
        raise InputError(
            message(
                expected="a batch outside of torch.func.vmap",
                got="one row of a vmap",
                remedy="penalty(batch), the mean over all rows of a batch; else a loop",
            )
        )


def _full_precision(X: Tensor) -> torch.autocast:
    """Outside of any autocast."""
    return torch.autocast(X.device.type, enabled=False)
