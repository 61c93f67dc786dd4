"""The concordance: statement → claim → record → code → test, made anew at every build.

``{concordance} theorems|statements|experiments|functions`` shows one of its four tables.  What
dangles (see :func:`problems`) is a warning at the first of them, hence an error of the build.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

import claims_roles
import code_map
import hypotheses
import statements
import tables
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from tables import Row

from escape_ntk import chapters
from escape_ntk.study.theorems import summary

BOOK = "book"
KINDS = ("theorems", "statements", "experiments", "functions")


@dataclass(frozen=True)
class Evidence:
    """All that the concordance is made from."""

    root: Path
    pages: Mapping[str, statements.Page]
    ledger: Mapping[str, Mapping]
    modules: Mapping[str, code_map.Module]
    tests: Mapping[str, code_map.Exercise]
    assumed: Collection[str]
    """Labels of the statements whose hypotheses are registered."""
    experiments: Mapping[str, code_map.Name]
    """Experiment → the class that computes its records."""

    @cached_property
    def statements(self) -> list[statements.Statement]:
        """All statements, in the order of the book."""
        return [statement for page in self.pages.values() for statement in page.statements]

    @cached_property
    def functions(self) -> list[code_map.Name]:
        """What the experiments use of the package, sorted."""
        classes = self.experiments.values()
        return sorted({used for name in classes for used in code_map.uses(name, self.modules)})

    def folders(self, claim: str) -> list[str]:
        """Folders of the records that a claim, or its control, rests on."""
        return sorted({record.split("/")[0] for record in self.ledger[claim]["record"]})


def gather(root: Path, ledger: Mapping[str, Mapping]) -> Evidence:
    """The evidence in the checkout ``root`` with an evaluated ``ledger``, rows by their id."""
    found = code_map.modules(root / "src" / code_map.PACKAGE)
    return Evidence(
        root=root,
        pages=statements.pages(root),
        ledger=ledger,
        modules=found,
        tests=code_map.exercises(root / "tests", found),
        assumed=tuple(chapters.theorems()),
        experiments={name: place(kind) for name, kind in chapters.kinds().items()},
    )


def place(kind: type) -> code_map.Name:
    """A class by its module inside the package, and its name."""
    return kind.__module__.removeprefix(f"{code_map.PACKAGE}."), kind.__name__


def home(row: Mapping) -> str:
    """The page on which a claim has to stand."""
    return f"{BOOK}/{row['chapter']}"


def problems(evidence: Evidence) -> list[str]:
    """What dangles, in words; empty when every thread is tied."""
    loose = (_loose_statements, _loose_hypotheses, _loose_claims, _loose_code)
    return [problem for find in loose for problem in find(evidence)]


def _loose_statements(evidence: Evidence) -> Iterator[str]:
    for statement in evidence.statements:
        where = f"{statement.page}.md:{statement.line}: {statement.kind} {statement.title!r}"
        if statement.label is None:
            yield f"{where} has no :label:"
        if not statement.claims and statement.reason is None:
            yield f"{where} has neither a claim nor a source tag [D] or [L] that stands for one"
        for claim in {*statement.claims, *statement.beside} - set(evidence.ledger):
            yield f"{where} names the claim {claim!r}, which the ledger does not have"


def _loose_hypotheses(evidence: Evidence) -> Iterator[str]:
    formal = {s.label: s for s in evidence.statements if s.formal and s.label}
    for label in formal.keys() - {*evidence.assumed}:
        where = f"{formal[label].page}.md:{formal[label].line}"
        yield f"{where}: no chapter says what {label} assumes (theorems.py)"
    for label in {*evidence.assumed} - formal.keys():
        yield f"a chapter says what {label} assumes (theorems.py), which stands on no page"


def _loose_claims(evidence: Evidence) -> Iterator[str]:
    for name, row in evidence.ledger.items():
        page = evidence.pages.get(home(row))
        if page is None or name not in page.claims:
            yield f"claim {name} does not stand on its page {home(row)}.md"
        if not row["record"]:
            yield f"claim {name} rests on no record"
        for folder in evidence.folders(name):
            if folder not in evidence.experiments:
                yield f"claim {name}: no class computes the record {folder}"


def _loose_code(evidence: Evidence) -> Iterator[str]:
    classes = evidence.experiments.values()
    for name in classes:
        if not any(name in exercise.names for exercise in evidence.tests.values()):
            yield f"experiment {'.'.join(name)} is named by no test"
    for module in sorted({module for module, _ in (*classes, *evidence.functions)}):
        if not any(module in exercise.modules for exercise in evidence.tests.values()):
            yield f"module {module} is exercised by no test"


# ---------------------------------------------------------------- what a theorem has to answer


FATES = {"fails": "fails", "undecided": "undecided", "passes": "PASSES"}
"""Fates of a negative control, from good to bad, and how the table writes them."""


def broken(statement: statements.Statement, ledger: Mapping[str, Mapping]) -> str:
    """What the negative controls of a statement break, and what then becomes of the check."""
    controls = [ledger[claim]["negative_control"] for claim in statement.claims]
    worst: dict[str, str] = {}
    for control in controls:
        known = worst.get(control["broken"], "fails")
        worst[control["broken"]] = max(known, control["fate"], key=list(FATES).index)
    return "; ".join(f"{what}: {FATES[fate]}" for what, fate in worst.items()) or "–"


# ---------------------------------------------------------------- tables

Content = Sequence[str | nodes.Node]
"""Paragraphs of a cell: MyST text, or nodes."""


def code(name: code_map.Name) -> str:
    """``module.Class`` of an experiment, as MyST."""
    return f"`{'.'.join(name).removeprefix('chapters.')}`"


class Concordance(SphinxDirective):
    """``{concordance}`` with one of :data:`KINDS`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table asked for; with the first, what dangles."""
        self.env.note_reread()  # it depends on every other page
        kind = self.arguments[0]
        if kind not in KINDS:
            raise self.error(f"expected one of {', '.join(KINDS)}; got {kind!r}")
        evidence = gather(Path(self.env.srcdir), claims_roles.ledger())
        if kind == KINDS[0]:
            logger = logging.getLogger(__name__)
            for problem in problems(evidence):
                logger.warning(problem, location=self.get_location())
        return getattr(self, f"_{kind}")(evidence)

    def _theorems(self, evidence: Evidence) -> list[nodes.Node]:
        rows = []
        for s in evidence.statements:
            if s.formal:
                met = summary(hypotheses.answers(s.label, s.claims))
                kept = hypotheses.conclusion(s, evidence.ledger)
                twins = broken(s, evidence.ledger)
                cells = (self._place(s), [met], [kept], [twins])
                rows.append(self._row(*cells, id=hypotheses.anchor(s.label)))
        header = ("statement", "hypotheses met?", "conclusion holds?", "broken on purpose")
        return [tables.table(header, rows, "concordance theorems")]

    def _statements(self, evidence: Evidence) -> list[nodes.Node]:
        sections = []
        for page in evidence.pages.values():
            rows = [row for s in page.statements for row in self._statement(s, evidence)]
            rows += self._elsewhere(page, evidence)
            if rows:
                section = nodes.section(ids=[nodes.make_id(f"concordance-{page.name}")])
                title = nodes.title("", "", *self._inline(page.title.split(":")[0]))
                section += [title, self._paragraph(f"{{doc}}`/{page.name}`")]
                header = ("statement", "claim", "record, computed by", "tests of that code")
                section += tables.table(header, rows, "concordance statements")
                sections.append(section)
        return sections

    def _statement(self, s: statements.Statement, evidence: Evidence) -> list[Row]:
        place = self._place(s)
        if not s.claims and not s.beside:
            return [self._row(place, [f"none: {s.reason}"], ["–"], ["–"])]
        claims = [*s.claims, *(claim for claim in s.beside if claim not in s.claims)]
        return self._group(place, claims, evidence, beside=set(claims) - set(s.claims))

    def _elsewhere(self, page: statements.Page, evidence: Evidence) -> list[Row]:
        """Claims of a chapter that stand in its text, by the heading above them."""
        placed = {c for s in page.statements for c in (*s.claims, *s.beside)}
        own = [
            n for n, row in evidence.ledger.items() if home(row) == page.name and n not in placed
        ]
        rows = []
        for heading, claims in groupby(own, lambda name: page.claims.get(name, page.title)):
            first, *rest = claims
            uri = self.env.app.builder.get_relative_uri(self.env.docname, page.name)
            link = nodes.reference("", "", *self._inline(heading), internal=True)
            link["refuri"] = f"{uri}#{claims_roles.anchor(first)}"
            rows += self._group([tables.paragraph("In the text: ", link)], [first, *rest], evidence)
        return rows

    def _group(
        self, place: Content, claims: Sequence[str], evidence: Evidence, beside=()
    ) -> list[Row]:
        """One line for each claim, the place spanning all of them."""
        rows = []
        for claim in claims:
            folders = evidence.folders(claim)
            classes = [evidence.experiments[f] for f in folders if f in evidence.experiments]
            tests = sorted({t for c in classes for t in code_map.tests_of(c, evidence.tests)})
            elsewhere = [
                f"{{doc}}`/{page.name}`"
                for page in evidence.pages.values()
                if claim in page.claims and page.name != home(evidence.ledger[claim])
            ]
            words = [f"{{claim}}`{claim}`", f"`{claim}`"]
            words += ["beside the statement"] if claim in beside else []
            words += [f"also in {', '.join(elsewhere)}"] if elsewhere else []
            computed = [self._record(folder, evidence) for folder in folders]
            place_once = None if rows else place
            rows.append(self._row(place_once, words, computed, [f"`{test}`" for test in tests]))
        return rows

    def _record(self, folder: str, evidence: Evidence) -> nodes.Node:
        """A folder, linked to its line in the table of experiments, and its classes."""
        uri = f"#{nodes.make_id(f'record-{folder}')}"
        link = nodes.reference("", folder, refuri=uri, internal=True)
        computed = code(evidence.experiments[folder])
        return tables.paragraph("", link, nodes.Text(", "), *self._inline(computed))

    def _experiments(self, evidence: Evidence) -> list[nodes.Node]:
        rows = []
        for folder, name in sorted(evidence.experiments.items()):
            used = code_map.uses(name, evidence.modules)
            modules = groupby(used, lambda target: target[0])
            lines = [f"`{m}`: {', '.join(n for _, n in names)}" for m, names in modules]
            tests = [f"`{test}`" for test in code_map.tests_of(name, evidence.tests)]
            target = nodes.make_id(f"record-{folder}")
            rows.append(self._row([folder, code(name)], lines, tests, id=target))
        header = ("record, computed by", "uses", "tests")
        return [tables.table(header, rows, "concordance experiments")]

    def _functions(self, evidence: Evidence) -> list[nodes.Node]:
        rows = []
        for module, names in groupby(evidence.functions, lambda target: target[0]):
            for i, name in enumerate(names):
                tests = code_map.tests_of(name, evidence.tests)
                direct = any(name in evidence.tests[test].names for test in tests)
                words = ", ".join(f"`{test}`" for test in tests)
                words = words if direct else f"with its module: {words}"
                rows.append(self._row(None if i else [f"`{module}`"], [f"`{name[1]}`"], [words]))
        header = ("module", "function or class", "tests")
        return [tables.table(header, rows, "concordance functions")]

    def _place(self, s: statements.Statement) -> Content:
        """A statement: number and link, title, source tags."""
        number = f"{{prf:ref}}`{s.label}`" if s.label else s.kind.capitalize()
        return [number, f"{s.title} {''.join(f'[{tag}]' for tag in s.tags)}"]

    def _inline(self, text: str) -> list[nodes.Node]:
        found, messages = self.parse_inline(text)
        return [*found, *messages]

    def _row(self, *contents: Content | None, id: str = "") -> Row:
        cells = [None if c is None else [self._paragraph(part) for part in c] for c in contents]
        return Row(cells, id)

    def _paragraph(self, part: str | nodes.Node) -> nodes.Node:
        return tables.paragraph("", *self._inline(part)) if isinstance(part, str) else part


def setup(app) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_directive("concordance", Concordance)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
