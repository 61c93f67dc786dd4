"""The house: imports go down its floors only; docstrings, file lengths, and nothing pickled."""

import ast
import pkgutil
import re
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from xml.etree import ElementTree

import pytest

import escape_ntk

sys.path.append(str(Path(escape_ntk.__file__).parents[2] / "book/tools"))

from imports import (
    FLOORS,
    between_packages,
    direct,
    floor,
    graph,
    imported,
    sources,
    storeys,
    upward,
)
from plan import drawn

ROOT = Path(escape_ntk.__file__).parent
MOST_LINES = 600
MOST_LINES_OF_AN_EXTENSION = 200
PICKLERS = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


MODULES = sources(ROOT)


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


# ---------------------------------------------------------------- its plan

PACKAGES = between_packages(graph(MODULES))


def lines(svg: str) -> tuple[list[str], list[float], int]:
    """Names of the rooms of a plan, their heights, and the number of its arrows."""
    root = ElementTree.fromstring(svg)
    rooms = [e for e in root if e.get("class") == "name"]
    arrows = [e for e in root if e.get("class") == "head"]
    return [e.text for e in rooms], [float(e.get("y")) for e in rooms], len(arrows)


def test_the_plan_has_every_package_above_what_it_imports():
    names, heights, arrows = lines(drawn(PACKAGES, dict.fromkeys(PACKAGES, 1)))
    assert set(names) == set().union(*FLOORS)
    top = dict(zip(names, heights, strict=True))
    assert all(top[a] < top[b] for a, targets in PACKAGES.items() for b in targets)
    assert arrows == sum(map(len, direct(PACKAGES).values())) >= len(PACKAGES) - 1


def test_what_the_plan_leaves_out_can_be_reached():
    """Over the arrows alone every import is found again, and no other."""

    def below(edges, name):
        return edges[name].union(*(below(edges, other) for other in edges[name]))

    assert all(below(direct(PACKAGES), name) == below(PACKAGES, name) for name in PACKAGES)


def test_control_a_new_import_changes_the_plan():
    """Of `training` by `kernels`, which it stands below."""
    more = between_packages(graph(MODULES | {"kernels.ntk": "import escape_ntk.training.run"}))
    number = {name: n for n, names in enumerate(storeys(more)) for name in names}
    assert number["kernels"] > number["training"]
    sizes = dict.fromkeys(more, 1)
    assert drawn(more, sizes) != drawn(PACKAGES, sizes)


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


EXTENSIONS = sorted((ROOT.parents[1] / "book/_ext").glob("*.py"))


@pytest.mark.parametrize("path", EXTENSIONS, ids=lambda path: path.stem)
def test_extensions_of_the_book_are_short_and_say_what_was_looked_at(path):
    """Extensions alone stand there: what they read and build with is in book/tools."""
    source = path.read_text("utf-8")
    assert len(source.splitlines()) <= MOST_LINES_OF_AN_EXTENSION
    assert "def setup(app)" in source
    assert "\n\nLooked at: " in ast.get_docstring(ast.parse(source))


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
