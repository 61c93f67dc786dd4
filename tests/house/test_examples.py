"""The package reference: every public name is shown, exampled and documented.

Rules, each with a control on a made module that breaks it:

* every module below ``escape_ntk`` is on a page of the reference, or in its list of machinery;
* the example of a module runs, uses every public name of it, and fails when the module is wrong;
* every public name has a docstring; it names the typed errors and warnings that the code behind the
  name raises, and carries a source tag where it states mathematics.
"""

import ast
import doctest
import importlib
import re
import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import escape_ntk
from escape_ntk import checks
from escape_ntk.risk.good_directions import GoodDirections
from escape_ntk.risk.top_directions import top_directions

ROOT = Path(__file__).parents[2]
PACKAGE = Path(escape_ntk.__file__).parent
REFERENCE = ROOT / "book" / "reference"
EXAMPLES = REFERENCE / "examples"
AUTOMODULE = re.compile(r"^\.\. automodule:: escape_ntk\.([\w.]+)$", re.MULTILINE)
INCLUDED = re.compile(r"^ +\.\. literalinclude:: examples/(\w+)\.py$", re.MULTILINE)
HOUSE = re.compile(r"^\.\. house:: (.+)$", re.MULTILINE)
PAGES = {path.stem: path.read_text("utf-8") for path in sorted(REFERENCE.glob("*.md"))}
LIBRARY = [name for text in PAGES.values() for name in AUTOMODULE.findall(text)]

Function = ast.FunctionDef | ast.AsyncFunctionDef


def source_of(module: str) -> str:
    """The source of a module."""
    return (PACKAGE / f"{module.replace('.', '/')}.py").read_text("utf-8")


def example_of(module: str) -> Path:
    """The example of a module."""
    return EXAMPLES / f"{module.rpartition('.')[2]}.py"


SOURCES = {name: source_of(name) for name in LIBRARY}


@pytest.fixture(scope="module")
def house(extensions):
    """The Sphinx extension that lists the modules."""
    return importlib.import_module("house")


@pytest.fixture(scope="module")
def docstrings(extensions):
    """What the reference makes of docstrings."""
    return importlib.import_module("docstrings")


# ---------------------------------------------------------------- public names


@dataclass(frozen=True)
class Public:
    """A public name with its docstring and those that it may lean on."""

    name: str
    node: ast.AST
    doc: str
    owner: str
    """Docstring of its class, if it is a method."""


def assigned(node: ast.stmt) -> list[str]:
    """Names that a statement assigns to."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def string_after(body: list[ast.stmt], place: int) -> str:
    """The string that follows a constant, where Python keeps no docstring."""
    following = body[place + 1] if place + 1 < len(body) else None
    value = getattr(following, "value", None) if isinstance(following, ast.Expr) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def public_names(source: str) -> Iterator[Public]:
    """Functions, classes with their methods and properties, and constants without ``_``."""
    body = ast.parse(source).body
    for place, node in enumerate(body):
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            doc = ast.get_docstring(node) or ""
            yield Public(node.name, node, doc, "")
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, Function) and not inner.name.startswith("_"):
                    own = ast.get_docstring(inner) or ""
                    yield Public(f"{node.name}.{inner.name}", inner, own, doc)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for name in assigned(node):
                if not name.startswith("_"):
                    yield Public(name, node, string_after(body, place), "")


def used_names(example: str) -> set[str]:
    """Names and attributes that an example uses; what it only imports is not used."""
    tree = ast.walk(ast.parse(example))
    return {getattr(node, "attr", getattr(node, "id", "")) for node in tree} - {""}


def unused(module: str, example: str) -> list[str]:
    """Public names of a module (its source) that do not occur in its example."""
    used = used_names(example)
    return [p.name for p in public_names(module) if p.name.split(".")[-1] not in used]


# ---------------------------------------------------------------- what docstrings owe

TYPED = {
    name
    for name, value in vars(checks).items()
    if isinstance(value, type) and issubclass(value, checks.EscapeNTKError | UserWarning)
}
"""The errors and warnings of :mod:`escape_ntk.checks`."""
TAG = re.compile(r"\[[ACLDMR]\]")
VERBATIM = re.compile(r"``.+?``|:\w+:`[^`]+`", re.DOTALL)
RELATION = re.compile(r"[=≤≥→∝~∈]")
SYMBOL = re.compile(r"[_^²³√ΣΠ∇‖·∂∞⟨α-ωΑ-Ω]")
"""A sentence with both states mathematics."""


def last_name(node: ast.AST) -> str:
    """``InputError`` of ``checks.InputError(…)``."""
    node = node.func if isinstance(node, ast.Call) else node
    return getattr(node, "attr", getattr(node, "id", ""))


def raised(node: ast.AST, helpers: dict[str, ast.AST], seen: frozenset[str] = frozenset()):
    """Typed errors and warnings raised in ``node``, or in the private helpers that it calls."""
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Raise) and inner.exc is not None:
            found.add(last_name(inner.exc))
        elif isinstance(inner, ast.Call):
            name = last_name(inner)
            if name == "warn":
                found |= {last_name(argument) for argument in inner.args}
            elif name in helpers and name not in seen:
                found |= raised(helpers[name], helpers, seen | {name})
    return found & TYPED


def private_helpers(tree: ast.Module) -> dict[str, ast.AST]:
    """Functions, methods and classes of a module whose names begin with one ``_``."""
    return {
        node.name: node
        for node in ast.walk(tree)
        if isinstance(node, Function | ast.ClassDef)
        and node.name.startswith("_")
        and not node.name.startswith("__")
    }


def own_code(public: Public, helpers: dict[str, ast.AST]) -> list[ast.AST]:
    """The code that a name stands for: of a class what runs when an object is made."""
    if not isinstance(public.node, ast.ClassDef):
        return [public.node]
    bases = [helpers[last_name(base)] for base in public.node.bases if last_name(base) in helpers]
    return [
        inner
        for owner in (public.node, *bases)
        for inner in owner.body
        if isinstance(inner, Function) and inner.name in ("__init__", "__post_init__", "__call__")
    ]


def states_mathematics(doc: str) -> bool:
    """Whether a docstring, literals left out, has a relation sign and a mathematical symbol."""
    prose = VERBATIM.sub("", doc)
    return bool(RELATION.search(prose) and SYMBOL.search(prose))


def covering_tags(tree: ast.Module) -> set[str]:
    """The one tag of a module's docstring, which then covers the module; two cover nothing."""
    tags = set(TAG.findall(ast.get_docstring(tree) or ""))
    return tags if len(tags) == 1 else set()


def debts(source: str) -> list[str]:
    """What the docstrings of a module's public names leave out."""
    tree = ast.parse(source)
    helpers, covered, found = private_helpers(tree), covering_tags(tree), []
    for public in public_names(source):
        if not public.doc:
            found.append(f"{public.name}: no docstring")
            continue
        both = public.doc + public.owner
        errors = set().union(*(raised(code, helpers) for code in own_code(public, helpers)))
        words = set(re.findall(r"\w+", both))
        found += [f"{public.name}: raises {name}, unsaid" for name in sorted(errors - words)]
        if states_mathematics(public.doc) and not covered and not TAG.search(both):
            found.append(f"{public.name}: mathematics without a source tag")
    return found


# ---------------------------------------------------------------- the tests

MODULES = pytest.mark.parametrize("name", LIBRARY)


def test_every_module_is_in_the_reference_once(house):
    inside = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")]
    modules = {".".join(p.with_suffix("").parts) for p in inside if p.name != "__init__.py"}
    library = {name for name in modules if name.split(".")[0] not in house.MACHINERY}
    shown = {name for name in LIBRARY if name.split(".")[0] not in house.MACHINERY}
    assert shown == library and len({*LIBRARY}) == len(LIBRARY)
    listed = [name for names in HOUSE.findall(PAGES["index"]) for name in names.split()]
    assert sorted(listed) == sorted([*LIBRARY, *house.MACHINERY])
    assert all(house.first_lines(name) for name in listed)


def test_every_page_shows_the_example_of_each_of_its_modules():
    for text in PAGES.values():
        assert [example_of(n).stem for n in AUTOMODULE.findall(text)] == INCLUDED.findall(text)
    assert {*EXAMPLES.glob("*.py")} == {example_of(name) for name in LIBRARY}


@MODULES
def test_an_example_runs(name):
    runpy.run_path(str(example_of(name)))


@MODULES
def test_an_example_uses_every_public_name(name):
    assert unused(SOURCES[name], example_of(name).read_text("utf-8")) == []


@MODULES
def test_docstrings_name_errors_and_sources(name):
    assert debts(SOURCES[name]) == []


@MODULES
def test_examples_inside_docstrings_are_true(name):
    assert doctest.testmod(importlib.import_module(f"escape_ntk.{name}")).failed == 0


# ---------------------------------------------------------------- negative controls


def wrong(value):
    """In the place of a function: one that always returns ``value``."""
    return lambda *args, **kwargs: value


def scaled(name: str, module: str, factor: float = 1.1):
    """In the place of a function: its result times ``factor``."""
    own = getattr(importlib.import_module(f"escape_ntk.{module}"), name)
    return lambda *args, **kwargs: own(*args, **kwargs) * factor


class Toothless(GoodDirections):
    """A penalty that is always 0."""

    def __call__(self, *args, **kwargs):
        return 0 * super().__call__(*args, **kwargs)


HERMITE = scaled("normalized_hermite", "numerics.polynomials")
HARMONIC = scaled("represent_harmonic", "risk.constructions", 2.0)
NO_PAIRS = wrong((torch.zeros(2).double(), torch.zeros(2, 2, 6)))
MUTANTS = {
    "checks": ("even_width", wrong(5)),
    "numerics.polynomials": (
        "normalized_hermite",
        HERMITE,
    ),
    "numerics.stats": ("log_slope", wrong(-0.6)),
    "numerics.eigenpairs": (
        "leading_eigenpairs",
        wrong((torch.zeros(1000).double(), torch.zeros(1000, 20).double())),
    ),
    "numerics.lanczos": (
        "extreme_eigenpairs",
        wrong((torch.zeros(2).double(), torch.zeros(2, 2, 6))),
    ),
    "chapters.published_figure.digitised": ("penalty", wrong(5.0)),
    "models.data": ("dense_plus_sparse", wrong(None)),
    "models.images": ("balanced_rows", wrong([torch.zeros(6, dtype=torch.int64)] * 2)),
    "models.made_images": ("NOISE", 41.0),
    "models.network": ("gaussian_mean_square", wrong(2.0)),
    "models.taylor": ("remainder", wrong(torch.ones(6, dtype=torch.float64))),
    "models.pairs": ("from_pairs", wrong(torch.zeros(10, 3, dtype=torch.float64))),
    "models.modules": ("empirical_leak", wrong(torch.zeros(()))),
    "models.composites": ("COMPOSITES", {}),
    "models.private_copy": ("_inside", wrong(torch.nn.Linear(3, 1).double())),
    "models.random_states": ("same_states", wrong(True)),
    "models.row_function": ("close", wrong(True)),
    "models.derivatives": ("_dot", wrong(torch.zeros((), dtype=torch.float64))),
    "models.route_trial": ("_ROUNDING", {torch.float32: 1e9, torch.float64: 1e9}),
    "models.linear_maps": ("pulled", wrong(torch.zeros(21, dtype=torch.float64))),
    "kernels.ntk": ("infinite_ntk", scaled("infinite_ntk", "kernels.ntk")),
    "kernels.spectrum": ("marchenko_pastur", scaled("marchenko_pastur", "kernels.spectrum")),
    "risk.leaks": ("SphereLeak", importlib.import_module("escape_ntk.risk.leaks").GaussianLeak),
    "risk.constructions": (
        "represent_harmonic",
        scaled("represent_harmonic", "risk.constructions", 2.0),
    ),
    "risk.projectors": ("spectral_steps", wrong([1])),
    "risk.top_directions": ("last_step", wrong(1)),
    "risk.good_directions": (
        "top_directions",
        lambda features, n_k, **asked: top_directions(features, 1, **asked),
    ),
    "risk.problem": ("mean_square", wrong(0.0)),
    "risk.regularizer": (
        "norm_2_4_to_the_4",
        wrong((torch.ones(()).double(), torch.zeros(2, 5, 4).double())),
    ),
    "training.run": ("Run", wrong(importlib.import_module("escape_ntk.training.run").UNSAVED)),
    "training.trajectory": ("log_times", scaled("log_times", "training.trajectory")),
    "numerics.rkc": ("block_rms", wrong(torch.ones(1))),
    "training.descent": ("stability_limit", scaled("stability_limit", "training.descent")),
    "training.train": ("integer_times", wrong(np.array([0.0, 1.0]))),
    "training.scan": ("GoodDirections", Toothless),
    "training.flow": ("RADIUS_SAFETY", 0.5),
    "training.curvature": ("curvature_floor", wrong(0.0)),
    "risk.generalization": ("radius", wrong(1.0)),
    "risk.guarantee": ("required_width", wrong(5.0)),
}
"""For each module something wrong, at which its example must fail."""


def test_every_example_has_a_mutant():
    assert MUTANTS.keys() == set(LIBRARY)


@MODULES
def test_control_an_example_fails_on_a_wrong_module(name, monkeypatch):
    attribute, value = MUTANTS[name]
    monkeypatch.setattr(importlib.import_module(f"escape_ntk.{name}"), attribute, value)
    with pytest.raises(AssertionError):
        runpy.run_path(str(example_of(name)))


MADE = '''
"""A made module.  Source: [D] for this, [L] for that."""

LIMIT = 3

def undocumented(x): pass

def silent(x):
    """Return x if it is small."""
    _refuse(x)

def _refuse(x):
    raise checks.RankError("no")

def quiet(x):
    """A number near x."""
    warnings.warn("cut", checks.CutoffWarning, stacklevel=2)

def sourceless(x):
    """λ = Σ_j x_j."""

class Thing:
    """A thing."""
    def __init__(self): raise InputError("no")
    def method(self): pass
'''
SOUND = '''
"""A made module.  Source: [D] for this, [L] for that."""

LIMIT = 3
"""Where it ends."""

def told(x):
    """λ = Σ_j x_j, or :class:`~escape_ntk.checks.RankError`.  [L]"""
    _refuse(x)

def _refuse(x):
    raise checks.RankError("no")

class Thing:
    """A thing, u = 2v_j.  [D]  Raises :class:`~escape_ntk.checks.InputError`."""
    def __init__(self): raise InputError("no")
    def method(self):
        """v_j = u/2."""
'''


def test_control_what_docstrings_leave_out_is_found():
    assert debts(SOUND) == []
    assert debts(MADE) == [
        "LIMIT: no docstring",
        "undocumented: no docstring",
        "silent: raises RankError, unsaid",
        "quiet: raises CutoffWarning, unsaid",
        "sourceless: mathematics without a source tag",
        "Thing: raises InputError, unsaid",
        "Thing.method: no docstring",
    ]
    one_source = MADE.replace("[D] for this, [L] for that", "[D]")
    assert "sourceless: mathematics without a source tag" not in debts(one_source)


def test_control_a_name_that_an_example_does_not_use_is_found():
    example = "from made import LIMIT, Thing, told\n\nassert told(LIMIT)\n# Thing, method\n'Thing'"
    assert unused(SOUND, example) == ["Thing", "Thing.method"]
    assert unused(SOUND, "import made\n\nmade.told(made.LIMIT, made.Thing().method())") == []


# ---------------------------------------------------------------- docstrings on the page


def test_formulas_keep_their_lines_and_letters(docstrings):
    lines = ["Put |x|² = d, f* and *this*, with ``a_b``:", "f_L = σ'(x),", "and what follows."]
    assert docstrings.restructured(lines, 96)[:3] == [
        "| Put \\|x\\|² = d, f\\* and *this*, with ``a_b``:",
        "| f\\_L = σ\N{PRIME}(x),",
        "| and what follows.",
    ]
    filled = ["word " * 18 + "word", "goes on."]  # the next word did not fit
    assert docstrings.restructured(filled, 96)[0] == filled[0]


@pytest.mark.parametrize(
    "text, scripts",
    [
        ("f_L, m^{−1/2} and x_ix_iᵀ", ["L", "−1/2", "i", "i"]),
        ("λ_min, G_rs, max_r, d^k, P_{≤k}", ["min", "rs", "r", "k", "≤k"]),
        ("requires_grad, _private, load_digits", []),
        ("ζ_{(n_k+1)}", ["(n_k+1)"]),
    ],
)
def test_indices_and_exponents_are_found(docstrings, text, scripts):
    assert [part for kind, part in docstrings.split_scripts(text) if kind] == scripts
