"""The study on real data: sets, copies trained side by side, what is chosen, what is recorded."""

import dataclasses
import math

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from torch import nn

from escape_ntk import chapters
from escape_ntk.chapters.your_network import effects, figures, follow_up, page, real_sets, study
from escape_ntk.chapters.your_network.copies import Copies, dense, pooled
from escape_ntk.chapters.your_network.losses import LOSSES
from escape_ntk.chapters.your_network.modules import default_module
from escape_ntk.checks import InputError
from escape_ntk.models.modules import ModuleFeatures, empirical_leak
from escape_ntk.numerics.stats import Interval
from escape_ntk.records.store import RecordStore
from escape_ntk.risk.projectors import TrainingProjector
from escape_ntk.study.claims import Runs
from escape_ntk.study.sweep import LiveResult, run_point

matplotlib.use("Agg")
TINY = {"steps": 12, "moments": 5, "shares": (0.1, 0.5)}


def seeded(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny(network: str, data: str = "iris", **changes) -> study.RealData:
    return dataclasses.replace(study.cell(1, data, 12, network), **TINY | changes)


def copies_of(sizes, activation) -> Copies:
    return Copies(default_module(lambda: dense(sizes, activation), seeded(3)), activation)


@pytest.mark.parametrize("name", real_sets.SETS)
def test_sets_are_what_they_are_said_to_be(name):
    kind = real_sets.SETS[name]
    rows, y = kind.load()
    assert rows.shape == (kind.rows, kind.width) and y.shape == (kind.rows,)
    assert np.isfinite(rows).all() and np.isfinite(y).all()
    assert len(np.unique(y)) == kind.classes if kind.classes else len(np.unique(y)) > 200
    parts = real_sets.divide(name, 20, 30, seeded())
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (20, 20, 30)
    assert parts.train.Y.shape[1] == kind.outputs
    assert float(parts.train.Y.square().mean()) == pytest.approx(1, rel=1e-5)
    assert float(parts.train.X.mean(0).abs().max()) < 1e-5
    if kind.classes:
        named = real_sets.classes_of(parts.test.Y)
        assert torch.equal(named, parts.test.labels)


def test_no_row_is_in_two_parts_and_the_larger_n_holds_the_smaller():
    small, large = (real_sets.divide("digits", n, 50, seeded(4)) for n in (20, 40))
    every = torch.cat([small.train.X, small.validation.X, small.test.X])
    assert len(torch.unique(every, dim=0)) == len(every)
    assert torch.equal(large.train.labels[:20], small.train.labels)


def test_too_many_rows_and_unknown_sets_are_refused():
    with pytest.raises(InputError, match="rows are left"):
        real_sets.divide("iris", 75, 10, seeded())
    with pytest.raises(InputError, match="set"):
        real_sets.divide("mnist", 10, 10, seeded())


@pytest.mark.parametrize(("activation", "sizes"), [("tanh", (5, 7, 3)), ("relu", (5, 6, 4, 2))])
def test_copies_are_the_module_and_f_L_its_own(activation, sizes):
    copies, X = copies_of(sizes, activation), torch.randn(9, 5, generator=seeded(1))
    weights = [p + 0.1 * torch.randn(p.shape, generator=seeded(2)) for p in copies.repeated(2)]
    f, f_L = copies.outputs(weights, X), copies.linear(weights, X)
    torch.testing.assert_close(pooled(f_L)[0].view(-1, 9).T, f_L[0])
    for column in range(sizes[-1]):
        features = ModuleFeatures(copies.module, X, output=column)
        rows = slice(9 * column, 9 * (column + 1))
        torch.testing.assert_close(copies.jacobian(X)[rows], features.jacobian())
        for copy in range(2):
            moved = torch.cat(
                [(p[copy] - q).flatten() for p, q in zip(weights, copies.start, strict=True)]
            )
            torch.testing.assert_close(
                f_L[copy, :, column], features.linear(moved), rtol=1e-4, atol=1e-5
            )
            torch.testing.assert_close(
                f[copy, :, column], features.value(moved), rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize(("activation", "sizes"), [("tanh", (5, 7, 3)), ("relu", (5, 6, 4, 2))])
def test_gradients_are_those_of_autograd(activation, sizes):
    copies, X = copies_of(sizes, activation), torch.randn(9, 5, generator=seeded(1))
    weights = [p + 0.1 * torch.randn(p.shape, generator=seeded(2)) for p in copies.repeated(3)]
    g, h = (torch.randn(s, sizes[-1], 9, generator=seeded(s)) for s in (3, 2))

    def errors(f, linear):
        assert linear(2).shape == h.shape and f.shape == g.shape
        return g.clone(), h.clone()

    got = copies.gradients(weights, X, copies.at_start(X), errors)
    leaves = [p.clone().requires_grad_() for p in weights]
    out = copies.outputs(leaves, X).transpose(1, 2), copies.linear(leaves, X).transpose(1, 2)
    total = (g * out[0]).sum() + (h * out[1][:2]).sum()
    for a, b in zip(got, torch.autograd.grad(total, leaves), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def squares(f, part):
    """As an ordinary loop has them."""
    return (f - part.Y).square().mean()


def cross_entropy(f, part):
    """As an ordinary loop has it."""
    if f.shape[1] == 1:
        return nn.functional.binary_cross_entropy_with_logits(f[:, 0], part.labels.float())
    return nn.functional.cross_entropy(f, part.labels)


def by_hand(point, penalty: str, at: int, parts, random, kernel, copies, loss) -> list[float]:
    """Test losses of one setting: the module itself, torch's optimiser, `empirical_leak`."""
    module = nn.Sequential(*copies.module.children())
    features = ModuleFeatures(module, parts.train.X, keep=True)
    grid = [(kernel.count(s), leak) for s in point.shares for leak in point.leaks]
    count, leak = grid[at]
    projector = TrainingProjector(features, count)
    if penalty == "random":
        projector._basis = random[:, :count].float()
    decay = float(np.geomspace(*point.decays, point.settings)[at]) if penalty == "decay" else 0.0
    if point.optimizer == "adam":
        rule = torch.optim.AdamW(module.parameters(), lr=point.rate, weight_decay=decay)
    else:
        top = point.trained_by.curvature(1) * float(kernel.values[0])
        basis = kernel.vectors[:, :count] if penalty == "leak" else random[:, :count]
        stiff = 2 * leak * kernel.outside(basis) if penalty in ("leak", "random") else 0.0
        rate = point.rate / (top * (1 + decay) + stiff)
        rule = torch.optim.SGD(module.parameters(), rate, momentum=0.9, weight_decay=top * decay)
    losses = []
    for step in range(point.steps + 1):
        if step in point.times:
            with torch.no_grad():
                losses.append(float(loss(module(parts.test.X), parts.test)))
        rule.zero_grad()
        total = loss(module(parts.train.X), parts.train)
        if penalty in ("leak", "random"):
            total = total + leak * empirical_leak(features, projector, features.movement())
        total.backward()
        rule.step()
    return losses


@pytest.mark.parametrize("network", study.NETWORKS)
@pytest.mark.parametrize(
    ("penalty", "at"), [("leak", 2), ("leak", 9), ("random", 8), ("decay", 7), ("plain", 0)]
)
@pytest.mark.parametrize("data", ["diabetes", "cancer"])
def test_copies_are_trained_as_the_plain_loop_trains_one(network, penalty, at, data):
    """One copy of all against torch's optimiser on the module, with `empirical_leak`."""
    point, loss, unit = tiny(network, data), squares, 1.0
    if data == "cancer":
        point = dataclasses.replace(follow_up.cell(1, data, 12, network, "cross-entropy"), **TINY)
        loss, unit = cross_entropy, math.log(2)
    parts = real_sets.divide(data, 12, 40, seeded(1))
    copies = copies_of((parts.train.X.shape[1], *point.hidden, 1), network)
    kernel = study.Spectrum.of(copies, parts.train)
    random = torch.linalg.qr(torch.randn(12, 6, generator=seeded(5), dtype=torch.float64)).Q
    got = unit * point.train(copies, kernel, random, parts)[penalty][at, :, 1]
    wanted = by_hand(point, penalty, at, parts, random, kernel, copies, loss)
    assert got == pytest.approx(wanted, rel=2e-3)
    assert wanted[-1] != pytest.approx(wanted[0], rel=0.02)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("data", ["cancer", "wine"])
def test_losses_their_slopes_and_their_curvature(name, data):
    """Against torch's own, its gradients, and its Hessian where all classes are alike."""
    part, loss = real_sets.divide(data, 12, 40, seeded(1)).train, LOSSES[name]
    C, by_torch = part.Y.shape[1], squares if name == "squares" else cross_entropy
    f = torch.randn(3, 12, C, generator=seeded(2), requires_grad=True)
    each = torch.stack([by_torch(rows, part) for rows in f])
    unit = 1.0 if name == "squares" else math.log(max(2, C))
    torch.testing.assert_close(loss.judge(f, part) * unit, each)
    (wanted,) = torch.autograd.grad(each.sum(), f)
    torch.testing.assert_close(loss.slope(f.detach().mT, part), wanted.mT)
    alike = torch.zeros(12, C)
    hessian = torch.autograd.functional.hessian(lambda rows: by_torch(rows, part), alike)
    largest = torch.linalg.eigvalsh(hessian.reshape(12 * C, 12 * C))[-1]
    assert float(largest) * 12 * C == pytest.approx(loss.curvature(C), rel=1e-4)
    if name != "squares":
        assert float(loss.judge(alike[None], part)) == pytest.approx(1)


def test_cross_entropy_needs_classes():
    part = real_sets.divide("diabetes", 12, 40, seeded(1)).train
    with pytest.raises(InputError, match="classes"):
        LOSSES["cross-entropy"].judge(part.Y[None], part)
    with pytest.raises(InputError, match="set for cross-entropy"):
        follow_up.cell(1, "elevation", 30, "tanh", "cross-entropy")
    with pytest.raises(InputError, match="loss"):
        follow_up.cell(1, "wine", 30, "tanh", "hinge")


def test_kernels_are_ridge_regressions():
    """Against the normal equations in the parameters, and in the columns."""
    point = tiny("tanh", "wine")
    parts = real_sets.divide("wine", 12, 40, seeded(1))
    copies = copies_of((13, *point.hidden, 3), "tanh")
    kernel = study.Spectrum.of(copies, parts.train)
    got = point.solve(copies, kernel, parts)
    ridge = np.geomspace(*point.ridges, point.settings)[6]
    for method, A, Z, Y in (
        ("ntk", copies.jacobian(parts.train.X), copies.jacobian(parts.test.X), pooled),
        ("ridge", parts.train.X, parts.test.X, lambda Y: Y),
    ):
        A, Z = A.double(), Z.double()
        penalty = ridge * A.square().sum() / len(A) * torch.eye(A.shape[1], dtype=torch.float64)
        solution = torch.linalg.solve(A.T @ A + penalty, A.T @ Y(parts.train.Y).double())
        wanted = float((Z @ solution - Y(parts.test.Y)).square().mean())
        assert got[method][6, 1] == pytest.approx(wanted, rel=1e-3)
    assert got["rbf"].shape == (70, 3) and np.isfinite(got["rbf"]).all()
    full = got["cutoff"][-1, 0], got["ntk"][0, 0]
    assert full[0] == pytest.approx(full[1], rel=0.1)  # nothing cut, hardly a ridge


def test_validation_chooses_and_never_the_test_rows():
    curves = np.full((2, 3, 3), 0.5)  # validation, test, accuracy
    curves[0, :, 0], curves[1, :, 0] = [3, 1, 2], [3, 2, 1.5]
    curves[0, :, 1], curves[1, :, 1] = [0.1, 7, 8], [0.2, 9, 6]
    assert study.chosen("x", curves)["loss_x"] == 7
    end = study.chosen("x", curves[:, -1:])
    assert end["loss_x"] == 6 and end["setting_x"] == 1
    curves[1, -1] = math.nan
    assert study.chosen("x", curves[:, -1:])["loss_x"] == 8
    assert study.extract(curves)[0].tolist() == [2, 8, 1, 7, 1]


@pytest.mark.parametrize("network", study.NETWORKS)
def test_a_point_records_what_it_declares(network, tmp_path):
    record = run_point(tiny(network), RecordStore(tmp_path))
    methods = [f"{m}_{w}" for m in study.TRAINED for w in ("end", "stopped")] + [*study.SOLVED]
    whats = ("loss", "accuracy", "setting", "moment")
    assert set(record.summary) == {f"{what}_{m}" for what in whats for m in methods}
    assert set(record.arrays) == {*study.TRAINED, *study.SOLVED, "times"}
    assert record.arrays["leak"].shape == (12, 5) and record.arrays["plain"].shape == (1, 5)
    assert record.arrays["times"].tolist()[0] == 0 and record.arrays["times"][-1] == 12
    losses = {record.summary[f"loss_{m}"] for m in methods}
    assert len(losses) > len(methods) // 2


def test_cells_leave_rows_to_judge_by():
    for data, n, _ in study.CELLS:
        assert real_sets.SETS[data].rows - 2 * n >= study.LEAST_TEST
    assert len(study.study_points((1,))) == len(study.CELLS) == 42


def test_what_follows_has_the_methods_of_the_study_and_rows_to_judge_by(tmp_path):
    squares, entropy = follow_up.more_points((1,)), follow_up.entropy_points((1,))
    assert {type(point) for point in (*squares, *entropy)} == {follow_up.FollowUp}
    assert len(squares) == 8 and len(entropy) == 14
    for point in (*squares, *entropy):
        assert real_sets.SETS[point.data].rows - 2 * point.n >= study.LEAST_TEST
    for point in squares:  # the same fields, whatever n
        same = dataclasses.asdict(study.cell(1, point.data, point.n, point.network))
        assert dataclasses.asdict(point) == same | {"loss": "squares"}
    tried = dataclasses.replace(follow_up.cell(1, "wine", 12, "tanh", "cross-entropy"), **TINY)
    assert tried.leaks == tuple(leak / 2 for leak in study.NETWORKS["tanh"]["leaks"])
    record = run_point(tried, RecordStore(tmp_path))
    assert set(record.arrays) == {*study.TRAINED, "times"} and "loss_ntk" not in record.summary
    plain = dataclasses.replace(follow_up.cell(1, "wine", 12, "tanh"), **TINY)
    both = (
        run_point(plain, RecordStore(tmp_path)),
        run_point(tiny("tanh", "wine"), RecordStore(tmp_path)),
    )
    assert both[0].summary == both[1].summary


@pytest.mark.parametrize(
    ("fields", "word"),
    [({"data": "mnist"}, "set"), ({"network": "cnn"}, "network"), ({"steps": 1}, "steps"),
     ({"rate": 0.0}, "rate"), ({"optimizer": "sgd"}, "optimizer")],
)  # fmt: skip
def test_bad_points_are_refused(fields, word):
    with pytest.raises(InputError, match=word):
        dataclasses.replace(tiny("tanh"), **fields)


def result(point, **losses) -> LiveResult:
    """A record made by hand."""
    summary = {f"loss_{name}": value for name, value in losses.items()}
    return LiveResult(point.experiment, dataclasses.asdict(point), summary, {})


def test_an_effect_is_the_mean_of_logarithms_over_seeds():
    """Two cells for each seed: the seeds give the interval, not the cells."""
    ratios = {1: (0.5, 0.8), 2: (0.6, 0.9), 3: (0.7, 0.6)}
    runs = [
        result(study.cell(seed, "wine", n, "tanh"), leak_stopped=r, plain_stopped=1.0)
        for seed, pair in ratios.items()
        for n, r in zip((30, 60), pair, strict=True)
    ]
    got = effects.over_seeds(runs, "leak_stopped", "plain_stopped")
    logs = [math.log(a * b) / 2 for a, b in ratios.values()]
    assert got.value == pytest.approx(math.exp(np.mean(logs)))
    half = 4.302653 * np.std(logs, ddof=1) / math.sqrt(3)
    assert got.high / got.value == pytest.approx(math.exp(half), rel=1e-6)
    assert len(effects.of(runs, n=30, network="tanh")) == 3 and not effects.of(runs, n=120)


class HandMade:
    """Answers for records: one rule for all losses."""

    def __init__(self, losses):
        self.losses = losses

    def __call__(self, points):
        return [result(point, **self.losses(point)) for point in points]


def measured(name: str, losses, broken=False) -> list[float]:
    runs: Runs = HandMade(losses)  # pyright: ignore
    return chapters.claim(name).measure(runs, broken)


def test_claims_of_the_sets_weigh_sets_alike():
    """R_2 at .9 of plain in each cell of digits and at .8 elsewhere: seven numbers come out."""

    def losses(point):
        mine = 0.9 if point.data == "digits" else 0.8
        return {"leak_stopped": mine, "plain_stopped": 1.0, "plain_end": 1.5}

    got = measured("study-stopping", losses)
    assert got == pytest.approx([0.8, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8])
    assert measured("study-stopping", losses, broken=True) == pytest.approx([1.5] * 7)
    finding = chapters.claim("study-stopping").judge(got)
    assert finding.measured["sets"] == finding.measured["below"] == 7


def test_claims_of_sizes_and_steps_compare_ratios():
    def by_size(point):
        return {"leak_stopped": 0.5 if point.n == 30 else 0.8, "plain_stopped": 1.0}

    got = measured("study-plenty", by_size)
    assert got == pytest.approx([0.5 / 0.8] * 6)  # iris has one size
    assert measured("study-plenty", by_size, broken=True) == pytest.approx([0.8 / 0.5] * 6)

    def by_step(point):
        return {"leak_stopped": 0.6 if point.rate == 0.1 else 0.9, "plain_stopped": 1.0}

    assert measured("study-step", by_step) == pytest.approx([0.6 / 0.9] * 10)
    assert measured("study-step", by_step, broken=True) == pytest.approx([0.9 / 0.6] * 10)


LARGEST = {"digits-38": 120, "digits": 480, "cancer": 240, "wine": 60, "iris": 30}
LARGEST |= {"diabetes": 196, "elevation": 960}


def test_claims_of_many_labels_take_each_set_at_its_largest_number():
    def by_size(point):
        most = point.n == LARGEST[point.data]
        return {"leak_stopped": 0.9 if most else 0.6, "plain_stopped": 1.0, "plain_end": 1.5}

    assert measured("study-many-stopping", by_size) == pytest.approx([0.9] * 7)
    assert measured("study-many-stopping", by_size, broken=True) == pytest.approx([1.5] * 7)
    got = measured("study-many-gain", by_size)
    assert got == pytest.approx([0.6 / 0.9] * 6)  # iris has one size
    assert measured("study-many-gain", by_size, broken=True) == pytest.approx([0.9 / 0.6] * 6)


def test_claims_of_cross_entropy_are_of_the_five_sets_with_classes():
    def losses(point):
        assert point.loss == "cross-entropy"
        return {"leak_stopped": 0.8, "decay_stopped": 1.0, "plain_stopped": 1.2}

    got = measured("study-entropy-decay", losses)
    assert got == pytest.approx([0.8] * 5)
    assert measured("study-entropy-decay", losses, broken=True) == pytest.approx([1.2] * 5)
    finding = chapters.claim("study-entropy-decay").judge(got)
    assert finding.measured["sets"] == finding.measured["below"] == 5


def test_tables_of_what_follows():
    """One method at .8 of the others; plain training best at its last moment with 960 labels."""
    methods = [f"{m}_stopped" for m in study.TRAINED] + ["rbf"]

    def runs(points):
        for point in points:
            losses = {method: 0.5 for method in methods} | {"leak_stopped": 0.4}
            made = result(point, **losses)
            for name in ("leak", "plain"):
                made.summary[f"accuracy_{name}_stopped"] = 0.9 if name == "leak" else 0.85
            made.summary["moment_plain_stopped"] = 17.0 if point.n == 960 else 3.0
            made.arrays["times"] = np.arange(18)
            yield made

    more = page.more_rows(lambda points: [*runs(points)])  # pyright: ignore
    assert [row[1] for row in more if row[0] == "a map's heights"] == [30, 60, 120, 240, 480, 960]
    assert {row[-1] for row in more if row[1] == 960} == {"100%"}
    assert {row[-1] for row in more if row[1] != 960} == {"0%"}
    assert {cell for row in more for cell in row[2:-1]} == {"0.80 [0.80, 0.80]"}
    entropy = page.entropy_rows(lambda points: [*runs(points)])  # pyright: ignore
    assert [row[1] for row in entropy] == [60, 60, 240, 60, 240, 60, 30, ""]
    assert entropy[0][5:] == ["0.400", "0.500", "5.0 ± 0.0"]


def test_effect_sizes_are_drawn_where_they_are():
    rows = {
        ("wine", 30, "tanh"): Interval(0.8, 0.7, 0.9),
        ("wine", 30, "relu"): Interval(1.1, 1.0, 1.3),
        ("iris", 30, "tanh"): Interval(1.0, 0.9, 1.2),
    }
    figure = figures.effect_sizes({"a": rows, "b": rows})
    figure.canvas.draw()
    first = figure.axes[0]
    spans = [tuple(line.get_xdata()) for line in first.lines if len(line.get_xdata()) == 2]
    assert spans[1:] == [(r.low, r.high) for r in rows.values()]  # the first is the line at 1
    words = [label.get_text() for label in first.get_yticklabels()]
    assert words == ["n = 30", "n = 30", "wine", "iris"]
    plt.close(figure)
