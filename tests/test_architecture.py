"""The house: imports go down its floors only; docstrings, file lengths, and nothing pickled."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import escape_ntk

ROOT = Path(escape_ntk.__file__).parent
MOST_LINES = 600
FLOORS = (
    {"checks"},
    {"numerics"},
    {"models"},
    {"kernels"},
    {"risk"},
    {"training"},
    {"records"},
    {"display"},
    {"study"},
    {"chapters"},
    {"__main__"},
)
"""From the ground up; a name stands for a module, or for a package with all its modules."""
PICKLERS = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def sources() -> dict[str, str]:
    """Source of each module by its name inside the package: ``"flow"``, ``"experiments.sweep"``."""
    out = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        out[name] = path.read_text(encoding="utf-8")
    return out


MODULES = sources()


def imported(source: str) -> Iterator[str]:
    """Full dotted names that a module imports, wherever the statement stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError(f"a relative import, line {node.lineno}: spell it out")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def graph(modules: dict[str, str]) -> dict[str, set[str]]:
    """Modules of the package that each module imports."""
    edges = {}
    for name, source in modules.items():
        inside = [n.split(".")[1:] for n in imported(source) if n.split(".")[0] == "escape_ntk"]
        found = set()
        for parts in inside:
            prefixes = (".".join(parts[:k]) for k in range(len(parts), 0, -1))
            found |= {next((p for p in prefixes if p in modules), "")}
        edges[name] = found - {"", name}
    return edges


def floor(module: str) -> int:
    """Number of the floor a module lives on; KeyError when it is not listed."""
    for number, names in enumerate(FLOORS):
        if module.split(".")[0] in names:
            return number
    raise KeyError(module)


def upward(edges: dict[str, set[str]]) -> list[str]:
    """Imports that do not go down; modules of one package may import each other."""
    return [
        f"{name} → {target}"
        for name, targets in edges.items()
        for target in targets
        if floor(target) >= floor(name) and target.split(".")[0] != name.split(".")[0]
    ]


# ---------------------------------------------------------------- floors


def test_every_module_has_a_floor():
    unlisted = [name for name in MODULES if name and name.split(".")[0] not in set().union(*FLOORS)]
    assert not unlisted, f"add {unlisted} to FLOORS"


def test_imports_go_down_only():
    assert upward(graph({name: s for name, s in MODULES.items() if name})) == []


def test_there_are_no_cycles():
    TopologicalSorter(graph(MODULES)).prepare()


@pytest.mark.parametrize(
    "statement",
    [
        "from escape_ntk.training.flow import gradient_flow",
        "from escape_ntk import checks, flow",
        "import escape_ntk.training.flow",
        "def late():\n    from escape_ntk import flow",
        "from escape_ntk.models.data import draw_inputs",  # the same floor is not below
    ],
)
def test_control_an_upward_import_is_caught(statement):
    fabricated = MODULES | {"network": statement}
    assert len(upward(graph({name: s for name, s in fabricated.items() if name}))) == 1


def test_control_an_unlisted_module_and_a_cycle_are_caught():
    with pytest.raises(KeyError):
        floor("attic")
    circle = {
        "experiments.a": "import escape_ntk.experiments.b",
        "experiments.b": "import escape_ntk.experiments.a",
    }
    assert upward(graph(circle)) == []
    with pytest.raises(CycleError):
        TopologicalSorter(graph(circle)).prepare()


def test_importing_the_package_imports_none_of_its_modules():
    assert graph(MODULES)[""] == set()


# ---------------------------------------------------------------- prose and size


def undocumented(source: str) -> list[str]:
    """Public functions, classes and their public methods that have no docstring."""

    def missing(body, prefix=""):
        for node in body:
            definition = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            if not definition or node.name.startswith("_"):
                continue
            if ast.get_docstring(node) is None:
                yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from missing(node.body, f"{node.name}.")

    return list(missing(ast.parse(source).body))


@pytest.mark.parametrize("name", MODULES)
def test_public_names_have_docstrings(name):
    assert undocumented(MODULES[name]) == []


@pytest.mark.parametrize("name", [name for name, source in MODULES.items() if source.strip()])
def test_modules_have_docstrings(name):
    assert ast.get_docstring(ast.parse(MODULES[name]))


def test_control_a_missing_docstring_is_caught():
    source = 'class A:\n    """a"""\n    def f(self): pass\n    def _g(self): pass\ndef h(): pass\n'
    assert undocumented(source) == ["A.f", "h"]


@pytest.mark.parametrize("name", MODULES)
def test_files_are_short(name):
    assert len(MODULES[name].splitlines()) <= MOST_LINES


# ---------------------------------------------------------------- nothing pickled


def pickling(source: str) -> list[str]:
    """Ways to read or write pickles: imports, torch.load and torch.save, allow_pickle=True."""
    found = [name for name in imported(source) if name.split(".")[0] in PICKLERS]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("torch.load", "torch.save"):
            found.append(ast.unparse(node))
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                found.append("allow_pickle")
    return found


@pytest.mark.parametrize("name", MODULES)
def test_nothing_is_pickled(name):
    assert pickling(MODULES[name]) == []


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from pickle import loads", "torch.load(f)", "np.load(f, allow_pickle=True)"],
)
def test_control_pickling_is_caught(source):
    assert len(pickling(source)) == 1


def test_control_what_is_allowed_passes():
    assert pickling("import json\nnp.load(f, allow_pickle=False)\nfeatures.load()") == []
