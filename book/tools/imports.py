"""Which module imports which, read off the sources; and the floors of the house.

The one reading of the imports: ``tests/house/test_architecture.py`` holds it to the floors, and the
page for contributors draws it (``house`` among the extensions).
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

NAME = "escape_ntk"
PACKAGE = Path(__file__).parents[2] / "src" / NAME
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

Graph = dict[str, set[str]]
"""What each module, or package, imports."""


def files(package: Path = PACKAGE) -> dict[str, Path]:
    """Every module by its name inside the package: ``"checks"``, ``"risk.leaks"``, ``""``."""
    out = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


def sources(package: Path = PACKAGE) -> dict[str, str]:
    """Source of each module by its name inside the package."""
    return {name: path.read_text("utf-8") for name, path in files(package).items()}


@cache
def imported(source: str) -> tuple[str, ...]:
    """Full dotted names that a module imports, wherever the statement stands."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError(f"a relative import, line {node.lineno}: spell it out")
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(found)


def graph(modules: Mapping[str, str]) -> Graph:
    """Modules of the package that each module imports."""
    edges = {}
    for name, source in modules.items():
        inside = [n.split(".")[1:] for n in imported(source) if n.split(".")[0] == NAME]
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


def upward(edges: Graph) -> list[str]:
    """Imports that do not go down; modules of one package may import each other."""
    return [
        f"{name} → {target}"
        for name, targets in edges.items()
        for target in targets
        if floor(target) >= floor(name) and target.split(".")[0] != name.split(".")[0]
    ]


# ---------------------------------------------------------------- packages


def between_packages(edges: Graph) -> Graph:
    """Packages, and modules that stand alone, that each of them imports; the root is none."""
    out: Graph = {}
    for name, targets in edges.items():
        own = name.split(".")[0]
        others = {target.split(".")[0] for target in targets} - {own}
        out[own] = out.get(own, set()) | others
    out.pop("", None)
    return out


def sizes(modules: Iterable[str]) -> Counter[str]:
    """Number of modules in each package; the packages themselves do not count."""
    known = set(modules)
    holding = {name.rpartition(".")[0] for name in known}
    return Counter(name.split(".")[0] for name in known - holding)


def storeys(packages: Graph) -> list[list[str]]:
    """The packages in as few storeys as have every import go down, each in the order of FLOORS."""
    height: dict[str, int] = {}
    for name in TopologicalSorter(packages).static_order():
        height[name] = 1 + max((height[below] for below in packages[name]), default=-1)
    levels: list[list[str]] = [[] for _ in range(max(height.values()) + 1)]
    for name in sorted(height, key=floor):
        levels[height[name]].append(name)
    return levels


def direct(packages: Graph) -> Graph:
    """Imports that no way over other imports leads along."""
    return {
        name: {t for t in targets if not any(t in reach(packages, o) for o in targets - {t})}
        for name, targets in packages.items()
    }


def reach(packages: Graph, start: str) -> set[str]:
    """All that ``start`` imports, and what that imports."""
    found: set[str] = set()
    queue: Iterable[str] = packages[start]
    while queue := set(queue) - found:
        found |= queue
        queue = set().union(*(packages[name] for name in queue))
    return found
