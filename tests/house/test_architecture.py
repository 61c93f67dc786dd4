"""The house: imports go down its floors only; docstrings, file lengths, and nothing pickled."""

import ast
import pkgutil
import re
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
    {"records"},
    {"display"},
    {"models"},
    {"kernels"},
    {"risk"},
    {"training"},
    {"study"},
    {"chapters"},
    {"__main__"},
)
"""From the ground up; a name stands for a module, or for a package with all its modules."""
PICKLERS = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def sources() -> dict[str, str]:
    """Source of each module by its name inside the package: ``"checks"``, ``"risk.leaks"``."""
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
        "from escape_ntk.training import flow",
        "import escape_ntk.training.flow",
        "def late():\n    from escape_ntk.training import flow",
        "from escape_ntk import chapters",
    ],
)
def test_control_an_upward_import_is_caught(statement):
    fabricated = MODULES | {"models.network": statement}
    assert len(upward(graph({name: s for name, s in fabricated.items() if name}))) == 1


def test_control_an_unlisted_module_and_a_cycle_are_caught():
    with pytest.raises(KeyError):
        floor("attic")
    circle = {"study.a": "import escape_ntk.study.b", "study.b": "import escape_ntk.study.a"}
    assert upward(graph(circle)) == []
    with pytest.raises(CycleError):
        TopologicalSorter(graph(circle)).prepare()


def test_importing_the_package_imports_none_of_its_modules():
    assert graph(MODULES)[""] == set()


# ---------------------------------------------------------------- chapters

NEIGHBOURS = {("landscape", "regularizer"), ("regularizer", "published_figure")}
"""(a, b): chapter a goes on with the runs of chapter b; no other chapter imports another."""
DRAWS = ("figures", "widget")
"""Modules of a chapter that turn records into pictures, and know neither runs nor claims."""


def strange_in_chapters(edges: dict[str, set[str]]) -> list[str]:
    """Imports between chapters, and of runs or claims by what draws."""
    found = []
    for name, targets in edges.items():
        for target in targets:
            own, other = name.split("."), target.split(".")
            if own[0] != "chapters" or other[0] != "chapters" or len(own) < 3 or len(other) < 3:
                continue
            strange = own[1] != other[1] and (own[1], other[1]) not in NEIGHBOURS
            strange |= own[2] in DRAWS and other[2] in ("runs", "claims", "page")
            strange |= own[2] in ("runs", "claims") and other[2] in ("page", "figures", "theorems")
            found += [f"{name} → {target}"] if strange else []
    return sorted(found)


def test_chapters_keep_to_themselves_and_figures_compute_nothing():
    assert strange_in_chapters(graph(MODULES)) == []


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("joint.runs", "from escape_ntk.chapters.mlp import runs"),
        ("joint.figures", "from escape_ntk.chapters.joint.runs import Gap"),
        ("joint.figures", "from escape_ntk.chapters.joint.claims import gaps"),
        ("joint.claims", "from escape_ntk.chapters.joint import page"),
    ],
)
def test_control_a_strange_import_in_a_chapter_is_caught(module, statement):
    fabricated = MODULES | {f"chapters.{module}": statement}
    assert len(strange_in_chapters(graph(fabricated))) == 1


def twins(modules: dict[str, str]) -> list[str]:
    """Names of more than one module outside the folders of chapters."""
    own = [name for name in modules if not name.startswith("chapters.")]
    last = [name.split(".")[-1] for name in own]
    return sorted({name for name in last if last.count(name) > 1})


def test_no_two_modules_have_one_name_outside_chapters():
    assert twins(MODULES) == []
    assert twins(MODULES | {"kernels.leaks": ""}) == ["leaks"]  # the control


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


NAMED = re.compile(r"[`<]~?(escape_ntk(?:\.\w+)+)[`>]")
"""A dotted name in prose, as code or as the target of a role."""


def dangling(text: str) -> list[str]:
    """Dotted names of this package that lead to nothing; a field without a value is something."""
    found = []
    for name in NAMED.findall(text):
        owner, _, last = name.rpartition(".")
        try:
            if last not in getattr(pkgutil.resolve_name(owner), "__annotations__", ()):
                pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            found.append(name)
    return found


@pytest.mark.parametrize("name", MODULES)
def test_names_in_prose_lead_somewhere(name):
    assert dangling(MODULES[name]) == []


@pytest.mark.parametrize("page", sorted(ROOT.parents[1].glob("book/*.md")), ids=lambda p: p.stem)
def test_names_on_pages_lead_somewhere(page):
    assert dangling(page.read_text(encoding="utf-8")) == []


def test_control_a_name_that_has_moved_is_caught():
    text = "`escape_ntk.experiments`, :class:`the pair <escape_ntk.risk.problem.Pair>`"
    assert dangling(text) == ["escape_ntk.experiments", "escape_ntk.risk.problem.Pair"]


def test_control_names_that_stand_pass():
    text = "`escape_ntk.risk`, :class:`~escape_ntk.risk.problem.Problem.weights`"
    assert dangling(text) == []
