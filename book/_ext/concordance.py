"""The concordance: statement → claim → record → code → test, made anew at every build.

``{concordance} theorems|statements|experiments|functions`` shows one of its four tables.  What
dangles (see :func:`threads.problems`) is a warning at the first of them, hence an error of the
build.

Looked at: sphinx-needs, and mlx-traceability like it, tabulate what authors type into pages as
needs with identities and links; the threads here are read off a ledger and off Python that no page
repeats.  sphinx-proof numbers statements and lists them in an index, without claims.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import claims_roles
import code_map
import gathered
import hypotheses
import statements
import tables
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from tables import Row
from threads import Evidence, broken, gather, home, problems

from escape_ntk.study.theorems import summary

KINDS = ("theorems", "statements", "experiments", "functions")
Content = Sequence[str | nodes.Node]
"""Paragraphs of a cell: MyST text, or nodes."""


@functools.cache
def _evidence(root: Path) -> Evidence:
    """Gathered once for all four tables: every source of the package and its tests is parsed."""
    return gather(root, claims_roles.ledger())


def code(name: code_map.Name) -> str:
    """``module.Class`` of an experiment, as MyST."""
    return f"`{'.'.join(name).removeprefix('chapters.')}`"


class Concordance(SphinxDirective):
    """``{concordance}`` with one of :data:`KINDS`."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table asked for; with the first, what dangles."""
        gathered.note(self.env)
        kind = self.arguments[0]
        if kind not in KINDS:
            raise self.error(f"expected one of {', '.join(KINDS)}; got {kind!r}")
        evidence = _evidence(Path(self.env.srcdir))
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
