"""Wrong objects at the front door: each is refused with expected, got and remedy."""

import ast
import copy
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from refusals import SENTENCE, refused

import escape_ntk as en
from escape_ntk.checks import EscapeNTKError, InputError

W = en.draw_weights(8, 4, torch.Generator().manual_seed(0))
X = en.draw_inputs(6, 4, "sphere", torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def problem() -> en.Problem:
    return en.dense_plus_sparse_problem(d=5, n=30, m=40, n_fresh=50)


@pytest.mark.parametrize(
    "call",
    [
        lambda p: en.PairFeatures(X, W, 3),
        lambda p: en.PairFeatures(X, W, "tanh"),
        lambda p: en.infinite_ntk(X, X, None),
        lambda p: en.RegularizedRisk(p.features, p.y, penalties={"empirical": 1.0}),
        lambda p: en.train(p, {"empirical": 1.0}),
        lambda p: en.draw_inputs(6, 4, "sphere", 0),
        lambda p: en.draw_weights(8, 4, 0),
        lambda p: en.dense_plus_sparse_problem(d=5, n=30, m=41),
        lambda p: en.dense_plus_sparse_problem(d=5, n=30, m=40, seed=-1),
        lambda p: en.dense_plus_sparse_problem(d=5, n=0, m=40),
        lambda p: en.train(p, method="leapfrog"),
        lambda p: en.train(p, t_end=-1.0),
        lambda p: en.train("problem"),
    ],
)
def test_wrong_objects_are_refused_in_the_houses_words(problem, call):
    with pytest.raises(EscapeNTKError, match=SENTENCE):
        call(problem)


def test_control_the_right_objects_pass(problem):
    assert en.train(problem, en.Penalties(empirical=1.0), t_end=5.0, n_times=3).times[-1] == 5.0


# ---------------------------------------------------------------- what contradicts itself


def made_of(problem: en.Problem, **changes) -> en.Problem:
    names = ("target", "weights", "activation", "X", "fresh", "n_k")
    return en.Problem(**{name: getattr(problem, name) for name in names} | changes)


def gaussian_target(d: int) -> en.Target:
    return en.published_target(torch.eye(d)[0])


CONTRADICTIONS = [
    ("target", "law of the inputs", lambda p: {"law": "gaussian"}),
    ("target of another law", "law of the inputs", lambda p: {"target": gaussian_target(5)}),
    ("long X", "X of length √d", lambda p: {"X": 2 * p.X}),
    ("one short fresh", "fresh of length √d", lambda p: {
        "fresh": torch.cat([p.fresh, 0.999 * p.fresh[:1]])}),
    ("Gaussian on the sphere", "X of several lengths", lambda p: {
        "law": "gaussian", "target": gaussian_target(5)}),
]  # fmt: skip


@pytest.mark.parametrize(
    "words, changes", [pytest.param(w, c, id=label) for label, w, c in CONTRADICTIONS]
)
def test_laws_that_contradict_each_other_are_refused(problem, words, changes):
    assert words in refused(lambda: made_of(problem, **changes(problem)), InputError)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("d", [5, 300])
def test_control_inputs_of_a_law_pass(dtype, d):
    g = torch.Generator().manual_seed(3)
    target = en.published_target(torch.eye(d, dtype=dtype)[0], "sphere")
    w = en.draw_weights(8, d, g, dtype=dtype)
    X = torch.randn(50, d, dtype=dtype, generator=g)
    own = X * (d**0.5 / X.norm(dim=1, keepdim=True))  # as a user puts them there, in this precision
    assert len(en.Problem(target, w, "erf", own, own[:1], 1).X) == 50
    normal = en.published_target(torch.eye(d, dtype=dtype)[0])
    assert en.Problem(normal, w, "erf", X, X, 1, "gaussian").law == "gaussian"
    assert en.Problem(normal, w, "erf", X, own[:1], 1, "gaussian").law == "gaussian"  # one row may


# ---------------------------------------------------------------- what comes in another form


REPAIRS = [
    ("numpy X", "torch.from_numpy(X).to(torch.float32)",
     lambda p: made_of(p, X=p.X.double().numpy())),
    ("column of labels", "labels.squeeze(1)", lambda p: made_of(p, labels=p.y[:, None])),
    ("row of labels", "labels.squeeze(0)", lambda p: made_of(p, labels=p.y[None])),
    ("a whole run", "state=run.state",
     lambda p: en.train(p, start=en.train(p, t_end=2.0, n_times=3))),
    ("half precision", "X.float()", lambda p: made_of(p, X=p.X.half())),
    ("brain floats", "dtype=torch.float32", lambda p: en.dense_plus_sparse_problem(
        d=5, n=30, m=40, dtype=torch.bfloat16)),
    ("seed", "seed=5", lambda p: en.dense_plus_sparse_problem(d=5, n=30, m=40, seed=2**63 + 5)),
    ("seed of noise", "seed=0", lambda p: en.lowest_curvature(
        p.risk(), p.zero_state(), seed=2**64)),
    ("step of a flow", 'method="descent"', lambda p: en.train(p, step=5.0)),
    ("unstable step", "gradient_descent(…, allow_unstable=True)", lambda p: en.train(
        p, method="descent", step=500.0)),
    ("plane", 'weight_law="gaussian"', lambda p: en.infinite_ntk(
        torch.ones(2, 2), torch.ones(2, 2), torch.tanh)),
]  # fmt: skip


@pytest.mark.parametrize("remedy, call", [pytest.param(r, c, id=i) for i, r, c in REPAIRS])
def test_the_remedy_is_for_what_came(problem, remedy, call):
    with pytest.raises(InputError, match=SENTENCE) as caught:
        call(problem)
    assert remedy in str(caught.value).split("remedy:")[1]


# ---------------------------------------------------------------- what remedies name

ROOT = Path(en.__file__).parent
LIBRARY = ("models", "kernels", "risk", "training", "numerics")


@cache
def homes() -> dict[str, str]:
    """Names that ``dir(en)`` does not have, with the path of each."""
    found = {}
    for path in (p for package in LIBRARY for p in sorted((ROOT / package).rglob("*.py"))):
        module = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        for node in ast.parse(path.read_text("utf-8")).body:
            named = [getattr(node, "name", None)]
            if isinstance(node, ast.Assign):
                named = [getattr(target, "id", None) for target in node.targets]
            found |= {name: f"{module}.{name}" for name in named if name and name not in en.__all__}
    return found


def remedies(source: str) -> Iterator[str]:
    """What is said after "remedy" in a module: named so, or the last argument of a check."""
    for node in ast.walk(ast.parse(source)):
        said: ast.AST | None = None
        if isinstance(node, ast.keyword) and node.arg == "remedy":
            said = node.value
        elif isinstance(node, ast.Assign) and "remedy" in ast.unparse(node.targets[0]):
            said = node.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith("checks."):
            said = node.args[-1] if node.args else None
        if said is not None:
            parts = (n.value for n in ast.walk(said) if isinstance(n, ast.Constant))
            yield "".join(part for part in parts if isinstance(part, str))


def unfindable(text: str) -> list[str]:
    """Names of the package in ``text`` that neither ``dir(en)`` has nor a path leads to."""
    home = homes()
    called = re.findall(r"([\w.]*\b[A-Z]\w+|[\w.]*\b\w+(?=\())", text)
    return [name for name in called if (last := name.split(".")[-1]) in home and name != home[last]]


def test_every_name_in_a_remedy_can_be_found():
    said = [
        text
        for package in LIBRARY
        for path in sorted((ROOT / package).rglob("*.py"))
        for text in remedies(path.read_text("utf-8"))
    ]
    assert sum("PairFeatures" in text for text in said) > 3
    assert [text for text in said if unfindable(text)] == []


def test_control_a_name_without_its_path_is_caught():
    text = "use SampledLeak, sparse_part(beta), Run(saves) or escape_ntk.training.run.Run(saves)"
    assert unfindable(text) == ["SampledLeak", "sparse_part", "Run"]
    (said,) = remedies('checks.message(expected="a", got=1, remedy="raise OCTAVES")')
    assert unfindable(said) == ["OCTAVES"]


# ---------------------------------------------------------------- copies


def test_problems_and_runs_are_equal_to_themselves_alone(problem):
    run = en.train(problem, t_end=2.0, n_times=3)
    for value in (problem, run, problem.target, *problem.target.parts, en.ntk_spectrum("erf", 5)):
        other = copy.deepcopy(value)
        assert value == value and (value == other) is False and len({value, other}) == 2


@pytest.mark.parametrize("sigma", ["sigmoid(z-1)", "sin(z+pi/4)", "erf", "relu", torch.tanh])
def test_a_problem_can_be_sent_to_another_process(sigma):
    problem = en.dense_plus_sparse_problem(d=5, n=30, m=40, n_fresh=50, activation=sigma)
    sent = pickle.loads(pickle.dumps(problem))
    state = problem.zero_state() + 0.1
    assert sent.measure(state) == problem.measure(state)
    assert sent.activation.name == problem.activation.name


def test_the_first_differentiation_of_a_function_warns_of_nothing():
    code = "import torch, escape_ntk as en; en.activation(lambda z: torch.tanh(z)); print('said')"
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", code],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "said\n", done.stderr
