"""The convolutional network beside its Taylor models: one start, one training, orders, records."""

import dataclasses
import hashlib
import json
import math
import pickle
import time
from functools import partial

import numpy as np
import pytest
import torch
from mortal import KilledError, Memory
from small_archive import files, packed

from escape_ntk import chapters
from escape_ntk.__main__ import main
from escape_ntk.chapters import experiment
from escape_ntk.chapters.cnn import runs as cnn
from escape_ntk.chapters.cnn.runs import MODELS, Convolutional, Inputs
from escape_ntk.checks import DataFileError, InputError, UnknownNameError
from escape_ntk.models.images import cifar10, digits
from escape_ntk.models.made_images import LAYOUT
from escape_ntk.models.modules import ModuleFeatures
from escape_ntk.numerics.stats import log_slope, rms
from escape_ntk.records.store import RecordStore, record_key
from escape_ntk.study.point import configuration
from escape_ntk.study.sweep import lookup, run_point
from escape_ntk.training.trajectory import Outcome, Recorder

F64 = torch.float64
LIMIT = {"test_loss_limit", "test_accuracy_limit"}
TINY = {"n_train": 20, "n_test": 10, "channels": 3, "batch": 8, "epochs": 4, "n_times": 3}


def seeded(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(activation="relu", n_train=16, channels=4) -> tuple[ModuleFeatures, Inputs, Inputs]:
    """A small network in float64 at a few digits, and its inputs to train and to test on."""
    generator = seeded()
    split = digits(generator, n_train=n_train, n_test=10)
    module = cnn.convolutional(channels, activation, 1, 8, generator, F64)
    features = ModuleFeatures(module, split.train.X.double())
    return features, Inputs.of(features, split.train), Inputs.of(features, split.test)


def silent(epochs: int) -> Recorder:
    return Recorder([epochs], lambda state: {})


def whole_batches(n: int, epochs: int, step: float) -> cnn.Schedule:
    return cnn.Schedule(step, n, torch.arange(n).expand(epochs, n))


# ---------------------------------------------------------------- the network


def test_the_network_has_the_published_shape():
    state = torch.get_rng_state()
    module = cnn.convolutional(5, "relu", 3, 32, seeded())
    assert torch.equal(torch.get_rng_state(), state)  # no global generator
    weights = [tuple(p.shape) for name, p in module.named_parameters() if "weight" in name]
    assert weights == [(5, 3, 3, 3), (5, 5, 3, 3), (5, 5, 3, 3), (5, 5, 3, 3), (1, 20)]
    assert all(not p.any() for name, p in module.named_parameters() if "bias" in name)
    assert module(torch.zeros(2, 3, 32, 32)).shape == (2, 1)
    again, other = (cnn.convolutional(5, "relu", 3, 32, seeded(s)) for s in (0, 1))
    assert torch.equal(again[0].weight, module[0].weight)
    assert not torch.equal(other[0].weight, module[0].weight)
    wide = cnn.convolutional(60, "relu", 1, 8, seeded())
    assert float(wide[3].weight.detach().std()) == pytest.approx(math.sqrt(1 / 1080), rel=0.02)


def test_all_three_start_as_the_module_and_taylor_terms_are_those_of_the_module():
    features, seen, _ = small("gelu")
    zero = torch.zeros(features.size, dtype=F64)
    start = features.module(features.X)[:, 0].detach()
    for model in MODELS:
        torch.testing.assert_close(seen.prediction(model, zero), start)
    delta = 0.01 * torch.randn(features.size, generator=seeded(), dtype=F64)
    linear, curved = features.terms(delta)
    torch.testing.assert_close(seen.prediction("linear", delta), start + linear)
    torch.testing.assert_close(seen.prediction("quadratic", delta), start + linear + curved)
    assert float(curved.abs().max()) > 0
    torch.testing.assert_close(linear, features.jacobian() @ delta)


# ---------------------------------------------------------------- training


def test_the_linear_model_trains_as_descent_on_jacobian_features():
    features, seen, test = small()
    epochs, step, n = 200, 0.8, len(seen.y)
    state = cnn.train(seen, whole_batches(n, epochs, step), silent(epochs))
    J = features.jacobian()
    delta = torch.zeros(features.size, dtype=F64)
    for _ in range(epochs):
        delta -= step * 2 / n * J.T @ (seen.start + J @ delta - seen.y)
    torch.testing.assert_close(state[2], delta, rtol=1e-9, atol=1e-12)
    wanted = test.start + test.features.jacobian() @ delta
    torch.testing.assert_close(test.prediction("linear", state[2]), wanted)
    fitted = float((seen.start + J @ delta - seen.y).square().mean())
    assert fitted < float((seen.start - seen.y).square().mean()) - 1e-3
    assert rms(state[0] - state[2]) > 1e-3 * rms(delta)  # control: the network trains otherwise


def test_the_network_trains_as_the_module_itself():
    """Batches in the order of the schedule, by torch.optim.SGD on the module's own parameters."""
    features, seen, _ = small("gelu")
    orders = torch.stack([torch.randperm(16, generator=seeded(s)) for s in range(3)])
    state = cnn.train(seen, cnn.Schedule(0.01, 6, orders), silent(3))
    module = features.module
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    for order in orders:
        for rows in order.split(6):
            optimizer.zero_grad()
            out = module(features.X[rows])[:, 0]
            (out - seen.y[rows]).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(state[0], features.movement().detach(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_gradients_are_those_of_the_loss(model):
    _, seen, _ = small("gelu")
    at = 0.02 * torch.randn(seen.features.size, generator=seeded(), dtype=F64)
    h = 1e-5 * torch.randn(seen.features.size, generator=seeded(5), dtype=F64)
    _, gradient = seen.loss_gradient(model, at)
    up, down = (seen.loss_gradient(model, at + s * h)[0] for s in (1, -1))
    assert (up - down) / 2 == pytest.approx(float(gradient @ h), rel=1e-5)


def test_after_one_small_step_taylor_models_differ_by_the_next_order():
    """One step from Δ = 0 is the same for all: f_L misses order 2, f_L + f_Q order 3."""
    _, seen, test = small("gelu")
    steps = [64.0 * 2**-j for j in range(5)]
    apart = {model: [] for model in MODELS[1:]}
    for step in steps:
        state = cnn.train(seen, whole_batches(len(seen.y), 1, step), silent(1))
        torch.testing.assert_close(state[0], state[1])
        torch.testing.assert_close(state[0], state[2])
        f = test.prediction("network", state[0])
        for model, row in zip(MODELS[1:], state[1:], strict=True):
            apart[model].append(rms(f - test.prediction(model, row)))
    assert log_slope(steps, apart["linear"]) == pytest.approx(2, abs=0.1)
    assert log_slope(steps, apart["quadratic"]) == pytest.approx(3, abs=0.1)


def test_the_quadratic_model_stays_closer_to_the_network():
    _, seen, test = small("gelu")
    state = cnn.train(seen, whole_batches(len(seen.y), 60, 0.01), silent(60))
    ends = [test.prediction(m, d) for m, d in zip(MODELS, state, strict=True)]
    assert rms(ends[0] - ends[1]) < 0.7 * rms(ends[0] - ends[2])


def test_own_is_at_the_networks_movement_and_apart_at_each_models():
    features, seen, test = small("gelu")
    observer = cnn.Observer(seen, test, float(features.join(features.start).norm()))
    rows = 0.05 * torch.randn(3, features.size, generator=seeded(), dtype=F64)
    rows[1] = rows[0]
    got = observer(rows)
    f = test.features.value(rows[0]) - test.start
    linear, curved = test.features.terms(rows[0])
    assert got["own_quadratic"] == pytest.approx(rms(f - linear - curved))
    assert got["own_linear"] == pytest.approx(rms(f - linear))
    assert got["apart_quadratic"] == got["own_quadratic"]
    elsewhere = test.features.linear(rows[2])
    assert got["apart_linear"] == pytest.approx(rms(f - elsewhere))
    assert got["apart_linear"] != pytest.approx(got["own_linear"])  # control
    theta = torch.cat([p.detach().flatten() for p in features.module.parameters()])
    assert got["moved_linear"] == pytest.approx(float(rows[2].norm() / theta.norm()))


def test_a_step_too_large_ends_as_diverged_and_can_be_recorded(tmp_path):
    point = Convolutional(1, step=300.0, **(TINY | {"epochs": 12}))
    record = run_point(point, RecordStore(tmp_path))
    assert record.summary["outcome_linear"] == Outcome.DIVERGED
    assert record.summary["test_loss_linear"] is None
    assert math.isnan(record.arrays["test_accuracy_linear"][-1])
    assert math.isnan(record.arrays["apart_linear"][-1])
    assert record.arrays["test_loss_linear"][0] == pytest.approx(1, abs=0.1)
    calm, _ = Convolutional(1, **TINY).compute()  # control
    assert {calm[f"outcome_{model}"] for model in MODELS} == {Outcome.REACHED_END}


def test_endless_training_of_the_linear_model_is_kernel_regression():
    features, seen, test = small("gelu", n_train=8)
    state = cnn.train(seen, whole_batches(8, 1, 0.1), silent(1))
    split = digits(seeded(), n_train=8, n_test=10)
    limit = cnn.linear_limit(features.module, split)
    J = features.jacobian()
    delta = torch.linalg.pinv(J) @ (seen.y - seen.start)  # the interpolator of least norm
    wanted = test.prediction("linear", delta)
    assert limit["test_loss_limit"] == pytest.approx(float((wanted - test.y).square().mean()))
    early = float((test.prediction("linear", state[2]) - test.y).square().mean())
    assert limit["test_loss_limit"] != pytest.approx(early, rel=0.01)  # control


def test_the_loss_in_passing_is_the_mean_of_the_batch_losses_each_before_its_step():
    """With one step an epoch it is the training loss after the epoch before."""
    _, seen, test = small("gelu")
    schedule = whole_batches(len(seen.y), 4, 0.3)
    recorder = Recorder(range(5), cnn.Observer(seen, test, 1.0, schedule.passing))
    cnn.train(seen, schedule, recorder)
    values = recorder.values()
    for model in MODELS:
        after, passing = values[f"train_loss_{model}"], values[f"batch_loss_{model}"]
        np.testing.assert_allclose(passing[1:], after[:-1], rtol=1e-6)
        assert passing[0] == after[0] and (passing[1:] > after[1:]).all()
    two = cnn.Schedule(0.3, 8, torch.arange(16).expand(1, 16))
    state = seen.features.X.new_zeros(3, seen.features.size)
    first, _ = seen.batch(torch.arange(8)).loss_gradient("linear", state[2])
    two.epoch(seen, state, 0)
    only = cnn.Schedule(0.3, 8, torch.arange(8).expand(1, 8))
    at = torch.zeros_like(state)
    only.epoch(seen, at, 0)
    second, _ = seen.batch(torch.arange(8, 16)).loss_gradient("linear", at[2])
    assert two.passing["linear"] == pytest.approx((first + second) / 2)


# ---------------------------------------------------------------- records


def test_a_point_records_what_it_declares(tmp_path):
    point = Convolutional(2, **TINY)
    record = run_point(point, RecordStore(tmp_path))
    names = {
        f"{a}_{b}_{m}" for a in ("train", "test") for b in ("loss", "accuracy") for m in MODELS
    }
    names |= {f"{a}_{m}" for a in ("size", "moved", "batch_loss") for m in MODELS}
    names |= {f"{a}_{m}" for a in ("apart", "own") for m in MODELS[1:]}
    assert set(record.arrays) == names | {"times", "predictions", "labels"}
    outcome_names = {f"outcome_{model}" for model in MODELS}
    assert set(record.summary) == names | outcome_names | {"n_parameters", "steps"} | LIMIT
    times = record.arrays["times"]
    assert times.tolist() == [0, 1, 4] and record.summary["steps"] == 12
    for name in names:
        assert record.arrays[name].shape == times.shape
        assert record.summary[name] == record.arrays[name][-1]
    predictions, labels = record.arrays["predictions"], record.arrays["labels"]
    assert predictions.shape == (3, 10) and sorted(labels) == [-1.0] * 5 + [1.0] * 5
    for row, model in zip(predictions, MODELS, strict=True):
        loss = record.summary[f"test_loss_{model}"]
        assert np.square(row - labels).mean() == pytest.approx(loss, rel=1e-5)
        right = ((row > 0) == (labels > 0)).mean()
        assert record.summary[f"test_accuracy_{model}"] == pytest.approx(right)
    gap = np.sqrt(np.square(predictions[0] - predictions[1]).mean())
    assert record.summary["apart_quadratic"] == pytest.approx(gap, rel=1e-4)
    start = {name: record.arrays[name][0] for name in names}
    assert len({start[f"test_loss_{m}"] for m in MODELS}) == 1
    assert start["apart_linear"] == start["moved_network"] == 0
    assert record.summary["moved_network"] > 0 and record.summary["apart_linear"] > 0


def test_runs_repeat_and_the_seed_matters():
    first, again, other = (Convolutional(s, **TINY).compute()[1] for s in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["predictions"], other["predictions"])


def test_a_killed_run_goes_on_to_the_same_numbers():
    point = Convolutional(1, **(TINY | {"epochs": 6, "n_times": 9}))
    whole = point.compute()
    memory = Memory(die_at=3)
    with pytest.raises(KilledError):
        point.compute(memory.run())
    assert memory.state["#0/done"] == 3
    summary, arrays = point.compute(memory.run())
    assert summary == whole[0]
    assert all(np.array_equal(arrays[name], whole[1][name]) for name in arrays)
    assert memory.saves < 3 + 6  # it did not begin again


# ---------------------------------------------------------------- the folder of the archive


def test_the_folder_travels_with_the_point_and_is_not_in_its_key(tmp_path):
    here, there = (Convolutional(1, "cifar10", (3, 7), root=tmp_path / x) for x in "ab")
    assert here == there and hash(here) == hash(there) and here.root != there.root
    assert "root" not in configuration(here)
    assert str(tmp_path) not in json.dumps(configuration(here))
    keys = {record_key("cnn", configuration(p)) for p in (here, there, Convolutional(1))}
    assert len(keys) == 2  # control: another data set has another key
    assert pickle.loads(pickle.dumps(here)).root == here.root
    assert dataclasses.replace(here, seed=2).root == here.root


def test_cifar10_runs_from_its_archive_alone(tmp_path, monkeypatch):
    """A made archive of the same layout; wherever it lies, the numbers are the same."""
    sizes = TINY | {"n_train": 24, "n_test": 8}
    results = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        layout = packed(folder, files())
        monkeypatch.setattr(cnn, "cifar10", partial(cifar10, layout=layout))
        results.append(Convolutional(1, "cifar10", (1, 3), root=folder, **sizes).compute())
    assert results[0][0] == results[1][0]
    assert np.array_equal(results[0][1]["predictions"], results[1][1]["predictions"])
    assert results[0][0]["n_parameters"] == 3 * 27 + 3 + 3 * (3 * 27 + 3) + 4


def test_a_reader_can_type_the_whole_path_with_an_archive_that_is_made(tmp_path, capsys):
    """On a device too: there is one path, and the records are the same."""
    words = ["run", "cnn", "--data", "made", "--root", str(tmp_path / "images"), "--seeds", "1"]
    for folder, more in (("a", []), ("b", ["--device", "cpu"])):
        assert main(["--records", str(tmp_path / folder), *words, *more]) == 0
        said = capsys.readouterr().out
        archive = tmp_path / "images" / LAYOUT.archive
        assert hashlib.md5(archive.read_bytes()).hexdigest() in said
        assert "1 of 1 runs are missing; one would take about" in said and "GiB" in said
    first, second = (RecordStore(tmp_path / folder) for folder in "ab")
    (point,) = experiment("cnn").points("full", (1,), data="made")
    one, other = (lookup(point, store) for store in (first, second))
    assert one.summary == other.summary
    assert one.summary["test_loss_limit"] < 0.2  # the stripes can be told apart
    assert main(["--records", str(tmp_path / "a"), *words]) == 0
    assert "missing" not in capsys.readouterr().out  # nothing is left to be run


def test_each_activation_is_judged_by_itself():
    judge = chapters.claim("cnn-order").judge
    got = judge({"relu": [0.5, 0.6], "gelu": [0.5, 1.5]})
    assert got.verdict == "partly"  # pooled or counted by heads it would be three of four
    assert [one["verdict"] for one in got.measured.values()] == ["reproduced", "not_reproduced"]
    assert got.measured["relu"]["largest"] == 0.6 and got.measured["gelu"]["runs"] == 2


def test_a_device_travels_with_the_point_and_is_not_in_its_key():
    here, there = Convolutional(1), Convolutional(1, device="cpu")
    assert here == there and "device" not in configuration(here)
    assert there.device == pickle.loads(pickle.dumps(there)).device == "cpu"
    placed = experiment("cnn").on([here], "cpu")
    assert [p.device for p in placed] == ["cpu"] and placed == [here]


def test_an_estimate_counts_steps_and_measurements(monkeypatch):
    point = Convolutional(1, **TINY)
    monkeypatch.setattr(cnn, "_timed", lambda work, device: 0.1)
    got = cnn.Estimate.of(point)
    assert got.seconds == pytest.approx(4 * 3 * 0.1 + 3 * 30 * 0.1 / 16) and got.gib > 0.05
    monkeypatch.setattr(cnn, "_timed", lambda work, device: 1.0)  # two images only are timed
    assert cnn.Estimate.of(point).seconds == pytest.approx(4 * 3 * 4.0 + 3 * 30 * 1.0 / 4)
    said = str(cnn.Estimate(40 * 86_400.0, 2.0, "cpu"))
    assert said == "one would take about 40 days on cpu, and 2.0 GiB"


def test_a_quick_estimate_is_of_the_right_size():
    point = Convolutional(1, **TINY | {"epochs": 12})
    before = time.perf_counter()
    point.compute()
    took = time.perf_counter() - before
    assert 0.1 < cnn.Estimate.of(point).seconds / took < 10


def test_without_its_archive_cifar10_is_refused_when_it_is_needed(tmp_path):
    for root, word in ((None, "--root DIR"), (tmp_path, "cifar-10-binary.tar.gz")):
        point = Convolutional(1, "cifar10", (3, 7), root=root)
        with pytest.raises(DataFileError, match=word):
            point.compute()


@pytest.mark.parametrize(
    ("fields", "error", "word"),
    [
        ({"data": "mnist"}, UnknownNameError, "digits, cifar10"),
        ({"activation": "tanh"}, UnknownNameError, "relu, gelu"),
        ({"root": "somewhere"}, InputError, "only for cifar10 and made"),
        ({"epochs": 1}, InputError, "epochs"),
        ({"batch": 0}, InputError, "batch"),
        ({"channels": 0}, InputError, "channels"),
        ({"step": 0.0}, InputError, "step"),
        ({"seed": -1}, InputError, "seed"),
    ],
)
def test_bad_points_are_refused(fields, error, word):
    with pytest.raises(error, match=word):
        Convolutional(**({"seed": 1} | fields))


def test_the_catalogue_offers_both_data_sets(tmp_path):
    entry = experiment("cnn")
    assert entry.points("full") == cnn.full_points(cnn.SEEDS)
    points = entry.points("full", (1,), data="cifar10", root=tmp_path)
    assert {(p.data, p.classes, p.n_train, p.root) for p in points} == {
        ("cifar10", (3, 7), 10_000, tmp_path)
    }
    assert {p.activation for p in points} == {"relu"}  # the notebook's
    (one,) = entry.points("full", (1,), activation="gelu")
    assert one == Convolutional(1, activation="gelu")
    assert {p.data for p in entry.points("live", (1,))} == {"digits"}
    keys = [record_key("cnn", configuration(p)) for s in ("live", "full") for p in entry.points(s)]
    assert len(set(keys)) == len(keys)
    with pytest.raises(InputError, match="leave them out"):
        experiment("setup").points("full", data="digits")
