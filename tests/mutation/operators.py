"""Mutants of a module: one small change each, made on its syntax tree.

Excluded by rule, because no number depends on them: annotations, docstrings and other strings,
decorators, imports, what is raised or warned (that it is raised counts), and progress bars; and
``device=``, which a machine with one device cannot judge.
"""

import ast
import copy
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

BINARY = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
PAIRS = "sum:mean min:max all:any argmin:argmax cos:sin floor:ceil mul_:div_ add_:sub_ mul:div "
PAIRS += "zeros:ones zeros_like:ones_like new_zeros:new_ones log:exp minimum:maximum log1p:expm1"
SWAPPED = dict(pair.split(":") for pair in PAIRS.split())
SWAPPED |= {after: before for before, after in SWAPPED.items()}
DROPPED = set("abs clamp clamp_ sqrt rsqrt square round flip cumsum clone detach double".split())
DROPPED |= {"sort", "reversed", "sign", "ceil", "floor"}
REDUCTIONS = set("sum mean max min all any norm cumsum flatten".split())
"""Functions whose last positional argument, the axis, is dropped."""
BUILTIN = {"min", "max", "all", "any"}
SILENT_CALLS = {"message", "warn", "tqdm", "update"}
SILENT_NODES = (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)
SILENT_FIELDS = {"annotation", "returns", "decorator_list"}


@dataclass
class Mutant:
    """``parent.field[index]`` (or ``parent.field``) replaced by ``new``."""

    module: str
    function: str
    """The dotted name of the enclosing function or class, empty at module level."""
    statement: ast.stmt
    before: str
    after: str
    parent: ast.AST = field(repr=False)
    place: tuple[str, int | None]
    new: ast.AST = field(repr=False)
    span: tuple[int, int]
    """First and last line whose execution reaches the change."""
    body: tuple[int, int]
    """First and last line of the enclosing function's body, (0, 0) outside functions."""
    key: str = ""

    @contextmanager
    def applied(self):
        """The tree with this change, undone on leaving."""
        name, index = self.place
        old = getattr(self.parent, name)
        if index is None:
            setattr(self.parent, name, self.new)
        else:
            setattr(self.parent, name, [*old[:index], self.new, *old[index + 1 :]])
        yield
        setattr(self.parent, name, old)


def mutants(module: str, tree: ast.Module) -> list[Mutant]:
    """Every mutant of the module; equal texts of one statement once, each with a stable key."""
    out, seen = [], set()
    for mutant in _below(module, tree, tree, "", (0, 0)):
        original = ast.unparse(mutant.statement)
        with mutant.applied():
            whole = isinstance(mutant.new, ast.stmt)
            text = ast.unparse(mutant.new if whole else mutant.statement)
        if text == original or (id(mutant.statement), text) in seen:
            continue
        seen.add((id(mutant.statement), text))
        label = "\n".join((module, mutant.function, original, mutant.before, mutant.after, text))
        again = sum(m.key.startswith(_digest(label)) for m in out)
        mutant.key = _digest(label) + (f"-{again}" if again else "")
        out.append(mutant)
    return out


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _below(module, node: ast.AST, statement: ast.AST, function: str, body) -> Iterator[Mutant]:
    """Mutants of the children of ``node``, each followed by those below it."""
    for name, value in ast.iter_fields(node):
        if name in SILENT_FIELDS:
            continue
        children = value if isinstance(value, list) else [value]
        for index, child in enumerate(children):
            if not isinstance(child, ast.AST):
                continue
            inner = child if isinstance(child, ast.stmt) else statement
            place = (name, index if isinstance(value, list) else None)
            for new in alternatives(child):
                new = ast.fix_missing_locations(ast.copy_location(new, child))
                texts = ast.unparse(child), ast.unparse(new)
                span = _span(inner, child)
                yield Mutant(module, function, inner, *texts, node, place, new, span, body)
            if not _silent(child):
                below = function, body
                if isinstance(child, ast.FunctionDef | ast.ClassDef):
                    lines = child.body[0].lineno, child.end_lineno
                    is_class = isinstance(child, ast.ClassDef)
                    below = f"{function}.{child.name}".lstrip("."), (0, 0) if is_class else lines
                yield from _below(module, child, inner, *below)


def _span(statement: ast.AST, node: ast.AST) -> tuple[int, int]:
    whole = node if hasattr(statement, "body") and hasattr(node, "lineno") else statement
    return whole.lineno, whole.end_lineno


def _silent(node: ast.AST) -> bool:
    documents = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return documents or isinstance(node, SILENT_NODES) or _called(node) in SILENT_CALLS


def _called(node: ast.AST) -> str:
    """The last name of the function that is called, empty for what is no call."""
    function = node.func if isinstance(node, ast.Call) else None
    return getattr(function, "attr", getattr(function, "id", ""))


def _changed(node: ast.AST, **fields) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def alternatives(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of ``node``."""
    yield from _statements(node)
    if _silent(node):
        return
    match node:
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in BINARY:
            yield _changed(node, op=BINARY[type(op)]())
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
            yield operand
        case ast.Compare(ops=[first, *rest]):
            for other in COMPARISONS[type(first)]:
                yield _changed(node, ops=[other(), *rest])
            for other in COMPARISONS[type(rest[-1])] if rest else ():
                yield _changed(node, ops=[first, *rest[:-1], other()])
        case ast.BoolOp(op=op):
            yield _changed(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
        case ast.Constant(value=bool(value)):
            yield _changed(node, value=not value)
        case ast.Constant(value=int(value)):
            yield from (_changed(node, value=value + 1), _changed(node, value=value - 1))
        case ast.Constant(value=float(value)):
            yield _changed(node, value=value + 1)
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            if not isinstance(test, ast.Compare | ast.UnaryOp):  # those are negated themselves
                yield _changed(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Slice(lower=lower, upper=upper, step=step):
            for name, bound in (("lower", lower), ("upper", upper), ("step", step)):
                if bound is not None:
                    yield _changed(node, **{name: None})
        case ast.Attribute(attr="T", value=value):
            yield value
        case ast.Call():
            yield from _calls(node)


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    name, on = _called(node), getattr(node.func, "value", None)
    free = on is None or (isinstance(on, ast.Name) and on.id in ("math", "np", "torch"))
    if name in SWAPPED and (on or name in BUILTIN):
        renamed = {"attr": SWAPPED[name]} if on else {"id": SWAPPED[name]}
        yield _changed(node, func=_changed(node.func, **renamed))
    if name in DROPPED:
        yield node.args[0] if free else on
    if name in REDUCTIONS and len(node.args) > free:
        yield _changed(node, args=node.args[:-1])
    for i, keyword in enumerate(node.keywords):
        if keyword.arg != "device":
            yield _changed(node, keywords=node.keywords[:i] + node.keywords[i + 1 :])


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Expr(value=ast.Call() as call) if _called(call) not in SILENT_CALLS:
            yield ast.Pass()
        case ast.Raise() | ast.AugAssign():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.Return(value=ast.expr()):
            yield ast.Return(ast.Constant(None))
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
