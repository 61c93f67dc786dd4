"""The page for contributors is exact: what it names is there."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest

from escape_ntk import chapters
from escape_ntk.__main__ import parser
from escape_ntk.study.plans import SCALES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "book" / "contributing.md").read_text("utf-8")

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
TESTS = {
    node.name
    for path in (ROOT / "tests").rglob("test_*.py")
    for node in ast.walk(ast.parse(path.read_text("utf-8")))
    if isinstance(node, ast.FunctionDef)
}
FILE = re.compile(r"(?:src|book|tests)/[\w./<>*-]*|_\w+\.yml|Makefile|requirements\.\w+")
DOTTED = re.compile(r"[a-z_]+(?:\.\w+)+")


def inline_code(text: str) -> list[str]:
    """What stands between single backticks, outside fenced blocks."""
    prose = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose)


def shell_lines(text: str) -> list[str]:
    """Lines of the fenced blocks of shell commands, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]


def missing_file(name: str) -> bool:
    """Whether no file has this name, with any word for what stands in <…>."""
    return not any(ROOT.glob(re.sub(r"<\w+>", "*", name)))


def unresolved(name: str) -> bool:
    """Whether ``module.name`` below ``escape_ntk`` is neither a module nor a name in one."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(["escape_ntk", *parts[:cut]]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            value = getattr(value, part, None)
        return value is None
    return True


def bad_command(line: str) -> bool:
    """Whether a shell command is not one of this repository's."""
    words = [word for word in shlex.split(line) if not re.fullmatch(r"[A-Z]+=\S*", word)]
    name, rest = Path(words[0]).name, words[1:]
    if name == "make":
        return bool(set(rest) - TARGETS)
    if name == "escape-ntk":
        try:
            asked = parser().parse_args(rest)
        except SystemExit:
            return True
        known = {experiment.name for experiment in chapters.experiments()}
        return asked.command == "run" and (asked.name not in known or asked.scale not in SCALES)
    return name not in ("python", "pre-commit", "git")


def mistakes(text: str) -> list[str]:
    """Files, commands, tests and names of the package that the text names and that do not exist."""
    found = []
    for line in filter(None, shell_lines(text)):
        for command in line.split("&&"):
            found += [command.strip()] if bad_command(command) else []
            found += [name for name in FILE.findall(command) if missing_file(name)]
    for code in inline_code(text):
        if code.startswith("make "):
            found += [code] if bad_command(code) else []
        elif FILE.fullmatch(code):
            found += [code] if missing_file(code) else []
        elif re.fullmatch(r"\w+\.py", code):  # of a chapter
            found += [code] if missing_file(f"src/escape_ntk/chapters/<chapter>/{code}") else []
        elif code.startswith("test_"):
            found += [code] if code not in TESTS else []
        elif DOTTED.fullmatch(code):
            found += [code] if unresolved(code) else []
    return found


def test_what_the_page_names_exists():
    assert len(shell_lines(TEXT)) > 10 and len(inline_code(TEXT)) > 30
    assert mistakes(TEXT) == []


@pytest.mark.parametrize(
    "broken",
    [
        "`src/escape_ntk/attic.py`",
        "`book/attic/<page>.md`",
        "`attic.py`",
        "`make attic`",
        "`test_of_nothing`",
        "`study.claims.attic`",
        "`attic.name`",
        "```sh\nmake attic\n```",
        "```sh\n.venv/bin/escape-ntk run attic\n```",
        "```sh\n.venv/bin/escape-ntk run setup --attic\n```",
        "```sh\n.venv/bin/python -m pytest tests/test_attic.py\n```",
    ],
)
def test_control_a_name_that_does_not_exist_is_found(broken):
    assert len(mistakes(f"{TEXT}\n{broken}\n")) == 1
