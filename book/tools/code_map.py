"""What code a run uses, and which tests exercise it: read off the sources, never listed.

What a class of runs *uses* are the functions and classes of the library that its methods reach,
through its base classes and through helpers of the chapters.  A test file *exercises* a module if
it imports it or a name from it, and a class or function if it also mentions that name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import imports

BOOK = ("chapters.", "study.")
"""Whatever stands here is walked through: it makes the book, and is no library."""
PLUMBING = ("checks", "records.store", "study.point", "study.sweep", "study.plans")
"""Modules that every run touches: they refuse input and store results."""

Name = tuple[str, str]
"""A module inside the package and a name at its top level: ``("flow", "gradient_flow")``."""


@dataclass(frozen=True)
class Module:
    """A module's top-level definitions and what its imported names stand for."""

    definitions: Mapping[str, ast.AST]
    imported: Mapping[str, Name]
    """Local name → (module, name); the name is empty for a module itself."""


def modules(package: Path) -> dict[str, Module]:
    """Every module below the folder ``package``, by its name inside it: ``"risk.leaks"``."""
    files = imports.files(package)
    return {name: _module(path, set(files)) for name, path in files.items()}


def _module(path: Path, known: set[str]) -> Module:
    tree = ast.parse(path.read_text("utf-8"))
    definitions = {
        node.name: node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))
    }
    return Module(definitions, dict(_imports(tree, known)))


def _imports(tree: ast.AST, known: set[str]) -> Iterator[tuple[str, Name]]:
    """(local name, what it stands for) for each import from the package, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == imports.NAME:
            inside = (node.module or "")[len(imports.NAME) + 1 :]
            for alias in node.names:
                full = f"{inside}.{alias.name}".lstrip(".")
                target = (full, "") if full in known else (inside, alias.name)
                yield alias.asname or alias.name, target
        elif isinstance(node, ast.Import):
            for alias in node.names:
                inside = alias.name[len(imports.NAME) + 1 :]
                if alias.name.split(".")[0] == imports.NAME and inside in known:
                    yield alias.asname or alias.name, (inside, "")


def uses(start: Name, found: Mapping[str, Module]) -> list[Name]:
    """What the class ``start`` uses of the library, sorted."""
    seen, queue, out = set(), [start], set()
    while queue:
        module, name = queue.pop()
        node = found[module].definitions.get(name) if module in found else None
        if (module, name) in seen or node is None:
            continue
        seen.add((module, name))
        for target in _mentions(node, module, found[module]):
            inside = target[0].startswith(BOOK) and target[0] not in PLUMBING
            (queue.append if inside else out.add)(target)
    return sorted(t for t in out if t[0] not in PLUMBING and _defined(t, found))


def _defined(target: Name, found: Mapping[str, Module]) -> bool:
    return target[0] in found and target[1] in found[target[0]].definitions


def _mentions(node: ast.AST, module: str, content: Module) -> Iterator[Name]:
    """Names of the package that the source of a definition mentions."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            if part.id in content.definitions:
                yield module, part.id
            elif part.id in content.imported and content.imported[part.id][1]:
                yield content.imported[part.id]
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            target = content.imported.get(part.value.id)
            if target and not target[1]:
                yield target[0], part.attr


@dataclass(frozen=True)
class Exercise:
    """What one test file exercises."""

    modules: frozenset[str]
    names: frozenset[Name]


def exercises(tests: Path, found: Mapping[str, Module]) -> dict[str, Exercise]:
    """Test file, relative to the folder ``tests``, → what it exercises."""
    out = {}
    for path in sorted(tests.rglob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        imported = dict(_imports(tree, set(found)))
        mentioned = set(_mentions(tree, "", Module({}, imported)))
        names = {target for target in mentioned if _defined(target, found)}
        inside = {module for module, _ in imported.values()} | {module for module, _ in names}
        out[path.relative_to(tests).as_posix()] = Exercise(frozenset(inside), frozenset(names))
    return out


def tests_of(name: Name, found: Mapping[str, Exercise]) -> list[str]:
    """Test files that mention ``name``; where none does, those that exercise its module."""
    direct = [file for file, exercise in found.items() if name in exercise.names]
    return direct or [file for file, exercise in found.items() if name[0] in exercise.modules]
