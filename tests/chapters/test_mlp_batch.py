"""Climbs side by side on one device: the numbers of climbs alone, up to rounding."""

import numpy as np
import pytest
import torch

from escape_ntk.chapters.mlp import runs as mlp
from escape_ntk.chapters.mlp import runs as mlp_batch
from escape_ntk.chapters.mlp.runs import Climb, ReluNetwork
from escape_ntk.checks import InputError
from escape_ntk.models.data import draw_inputs
from escape_ntk.records.store import RecordStore
from escape_ntk.study import sweep

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]
SMALL = {"steps": 40, "n_test": 200, "n_times": 4, "width": 9}
FAR = (1.0, 2.0, 40.0)
"""40·36 samples: two blocks, the last one partly filled."""


def members(**changes) -> list[Climb]:
    options = SMALL | {"multiples": FAR, "level": 1e-9} | changes
    return [Climb(seed, 6, dense, **options) for dense in mlp.DENSE[:2] for seed in (1, 2)]


@pytest.mark.parametrize("device", DEVICES)
def test_steps_side_by_side_are_the_steps_of_each_alone(device):
    generator = torch.Generator().manual_seed(0)
    networks = [ReluNetwork.draw(7, 6, generator) for _ in range(3)]
    X = torch.stack([draw_inputs(1500, 6, "gaussian", generator) for _ in networks])
    y = torch.randn(3, 1500, generator=generator)
    together = mlp_batch.ReluNetworks(networks, X.to(device), y.to(device), 0.05)
    step = mlp_batch.steps_of(together)
    alone = [ReluNetwork(n.inner.clone(), n.outer.clone()) for n in networks]
    losses = [n.descend(*data, 0.05) for n, *data in zip(alone, X, y, strict=True)]
    for _ in range(30):
        want = torch.tensor([next(loss) for loss in losses])
        torch.testing.assert_close(together.losses().cpu(), want, rtol=1e-4, atol=1e-5)
        step()
    for k in range(3):
        next(losses[k])
        torch.testing.assert_close(together[k].inner.cpu(), alone[k].inner, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(together[k].outer.cpu(), alone[k].outer, rtol=1e-3, atol=1e-4)
        moved = (alone[k].inner - networks[k].inner).abs().max()
        assert moved > 0.01  # control: they have gone somewhere


@pytest.mark.parametrize("device", DEVICES)
def test_climbs_side_by_side_are_the_climbs_alone(device):
    found = {p: result for p, result, _ in mlp_batch.climb(members(), torch.device(device))}
    assert list(found) == members()
    for point, (summary, arrays) in found.items():
        want, curves = point.compute()
        assert summary == want
        for name, values in curves.items():
            np.testing.assert_allclose(arrays[name], values, rtol=1e-3, atol=1e-4)
    one, other = (found[p][1]["test"] for p in members()[:2])
    assert not np.allclose(one, other, rtol=1e-3)  # control: each has its own data


def test_a_climb_that_is_done_leaves_the_others():
    ends = [point.compute()[1]["test"] for point in members()]
    first = [values[0] for values in ends]
    level = float(np.mean(sorted(first)[:2]))  # the best is done at once
    found = {p: result for p, result, _ in mlp_batch.climb(members(level=level), "cpu")}
    runs = {p.seed * 10 + mlp.DENSE.index(p.dense): s["n_run"] for p, (s, _) in found.items()}
    alone = {
        p.seed * 10 + mlp.DENSE.index(p.dense): p.compute()[0]["n_run"]
        for p in members(level=level)
    }
    assert runs == alone and 1 in runs.values() and max(runs.values()) > 1


def test_divergence_is_an_outcome_of_its_own_network_only():
    generator = torch.Generator().manual_seed(0)
    networks = [ReluNetwork.draw(7, 6, generator) for _ in range(2)]
    networks[1].outer.mul_(1e6)
    X = torch.stack([draw_inputs(50, 6, "gaussian", generator)] * 2)
    together = mlp_batch.ReluNetworks(networks, X, torch.randn(2, 50, generator=generator), 0.05)
    seen = [mlp_batch.Recorder([0, 5, 60], lambda net: {"c": float(net.outer[-1])}) for _ in "ab"]
    calm, wild = mlp_batch.train(together, seen)
    assert np.isfinite(calm) and np.isfinite(seen[0].values()["c"]).all()
    assert np.isnan(wild) and np.isnan(seen[1].values()["c"][-1])
    assert np.isfinite(seen[1].values()["c"][0])


def test_groups_are_recorded_once_and_said_to_be_where_they_ran(tmp_path):
    store = RecordStore(tmp_path)
    points = [*members(), Climb(1, 5, "published", multiples=(1.0, 2.0), **SMALL)]

    def run():
        return sweep.run_side_by_side(points, store, mlp_batch.climb, "cpu", progress=False)

    records = run()
    assert [r.key for r in records] == [sweep.lookup(p, store).key for p in points]
    assert all(r.provenance["accelerator"] is None for r in records)
    assert all(r.provenance["wall_seconds"] > 0 for r in records)
    written = [r.path.stat().st_mtime_ns for r in records]
    assert [r.path.stat().st_mtime_ns for r in run()] == written


@needs_cuda
def test_a_record_names_the_accelerator_that_made_it(tmp_path):
    (record,) = sweep.run_side_by_side(
        members()[:1], RecordStore(tmp_path), mlp_batch.climb, "cuda", progress=False
    )
    assert record.provenance["accelerator"] == torch.cuda.get_device_name()


def test_a_device_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="a device that PyTorch can use"):
        sweep.run_side_by_side(members(), RecordStore(tmp_path), mlp_batch.climb, "abacus")
    assert not list(tmp_path.iterdir())
