"""R_2 on an ordinary network: what is trained, what validation chooses, what is recorded."""

import math

import numpy as np
import pytest
import torch

from escape_ntk.chapters.your_network import runs as own
from escape_ntk.chapters.your_network.runs import METHODS, OwnNetwork, RandomDirections
from escape_ntk.checks import InputError
from escape_ntk.models.images import digits
from escape_ntk.models.modules import ModuleFeatures, empirical_leak
from escape_ntk.records.store import RecordStore
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.study.sweep import run_point

TINY = {"n": 12, "n_test": 20, "width": 8, "n_k": 2, "steps": 20, "every": 5}


def seeded(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_network_is_torchs_own_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    one, two, three = (own.network(8, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one[1].weight, two[1].weight)
    assert not torch.equal(one[1].weight, three[1].weight)
    assert float(one[1].weight.abs().max()) <= 1 / 8  # U(±1/√64)


def test_plain_training_is_sgd_on_the_module():
    split = digits(seeded(), n_train=12, n_test=20)
    point = OwnNetwork(1, **TINY)
    curves = point.train(7, split.train, (split.test, split.test), "plain", 0.0)
    module = own.network(8, seeded(7))
    optimizer = torch.optim.SGD(module.parameters(), lr=point.step)
    for _ in range(20):
        optimizer.zero_grad()
        (module(split.train.X)[:, 0] - split.train.y).square().mean().backward()
        optimizer.step()
    assert curves.shape == (5, 5) and curves[0, 4] == pytest.approx(0, abs=1e-12)
    assert curves[-1, 0] == curves[-1, 2] == pytest.approx(own.judged(module, split.test)[0])
    assert curves[-1, 0] < curves[0, 0]


def test_every_penalty_does_what_it_says():
    """More of R_2 leaks less; decay shrinks; none of them is another."""
    split = digits(seeded(), n_train=40, n_test=20)
    point = OwnNetwork(1, **TINY | {"width": 64, "steps": 300, "every": 100})
    ends = {}
    for method, strength in (("plain", 0.0), ("leak", 3.0), ("decay", 0.1), ("random", 3.0)):
        curves = point.train(7, split.train, (split.test, split.test), method, strength)
        ends[method] = curves[-1, 4]
    assert ends["leak"] < 0.5 * min(ends["plain"], ends["decay"])
    assert len(set(ends.values())) == 4
    nothing = point.train(7, split.train, (split.test, split.test), "leak", 0.0)
    assert nothing[-1, 4] == pytest.approx(ends["plain"], rel=1e-4)  # control


def test_random_directions_keep_a_subspace_of_their_dimension():
    split = digits(seeded(), n_train=12, n_test=20)
    features = ModuleFeatures(own.network(8, seeded()), split.train.X)
    random = RandomDirections(features, 3, seeded(1))
    H = torch.stack([random.high_outputs(row) for row in torch.eye(12)])
    torch.testing.assert_close(H @ H, H, rtol=0, atol=1e-6)
    assert float(H.trace()) == pytest.approx(9, abs=1e-5)
    good = TrainingProjector(features, 3)
    movement = torch.randn(features.size, generator=seeded(2))
    leaks = [float(empirical_leak(features, p, movement)) for p in (random, good)]
    assert leaks[0] != pytest.approx(leaks[1], rel=0.01)


def test_validation_chooses_and_never_the_test_images():
    # validation loss, accuracy, test loss, accuracy, leak
    curves = np.full((2, 3, 5), 0.5)
    curves[0, :, 0], curves[1, :, 0] = [3, 1, 2], [3, 2, 1.5]
    curves[0, :, 2], curves[1, :, 2] = [0.1, 7, 8], [0.2, 9, 6]
    got = own.chosen("leak", (1.0, 10.0), curves)
    assert got["loss_leak_end"] == 6 and got["strength_leak_end"] == 10
    assert got["loss_leak_stopped"] == 7 and got["strength_leak_stopped"] == 1
    curves[1, -1] = math.nan  # diverged
    assert own.chosen("leak", (1.0, 10.0), curves)["loss_leak_end"] == 8


def test_a_point_records_what_it_declares(tmp_path):
    record = run_point(OwnNetwork(3, **TINY), RecordStore(tmp_path))
    whats, whens = ("loss", "accuracy", "leak", "strength"), ("end", "stopped")
    names = {f"{a}_{m}_{w}" for a in whats for m in METHODS for w in whens}
    assert set(record.summary) == names and set(record.arrays) == {*METHODS, "times"}
    assert record.arrays["leak"].shape == (7, 5, 5) and record.arrays["plain"].shape == (1, 5, 5)
    start = [record.arrays[m][:, 0, 2] for m in METHODS]
    assert len({float(x) for row in start for x in row}) == 1  # one network, one test set
    other = OwnNetwork(4, **TINY).compute()[0]
    assert other["loss_plain_end"] != record.summary["loss_plain_end"]


def test_a_run_that_diverges_is_not_chosen():
    summary, arrays = OwnNetwork(1, **TINY | {"leaks": (0.1, 1e9)}).compute()
    assert np.isnan(arrays["leak"][1, -1]).all() and summary["strength_leak_end"] == 0.1


@pytest.mark.parametrize(
    ("fields", "word"),
    [({"n": 1}, "n "), ({"steps": 7}, "multiple"), ({"step": 0.0}, "step"), ({"width": 0}, "wid")],
)
def test_bad_points_are_refused(fields, word):
    with pytest.raises(InputError, match=word):
        OwnNetwork(1, **TINY | fields)
