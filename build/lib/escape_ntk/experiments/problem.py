"""One drawn dense-plus-sparse problem with everything that training and measuring need."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from escape_ntk.directions import TrainingProjector
from escape_ntk.experiments.sample_complexity import PARTS, Data, Wide, draw_data, error_by_part
from escape_ntk.leaks import SphereLeak
from escape_ntk.network import activation, draw_weights
from escape_ntk.pairs import PairFeatures
from escape_ntk.polynomials import cumulative_multiplicity
from escape_ntk.regularizer import Penalties, RegularizedRisk, low_degree_size, norm_2_4_to_the_4


@dataclass(frozen=True)
class Problem:
    """Everything that training and measuring need, drawn for ``config``."""

    config: Wide
    kind: type[PairFeatures] = PairFeatures
    dtype: torch.dtype = torch.float64

    @cached_property
    def data(self) -> Data:
        """Target, training inputs, test inputs."""
        return draw_data(self.config, self.dtype)

    @cached_property
    def features(self) -> tuple[PairFeatures, PairFeatures]:
        """Features of the training and of the test inputs, at the same weights."""
        act = activation(self.config.activation)
        kind = {"generator": self.data.generator, "dtype": self.dtype}
        weights = draw_weights(self.config.m, self.config.d, **kind)
        return self.kind(self.data.X, weights, act), self.kind(self.data.test, weights, act)

    @cached_property
    def projector(self) -> TrainingProjector:
        """P_{≤k} of the training set, n_k directions."""
        c = self.config
        return TrainingProjector(self.features[0], cumulative_multiplicity(c.d, c.k))

    @cached_property
    def leak(self) -> SphereLeak:
        """E f_L² in closed form."""
        return SphereLeak(self.features[0].weights, activation(self.config.activation))

    def risk(self, penalties: Penalties) -> RegularizedRisk:
        """L_λ of the joint model, or of the network with ``kind`` NetworkFeatures."""
        return RegularizedRisk(
            self.features[0],
            self.data.target(self.data.X),
            penalties=penalties,
            projector=self.projector,
            population=self.leak if penalties.population else None,
        )

    def sizes(self, state: Tensor) -> dict[str, float]:
        """R_1, R_2, R_3 and ‖W‖_{2,4}^4."""
        linear = self.features[0].linear(state[1])
        return {
            "population": float(self.leak.value_and_gradient(self.projector.high(state[1]))[0]),
            "empirical": float(self.projector.high_outputs(linear).square().mean()),
            "low_degree": float(low_degree_size(self.projector, state[1])[0]),
            "norm_fourth": float(norm_2_4_to_the_4(state)[0]),
        }

    def measure(self, state: Tensor) -> dict[str, float]:
        """Test error by part, training loss, what each term has learned, and the sizes."""
        features, test = self.features
        parts = self.data.target.part_values(test.X)
        linear, second = test.terms(state)
        seen = sum(features.terms(state)) - self.data.target(features.X)
        out = error_by_part(linear + second, parts) | {"train": float(seen.square().mean())}
        for name, term in (("linear", linear), ("quadratic", second)):
            shares = error_by_part(term, parts)
            out |= {f"{name}_{part}": shares[f"c_{part}"] for part in PARTS[:2]}
        return out | self.sizes(state)
