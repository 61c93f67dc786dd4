"""Small float64 networks around every layer of ``torch.nn``.

``LAYERS`` names a builder and the shape of one input for each; ``LEFT_OUT`` says of the layers of
``torch.nn`` that are not there why.  Together they are all of it, which a test asks.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

F64 = torch.float64
Build = Callable[[], nn.Module]
SHAPES = {"row": (5,), "sequence": (4, 6), "image": (2, 6, 6), "volume": (1, 4, 4, 4)}
LAYERS: dict[str, tuple[Build, tuple[int, ...]]] = {}
"""Name → (builder, shape of one input)."""
LEFT_OUT = {
    **dict.fromkeys(
        (
            *("Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList"),
            *("ParameterDict", "Container"),
        ),
        "holds other layers: all of the above stand in one",
    ),
    **dict.fromkeys(
        ("AdaptiveLogSoftmaxWithLoss", "CTCLoss"),
        "needs integer targets, returns no row of numbers",
    ),
    **dict.fromkeys(
        (
            *("MultiLabelMarginLoss", "MultiMarginLoss", "MultiLabelSoftMarginLoss"),
            "NLLLoss2d",
        ),
        "a loss of scores and integer labels: stand behind the module, not in it",
    ),
    **dict.fromkeys(("RNNBase", "RNNCellBase"), "base of RNN, LSTM and GRU"),
    "LinearCrossEntropyLoss": "a loss of features and integer labels, with its own head",
    "CrossMapLRN2d": "an old form of LocalResponseNorm",
    **dict.fromkeys(
        (
            *("LazyLinear", "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyBatchNorm1d"),
            *("LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConvTranspose1d", "LazyConvTranspose2d"),
            *("LazyConvTranspose3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d"),
            "LazyInstanceNorm3d",
        ),
        "becomes the layer without Lazy in its first call; before it, refused",
    ),
    "DataParallel": "a wrapper; refused, with the module inside as the remedy",
}
"""Layer of ``torch.nn`` → why it is not tried."""


class Around(nn.Module):
    """``first``, a function of its output, and a linear head to one number."""

    def __init__(self, first: nn.Module, between: Callable[[Tensor], Tensor], width: int):
        super().__init__()
        self.first, self.between, self.head = first, between, nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1)."""
        return self.head(self.between(self.first(x)).flatten(1))


class Recurrent(nn.Module):
    """A recurrent layer, its last state, and a head."""

    def __init__(self, kind: str, layers: int = 1, both: bool = False):
        super().__init__()
        make = getattr(nn, kind)
        self.layer = make(6, 3, layers, batch_first=True, bidirectional=both)
        self.head = nn.Linear(6 if both else 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1)."""
        return self.head(self.layer(x)[0][:, -1])


class Cell(nn.Module):
    """A recurrent cell run over a sequence, and a head."""

    def __init__(self, kind: str):
        super().__init__()
        self.cell, self.head, self.pair = getattr(nn, kind)(6, 3), nn.Linear(3, 1), "LSTM" in kind

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1)."""
        h = x.new_zeros(len(x), 3)
        state = (h, h) if self.pair else h
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.head(state[0] if self.pair else state)


class Attention(nn.Module):
    """A layer of transformers, the mean over the sequence, and a head."""

    def __init__(self, kind: str, **options):
        super().__init__()
        wide: dict[str, Any] = {} if kind == "MultiheadAttention" else {"dim_feedforward": 8}
        fixed: dict[str, Any] = {"nhead": 2, "num_encoder_layers": 1, "num_decoder_layers": 1}
        self.kind, self.head = kind, nn.Linear(6, 1)
        if kind == "MultiheadAttention":
            self.layer = nn.MultiheadAttention(6, 2, batch_first=True)
        elif kind == "Transformer":
            self.layer = nn.Transformer(6, **fixed, **wide, batch_first=True)
        else:
            one = getattr(nn, kind.removesuffix("Layer") + "Layer")
            self.layer = one(6, 2, batch_first=True, **wide, **options)
            if not kind.endswith("Layer"):
                self.layer = getattr(nn, kind)(self.layer, 2)
        self.options = options

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1)."""
        if self.kind == "MultiheadAttention":
            out = self.layer(x, x, x, need_weights=False)[0]
        elif "Encoder" in self.kind:
            out = self.layer(x)
        else:
            out = self.layer(x, x)
        return self.head(out.mean(1))


class Embedded(nn.Module):
    """An embedding of whole numbers in floating point, and a head."""

    def __init__(self, kind: str, **options):
        super().__init__()
        self.layer, self.head = getattr(nn, kind)(7, 4, **options), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1)."""
        out = torch.tanh(self.layer(x.abs().mul(3).long().clamp(max=6)))
        return self.head(out.mean(1) if out.ndim == 3 else out)


def add(name: str, build: Build, shape: str) -> None:
    """Enter one network."""
    LAYERS[name] = build, SHAPES[shape]


def add_layers(kinds: Sequence[str], make: Callable[[str], nn.Module], shape: str) -> None:
    """Enter layers by the names of their classes."""
    for kind in kinds:
        add(kind, lambda kind=kind: make(kind), shape)


def _stack(first: nn.Module, layer: nn.Module, shape: str) -> nn.Module:
    """first, tanh, layer, tanh, and a head as wide as what comes."""
    body = nn.Sequential(first, nn.Tanh(), layer, nn.Tanh(), nn.Flatten()).eval()
    with torch.no_grad():
        width = body.float()(torch.ones(2, *SHAPES[shape])).shape[1]
    return nn.Sequential(*body, nn.Linear(width, 1))


ACTIVATIONS = (
    *("CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh"),
    *("Identity", "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU"),
    *("ReLU6", "SELU", "SiLU", "Sigmoid", "Softmax", "Softmin", "Softplus", "Softshrink"),
    *("Softsign", "Tanh", "Tanhshrink", "Threshold", "Dropout", "AlphaDropout"),
    "FeatureAlphaDropout",
)
_OF_ACTIVATION = {"LogSoftmax": (-1,), "Softmax": (-1,), "Softmin": (-1,), "Threshold": (0.1, 0.2)}


def _activation(kind: str) -> nn.Module:
    layer = getattr(nn, kind)(*_OF_ACTIVATION.get(kind, ()))
    return Around(nn.Linear(5, 8), nn.Sequential(layer, nn.Tanh()), 4 if kind == "GLU" else 8)


add_layers(ACTIVATIONS, _activation, "row")
_ROWS = {
    "Linear": lambda: nn.Linear(8, 8),
    "LayerNorm": lambda: nn.LayerNorm(8),
    "RMSNorm": lambda: nn.RMSNorm(8),
    "BatchNorm1d": lambda: nn.BatchNorm1d(8),
    "GroupNorm": lambda: nn.GroupNorm(2, 8),
    "SyncBatchNorm": lambda: nn.SyncBatchNorm(8),
    "Unflatten": lambda: nn.Unflatten(1, (2, 4)),
    "Flatten": lambda: nn.Flatten(),
}
for _name, _make in _ROWS.items():
    add(_name, lambda make=_make: _stack(nn.Linear(5, 8), make(), "row"), "row")


class Unpooled(nn.Module):
    """Maxima of a pooling layer, put back where they were."""

    def __init__(self, axes: int):
        super().__init__()
        self.pool = getattr(nn, f"MaxPool{axes}d")(2, return_indices=True)
        self.back = getattr(nn, f"MaxUnpool{axes}d")(2)

    def forward(self, x: Tensor) -> Tensor:
        """Like x."""
        return self.back(*self.pool(x), output_size=x.shape)


_IMAGES = {
    "Conv2d": lambda: nn.Conv2d(4, 2, 3),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(4, 2, 3, stride=2),
    "BatchNorm2d": lambda: nn.BatchNorm2d(4),
    "InstanceNorm2d": lambda: nn.InstanceNorm2d(4, affine=True),
    "LocalResponseNorm": lambda: nn.LocalResponseNorm(2),
    "MaxPool2d": lambda: nn.MaxPool2d(2),
    "MaxUnpool2d": lambda: Unpooled(2),
    "AvgPool2d": lambda: nn.AvgPool2d(2),
    "LPPool2d": lambda: nn.LPPool2d(2, 2),
    "AdaptiveMaxPool2d": lambda: nn.AdaptiveMaxPool2d(2),
    "AdaptiveAvgPool2d": lambda: nn.AdaptiveAvgPool2d(2),
    "FractionalMaxPool2d": lambda: nn.FractionalMaxPool2d(2, output_size=2),
    "Upsample": lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
    "UpsamplingBilinear2d": lambda: nn.UpsamplingBilinear2d(scale_factor=2),
    "UpsamplingNearest2d": lambda: nn.UpsamplingNearest2d(scale_factor=2),
    "PixelShuffle": lambda: nn.PixelShuffle(2),
    "PixelUnshuffle": lambda: nn.PixelUnshuffle(2),
    "ChannelShuffle": lambda: nn.ChannelShuffle(2),
    "ReflectionPad2d": lambda: nn.ReflectionPad2d(1),
    "ReplicationPad2d": lambda: nn.ReplicationPad2d(1),
    "ZeroPad2d": lambda: nn.ZeroPad2d(1),
    "ConstantPad2d": lambda: nn.ConstantPad2d(1, 0.5),
    "CircularPad2d": lambda: nn.CircularPad2d(1),
    "Unfold": lambda: nn.Unfold(2),
    "Fold": lambda: nn.Sequential(nn.Unfold(2), nn.Fold((6, 6), 2)),
    "Softmax2d": lambda: nn.Softmax2d(),
    "Dropout2d": lambda: nn.Dropout2d(),
    "Conv2d, depthwise": lambda: nn.Conv2d(4, 8, 3, groups=4),
    "Conv2d, dilated": lambda: nn.Conv2d(4, 2, 2, dilation=2),
    "Conv2d, circular": lambda: nn.Conv2d(4, 2, 3, padding=1, padding_mode="circular"),
    "Upsample, bicubic": lambda: nn.Upsample(scale_factor=2, mode="bicubic"),
    "InstanceNorm2d, tracking": lambda: nn.InstanceNorm2d(4, track_running_stats=True),
}
for _name, _make in _IMAGES.items():
    add(
        _name,
        lambda make=_make: _stack(nn.Conv2d(2, 4, 3, padding=1), make(), "image"),
        "image",
    )

_SEQUENCES = {
    "Conv1d": lambda: nn.Conv1d(4, 2, 3),
    "ConvTranspose1d": lambda: nn.ConvTranspose1d(4, 2, 3),
    "InstanceNorm1d": lambda: nn.InstanceNorm1d(4),
    "MaxPool1d": lambda: nn.MaxPool1d(2),
    "MaxUnpool1d": lambda: Unpooled(1),
    "AvgPool1d": lambda: nn.AvgPool1d(2),
    "LPPool1d": lambda: nn.LPPool1d(2, 2),
    "AdaptiveMaxPool1d": lambda: nn.AdaptiveMaxPool1d(2),
    "AdaptiveAvgPool1d": lambda: nn.AdaptiveAvgPool1d(2),
    "ReflectionPad1d": lambda: nn.ReflectionPad1d(1),
    "ReplicationPad1d": lambda: nn.ReplicationPad1d(1),
    "ZeroPad1d": lambda: nn.ZeroPad1d(1),
    "ConstantPad1d": lambda: nn.ConstantPad1d(1, 0.5),
    "CircularPad1d": lambda: nn.CircularPad1d(1),
    "Dropout1d": lambda: nn.Dropout1d(),
}
for _name, _make in _SEQUENCES.items():
    add(
        _name,
        lambda make=_make: _stack(nn.Conv1d(4, 4, 3, padding=1), make(), "sequence"),
        "sequence",
    )

_VOLUMES = {
    "Conv3d": lambda: nn.Conv3d(2, 2, 2),
    "ConvTranspose3d": lambda: nn.ConvTranspose3d(2, 1, 2),
    "BatchNorm3d": lambda: nn.BatchNorm3d(2),
    "InstanceNorm3d": lambda: nn.InstanceNorm3d(2, affine=True),
    "MaxPool3d": lambda: nn.MaxPool3d(2),
    "MaxUnpool3d": lambda: Unpooled(3),
    "AvgPool3d": lambda: nn.AvgPool3d(2),
    "LPPool3d": lambda: nn.LPPool3d(2, 2),
    "AdaptiveMaxPool3d": lambda: nn.AdaptiveMaxPool3d(2),
    "AdaptiveAvgPool3d": lambda: nn.AdaptiveAvgPool3d(2),
    "FractionalMaxPool3d": lambda: nn.FractionalMaxPool3d(2, output_size=1),
    "ReflectionPad3d": lambda: nn.ReflectionPad3d(1),
    "ReplicationPad3d": lambda: nn.ReplicationPad3d(1),
    "ZeroPad3d": lambda: nn.ZeroPad3d(1),
    "ConstantPad3d": lambda: nn.ConstantPad3d(1, 0.5),
    "CircularPad3d": lambda: nn.CircularPad3d(1),
    "Dropout3d": lambda: nn.Dropout3d(),
}
for _name, _make in _VOLUMES.items():
    add(_name, lambda make=_make: _stack(nn.Conv3d(1, 2, 2), make(), "volume"), "volume")

add_layers(("RNN", "LSTM", "GRU"), Recurrent, "sequence")
add_layers(("RNNCell", "LSTMCell", "GRUCell"), Cell, "sequence")
add("LSTM, two ways", lambda: Recurrent("LSTM", 2, True), "sequence")
TRANSFORMERS = (
    *("MultiheadAttention", "TransformerEncoderLayer", "TransformerDecoderLayer"),
    *("TransformerEncoder", "TransformerDecoder", "Transformer"),
)
add_layers(TRANSFORMERS, Attention, "sequence")
add(
    "TransformerEncoderLayer, GELU",
    lambda: Attention("TransformerEncoderLayer", activation="gelu"),
    "sequence",
)
add_layers(("Embedding", "EmbeddingBag"), Embedded, "row")
for _options in (
    *({"mode": "sum"}, {"mode": "max", "padding_idx": 1}, {"padding_idx": 1}),
    {"mode": "sum", "include_last_offset": True},
):
    _name = ", ".join(("EmbeddingBag", *(str(v) for v in _options.values())))
    add(_name, lambda options=_options: Embedded("EmbeddingBag", **options), "row")
add("Embedding, sparse", lambda: Embedded("Embedding", sparse=True), "row")


class Twice(nn.Module):
    """A bilinear layer, or a distance, of a linear layer's output with itself and another."""

    def __init__(self, last: nn.Module, width: int):
        super().__init__()
        self.a, self.b, self.last = nn.Linear(5, 8), nn.Linear(5, 8), last
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1)."""
        return self.head(torch.tanh(self.last(self.a(x), self.b(x))).view(len(x), -1))


add("Bilinear", lambda: Twice(nn.Bilinear(8, 8, 3), 3), "row")
add("CosineSimilarity", lambda: Twice(nn.CosineSimilarity(), 1), "row")
add("PairwiseDistance", lambda: Twice(nn.PairwiseDistance(), 1), "row")
_WIDE: dict[str, Any] = {"reduction": "none"}
_LOSSES: dict[str, tuple[Callable[[], nn.Module], Callable[[Tensor], tuple[Tensor, ...]], int]] = {
    **{
        kind: (
            lambda kind=kind: getattr(nn, kind)(**_WIDE),
            lambda h: (h, h.new_full((), 0.3) + 0 * h.detach()),
            8,
        )
        for kind in ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BCEWithLogitsLoss")
    },
    "PoissonNLLLoss": (lambda: nn.PoissonNLLLoss(**_WIDE), lambda h: (h, torch.ones_like(h)), 8),
    "KLDivLoss": (
        lambda: nn.KLDivLoss(**_WIDE),
        lambda h: (F.log_softmax(h, -1), torch.full_like(h, 1 / 8)),
        8,
    ),
    "BCELoss": (
        lambda: nn.BCELoss(**_WIDE),
        lambda h: (torch.sigmoid(h), torch.full_like(h, 0.3)),
        8,
    ),
    "GaussianNLLLoss": (
        lambda: nn.GaussianNLLLoss(**_WIDE),
        lambda h: (h, torch.ones_like(h), F.softplus(h)),
        8,
    ),
    "SoftMarginLoss": (lambda: nn.SoftMarginLoss(**_WIDE), lambda h: (h, torch.ones_like(h)), 8),
    "HingeEmbeddingLoss": (
        lambda: nn.HingeEmbeddingLoss(**_WIDE),
        lambda h: (h, -torch.ones_like(h)),
        8,
    ),
    "MarginRankingLoss": (
        lambda: nn.MarginRankingLoss(**_WIDE),
        lambda h: (h, h.roll(1, -1), torch.ones_like(h)),
        8,
    ),
    "CrossEntropyLoss": (
        lambda: nn.CrossEntropyLoss(**_WIDE),
        lambda h: (h, torch.full_like(h, 1 / 8)),
        1,
    ),
    "NLLLoss": (
        lambda: nn.NLLLoss(**_WIDE),
        lambda h: (F.log_softmax(h, -1), h.new_ones(len(h), dtype=torch.long)),
        1,
    ),
    "CosineEmbeddingLoss": (
        lambda: nn.CosineEmbeddingLoss(**_WIDE),
        lambda h: (h, torch.tanh(h), h.new_ones(len(h))),
        1,
    ),
    "TripletMarginLoss": (
        lambda: nn.TripletMarginLoss(**_WIDE),
        lambda h: (h, torch.cos(h), torch.tanh(h)),
        1,
    ),
    "TripletMarginWithDistanceLoss": (
        lambda: nn.TripletMarginWithDistanceLoss(**_WIDE),
        lambda h: (h, torch.cos(h), torch.tanh(h)),
        1,
    ),
}


class Loss(nn.Module):
    """A loss of each row between a linear layer and a head."""

    def __init__(self, loss: nn.Module, arguments: Callable, width: int):
        super().__init__()
        self.first, self.loss, self.arguments = nn.Linear(5, 8), loss, arguments
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1)."""
        return self.head(self.loss(*self.arguments(self.first(x))).view(len(x), -1))


for _name, (_make, _arguments, _width) in _LOSSES.items():
    add(
        _name,
        lambda make=_make, arguments=_arguments, width=_width: Loss(make(), arguments, width),
        "row",
    )
