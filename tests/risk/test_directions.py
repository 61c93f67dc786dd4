"""The projectors P_{≤k} and P_{>k} against a dense SVD of the explicit feature matrix."""

import math
import warnings

import pytest
import torch

from escape_ntk.checks import CutoffWarning, InputError, NonFiniteError, RankError, ShapeError
from escape_ntk.models.data import draw_inputs
from escape_ntk.models.network import Activation, activation, draw_weights
from escape_ntk.models.pairs import PairFeatures
from escape_ntk.numerics.eigenpairs import LEAST_ROWS
from escape_ntk.risk.leaks import GaussianLeak, SphereLeak
from escape_ntk.risk.projectors import (
    RCOND,
    PopulationProjector,
    TrainingProjector,
    spectral_steps,
    worst_leak,
)

N, D, P = 12, 4, 5
F64 = torch.float64
SIGMOID = activation("sigmoid(z-1)")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]
N_KS = [0, 1, 4, N]


def case(n: int = N, device: str = "cpu"):
    """Features at n inputs, and a random movement t."""
    g = torch.Generator(device=device).manual_seed(0)
    weights = draw_weights(2 * P, D, g, dtype=F64)
    X = draw_inputs(n, D, "gaussian", g, dtype=F64)
    t = torch.randn(P, D, generator=g, dtype=F64, device=device)
    return PairFeatures(X, weights, SIGMOID), t


def explicit_features(features: PairFeatures) -> torch.Tensor:
    """∂f_L/∂t as a dense (n, p·d) matrix."""
    return torch.einsum("np,nd->npd", features.first, features.X).flatten(1)


def dense_projector(features: PairFeatures, n_k: int) -> torch.Tensor:
    """V_kV_kᵀ of shape (pd, pd) from the singular vectors of the feature matrix."""
    _, _, vh = torch.linalg.svd(explicit_features(features), full_matrices=False)
    return vh[:n_k].T @ vh[:n_k]


# ---------------------------------------------------------------- dense oracle


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n_k", N_KS)
def test_projector_against_dense_svd(n_k, device):
    features, t = case(device=device)
    projector = TrainingProjector(features, n_k)
    expected = (dense_projector(features, n_k) @ t.flatten()).reshape(P, D)
    torch.testing.assert_close(projector.low(t), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(projector.high(t), t - expected, rtol=0, atol=1e-10)


def test_control_another_n_k_fails_the_comparison():
    features, t = case()
    wrong = TrainingProjector(features, 5).low(t).flatten()
    assert float((wrong - dense_projector(features, 4) @ t.flatten()).norm()) > 1e-2


def test_eigenvalues_are_those_of_the_tangent_kernel():
    """K = 2AAᵀ: squared singular values of A, twice."""
    features, _ = case()
    singular = torch.linalg.svdvals(explicit_features(features))
    torch.testing.assert_close(TrainingProjector(features, 3).eigenvalues, 2 * singular**2)


def test_single_precision_agrees():
    features, t = case()
    single = PairFeatures(features.X.float(), draw_weights(2 * P, D, seeded()), SIGMOID)
    low = TrainingProjector(single, 4).low(t.float())
    assert low.dtype == torch.float32
    expected = TrainingProjector(features, 4).low(t).float()
    torch.testing.assert_close(low, expected, rtol=1e-3, atol=1e-4)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---------------------------------------------------------------- algebra


@pytest.mark.parametrize("n_k", N_KS)
def test_projector_algebra(n_k):
    features, t = case()
    projector, other = (
        TrainingProjector(features, n_k),
        torch.randn(P, D, generator=seeded()).double(),
    )
    low = projector.low(t)
    torch.testing.assert_close(projector.low(low), low, rtol=0, atol=1e-12)  # idempotent
    assert float((other * low).sum()) == pytest.approx(
        float((projector.low(other) * t).sum()), abs=1e-12
    )  # self-adjoint
    torch.testing.assert_close(low + projector.high(t), t, rtol=0, atol=1e-14)  # they sum to I
    assert float((low * projector.high(t)).sum()) == pytest.approx(0, abs=1e-12)  # orthogonal


def test_n_k_zero_keeps_nothing():
    features, t = case()
    projector = TrainingProjector(features, 0)
    f = features.linear(t)
    assert torch.equal(projector.low(t), torch.zeros_like(t))
    assert torch.equal(projector.high(t), t)
    assert torch.equal(projector.high_outputs(f), f)


def test_full_rank_keeps_every_training_output():
    features, t = case()
    projector = TrainingProjector(features, N)
    torch.testing.assert_close(projector.low_outputs(features.linear(t)), features.linear(t))


# ---------------------------------------------------------------- outputs


@pytest.mark.parametrize("n_k", N_KS)
def test_training_outputs_of_the_projected_movement(n_k):
    """f_L(X; P_{>k}W) = (I − UUᵀ) f_L(X; W), and UUᵀ f_L(X; W) for P_{≤k}."""
    features, t = case()
    projector, f = TrainingProjector(features, n_k), features.linear(t)
    high, low = features.linear(projector.high(t)), features.linear(projector.low(t))
    torch.testing.assert_close(projector.high_outputs(f), high, rtol=0, atol=1e-12)
    torch.testing.assert_close(projector.low_outputs(f), low, rtol=0, atol=1e-12)


def test_new_outputs_through_the_dual_coefficients():
    """f_L(x; P_{>k}W) = f_L(x; W) − A(x)Aᵀ U_kΛ_k^{−1}U_kᵀ f_L(X; W) at inputs not trained on."""
    features, t = case()
    Z = draw_inputs(6, D, "gaussian", torch.Generator().manual_seed(7), dtype=F64)
    test = PairFeatures(Z, draw_weights(2 * P, D, seeded(), dtype=F64), SIGMOID)
    projector = TrainingProjector(features, 4)
    c = projector.dual_coefficients(features.linear(t))
    expected = test.linear(t) - test.cross_gram(features) @ c
    torch.testing.assert_close(test.linear(projector.high(t)), expected, rtol=0, atol=1e-12)


def test_order_of_the_data_does_not_matter():
    features, t = case()
    shuffled = torch.randperm(N, generator=seeded())
    weights = draw_weights(2 * P, D, seeded(), dtype=F64)
    again = PairFeatures(features.X[shuffled], weights, SIGMOID)
    low = TrainingProjector(features, 4).low(t)
    torch.testing.assert_close(TrainingProjector(again, 4).low(t), low, rtol=0, atol=1e-12)


def test_rotation_of_inputs_and_weights_rotates_the_projection():
    features, t = case()
    q = torch.linalg.qr(torch.randn(D, D, generator=seeded(), dtype=F64))[0]
    weights = draw_weights(2 * P, D, seeded(), dtype=F64)
    turned = PairFeatures(features.X @ q, weights @ q, SIGMOID)
    low = TrainingProjector(features, 4).low(t)
    torch.testing.assert_close(TrainingProjector(turned, 4).low(t @ q), low @ q, rtol=0, atol=1e-12)


# ---------------------------------------------------------------- the spectrum guarded


def equal_eigenvalues() -> PairFeatures:
    """Orthogonal inputs that all weights see alike: A Aᵀ is a multiple of I."""
    weights = torch.full((P, D), 1 / math.sqrt(D), dtype=F64)
    return PairFeatures(torch.eye(D, dtype=F64), weights, SIGMOID)


def test_cut_between_equal_eigenvalues_warns():
    with pytest.warns(CutoffWarning, match="not unique"):
        TrainingProjector(equal_eigenvalues(), 2)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_gap_is_judged_by_the_largest_eigenvalue(scale):
    """Eigenvalues 1, 10⁻³ and 10⁻³ − gap, all times scale: equal when gap < RCOND."""
    weights = torch.full((P, 3), 1 / math.sqrt(3), dtype=F64)
    flat = Activation("identity", lambda z: z, torch.ones_like, torch.zeros_like)

    def cut(gap: float) -> TrainingProjector:
        squares = scale * torch.tensor([1.0, 1e-3, 1e-3 - gap], dtype=F64)
        return TrainingProjector(PairFeatures(squares.sqrt().diag(), weights, flat), 2)

    with pytest.warns(CutoffWarning, match="2 and 3 agree"):
        cut(0.8 * RCOND)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cut(1.2 * RCOND)


@pytest.mark.parametrize("n_k", [0, D])
def test_no_warning_where_nothing_is_cut(n_k):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TrainingProjector(equal_eigenvalues(), n_k)
        TrainingProjector(case()[0], 3)


def test_rank_is_counted_and_not_exceeded():
    """Thirty inputs, but only p·d = 20 features; doubled inputs add nothing either."""
    features, _ = case(n=30)
    projector = TrainingProjector(features, P * D)
    assert projector.rank == P * D
    with pytest.raises(RankError, match="n_k ≤ 20"):
        TrainingProjector(features, P * D + 1)
    few = case(n=6)[0].X
    weights = draw_weights(2 * P, D, seeded(), dtype=F64)
    assert TrainingProjector(PairFeatures(torch.cat([few, few]), weights, SIGMOID), 0).rank == 6


# ---------------------------------------------------------------- eigenvectors and memorising


def test_eigenvectors_are_those_of_the_explicit_features():
    features, t = case()
    vectors = TrainingProjector(features, 4).eigenvectors().flatten(1)
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(4, dtype=F64), rtol=0, atol=1e-10)
    projected = (vectors.T @ (vectors @ t.flatten())).view_as(t)
    torch.testing.assert_close(projected, TrainingProjector(features, 4).low(t))


def test_eigenvectors_beyond_those_of_the_projector_are_found_when_they_are_asked_for():
    """Of many inputs it holds n_k of them.  Control: the memorised labels need all twenty."""
    features, t = case(n=LEAST_ROWS)
    projector, A = TrainingProjector(features, 4), explicit_features(features)
    held = [projector._vectors.shape]
    V = torch.linalg.svd(A, full_matrices=False)[2]
    torch.testing.assert_close(projector.low(t).flatten(), V[:4].T @ (V[:4] @ t.flatten()))
    vectors = projector.eigenvectors(12).flatten(1)
    held.append(projector._vectors.shape)
    torch.testing.assert_close((vectors @ V[:12].T).abs(), torch.eye(12, dtype=F64))
    y = torch.randn(LEAST_ROWS, generator=seeded(), dtype=F64)
    shorter = torch.linalg.lstsq(A, projector.high_outputs(y), driver="gelsd").solution
    torch.testing.assert_close(projector.memorize(y).flatten(), shorter)
    held.append(projector._vectors.shape)
    assert held == [(LEAST_ROWS, count) for count in (4, 12, P * D)]


def test_more_eigenvectors_than_the_rank_are_refused():
    with pytest.raises(RankError, match="count ≤ 12"):
        TrainingProjector(case()[0], 4).eigenvectors(13)


def test_one_eigenvector_at_least():
    projector = TrainingProjector(case()[0], 0)
    assert projector.eigenvectors(1).shape == (1, P, D)
    for count in (0, None):
        with pytest.raises(InputError, match="count to be an integer ≥ 1"):
            projector.eigenvectors(count)


def test_labels_that_do_not_fit_are_not_memorized():
    projector, y = TrainingProjector(case()[0], 4), torch.ones(N, dtype=F64)
    for wrong, error in ((y[1:], ShapeError), (y.float(), ShapeError), (y / 0, NonFiniteError)):
        with pytest.raises(error, match="expected y"):
            projector.memorize(wrong)


def test_memorizing_fits_what_the_projector_leaves_and_nothing_else():
    features, _ = case()
    projector, y = TrainingProjector(features, 4), torch.randn(N, generator=seeded(), dtype=F64)
    t = projector.memorize(y)
    torch.testing.assert_close(features.linear(t), projector.high_outputs(y))
    torch.testing.assert_close(projector.high(t), t)
    shorter = torch.linalg.lstsq(explicit_features(features), projector.high_outputs(y)).solution
    torch.testing.assert_close(t.flatten(), shorter)  # the least norm
    inside = projector.low(torch.randn(P, D, generator=seeded(1), dtype=F64))
    assert float(projector.high_outputs(features.linear(inside)).norm()) < 1e-10  # control


# ---------------------------------------------------------------- the population


def dense_covariance(leak, shape) -> torch.Tensor:
    """Σ in t, column by column."""
    columns = torch.eye(math.prod(shape), dtype=F64).reshape(-1, *shape)
    return torch.stack([leak.value_and_gradient(c)[1].flatten() / 2 for c in columns])


@pytest.mark.parametrize("law", [GaussianLeak, SphereLeak])
def test_population_projector_against_the_dense_covariance(law):
    weights = draw_weights(2 * P, D, seeded(), dtype=F64)
    leak, t = law(weights, SIGMOID), torch.randn(P, D, generator=seeded(1), dtype=F64)
    population = PopulationProjector(leak, (P, D), 3)
    values, vectors = torch.linalg.eigh(dense_covariance(leak, (P, D)))
    torch.testing.assert_close(population.eigenvalues, 2 * values.flip(0)[:4])
    top = vectors[:, -3:]
    torch.testing.assert_close(population.low(t).flatten(), top @ (top.T @ t.flatten()))
    torch.testing.assert_close(population.high(t) + population.low(t), t)


def test_population_projector_is_the_limit_of_many_inputs():
    weights, t = draw_weights(2 * P, D, seeded(), dtype=F64), case()[1]
    population = PopulationProjector(SphereLeak(weights, SIGMOID), (P, D), D).low(t)
    gaps = []
    for n in (50, 1500):
        X = draw_inputs(n, D, "sphere", seeded(2), dtype=F64)
        training = TrainingProjector(PairFeatures(X, weights, SIGMOID), D).low(t)
        gaps.append(float((training - population).norm()))
    assert gaps[1] < 0.4 * gaps[0]


def test_worst_leak_is_attained_and_bounds_every_direction():
    """ζ_{(n_k+1)} for the population projector; more for that of twelve inputs."""
    weights = draw_weights(2 * P, D, seeded(), dtype=F64)
    leak = SphereLeak(weights, SIGMOID)
    population = PopulationProjector(leak, (P, D), 3)
    training = TrainingProjector(
        PairFeatures(draw_inputs(N, D, "sphere", seeded(3), dtype=F64), weights, SIGMOID), 3
    )
    worst, t = worst_leak(leak, population, (P, D))
    assert worst == pytest.approx(float(population.eigenvalues[3]), rel=1e-5)
    for projector in (population, training):
        worst, t = worst_leak(leak, projector, (P, D))
        torch.testing.assert_close(projector.high(t), t, rtol=0, atol=1e-5)
        size = float(t.square().sum()) / 2
        assert float(leak.value_and_gradient(t)[0]) / size == pytest.approx(worst, rel=1e-5)
        for seed in range(5):
            r = projector.high(torch.randn(P, D, generator=seeded(seed), dtype=F64))
            assert float(leak.value_and_gradient(r)[0]) <= worst * float(r.square().sum()) / 2
    assert worst > 1.01 * float(population.eigenvalues[3])  # the training projector's


def test_worst_leak_of_more_neurons_than_lanczos_keeps():
    """400 coordinates, 20 vectors kept, near eigenvalues: to the stated tolerance all the same."""
    shape = (20, 20)
    leak = SphereLeak(draw_weights(40, 20, seeded(), dtype=F64), SIGMOID)
    population = PopulationProjector(leak, shape, 1)
    exact = 2 * float(torch.linalg.eigvalsh(dense_covariance(leak, shape))[-2])
    assert worst_leak(leak, population, shape)[0] == pytest.approx(exact, rel=1e-6)
    loose, _ = worst_leak(leak, population, shape, tolerance=1.0)  # control
    assert loose != pytest.approx(exact, rel=1e-6)


def test_more_directions_than_coordinates_are_refused():
    leak = SphereLeak(draw_weights(2 * P, D, seeded(), dtype=F64), SIGMOID)
    with pytest.raises(RankError, match="n_k < 19"):
        PopulationProjector(leak, (P, D), 19)


# ---------------------------------------------------------------- steps of a spectrum


def test_steps_are_the_ranks_before_each_fall():
    values = torch.tensor([9.0, 8.0, 7.0, 2.0, 1.0, 0.9, 0.8, 0.7, 0.6, 0.1])
    assert spectral_steps(values) == [3, 4]
    assert spectral_steps(values, ratio=3.0) == [3]
    assert spectral_steps(torch.ones(6)) == []
    assert spectral_steps(torch.tensor([4.0, 4.0, 1.0, 1.0])) == [2]  # j = n/2 counts
    assert spectral_steps(torch.tensor([2.0, 1.0])) == [1]
    assert spectral_steps(torch.tensor([3.0, 2.0])) == [1]  # by the ratio itself


def test_the_fall_at_the_end_of_the_rank_is_no_step():
    """Only the first half counts: below it a full-rank Gram matrix may fall steeply as well."""
    assert spectral_steps(torch.tensor([4.0, 4.0, 4.0, 1e-9])) == []


@pytest.mark.parametrize("values", [torch.tensor([1.0, 2.0, 0.5]), torch.tensor([1.0])])
def test_a_spectrum_out_of_order_is_refused(values):
    with pytest.raises(InputError, match="descending"):
        spectral_steps(values)


def test_a_ratio_of_one_is_refused():
    with pytest.raises(InputError, match="ratio"):
        spectral_steps(torch.ones(4), ratio=1.0)


@pytest.mark.parametrize("values", [[4.0, 4, 0, 0, 0, 0], [4, 4, 1e-8, 1e-12, -1e-13, -9e-13]])
def test_steps_among_what_rounding_left_do_not_count(values):
    assert spectral_steps(torch.tensor(values, dtype=F64)) == [2]


def with_spectrum(values: list[float]) -> PairFeatures:
    """One linear neuron pair in as many dimensions: Gram matrix diag(values)/2."""
    flat = Activation("z", lambda z: z, torch.ones_like, torch.zeros_like)
    X = torch.tensor(values, dtype=F64).sqrt().diag()
    return PairFeatures(X, torch.ones(1, len(values), dtype=F64), flat)


def test_the_gap_is_the_last_step_of_the_spectrum():
    features = with_spectrum([9.0, 4, 4, 1, 1, 0.9, 0.9, 0.3])
    kept = TrainingProjector(features, "gap")
    assert kept.n_k == 3 and spectral_steps(kept.eigenvalues) == [1, 3]  # 0.9 → 0.3 is beyond n/2
    t = torch.randn(1, 8, generator=seeded(), dtype=F64)
    torch.testing.assert_close(kept.low(t), TrainingProjector(features, 3).low(t), rtol=0, atol=0)
    assert TrainingProjector(with_spectrum([4.0, 4, 0, 0, 0, 0]), "gap").n_k == 2
    assert kept.eigenvectors().shape == (3, 1, 8)


@pytest.mark.parametrize("values", [[1.0, 1, 1, 1], [2.0], [1.0, 1, 1, 1e-3], [0.0, 0, 0]])
def test_a_spectrum_without_a_step_has_no_gap(values):
    with pytest.raises(RankError, match=r"expected a spectrum with a step.*pass n_k as an integer"):
        TrainingProjector(with_spectrum(values), "gap")
