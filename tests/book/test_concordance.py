"""The concordance: pages and sources are read as they are, and every loose thread is found.

Each check has a twin below it, on a copy with one thread cut.
"""

import dataclasses
import importlib
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils import nodes

from escape_ntk.study.hypotheses import Answer, Hypothesis, Outcome, unchecked

ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.usefixtures("extensions")


@pytest.fixture(scope="module")
def concordance(extensions):
    return importlib.import_module("concordance")


@pytest.fixture(scope="module")
def threads(extensions):
    return importlib.import_module("threads")


@pytest.fixture(scope="module")
def statements(extensions):
    return importlib.import_module("statements")


@pytest.fixture(scope="module")
def hypotheses(extensions):
    return importlib.import_module("hypotheses")


@pytest.fixture(scope="module")
def code_map(extensions):
    return importlib.import_module("code_map")


@pytest.fixture(scope="module")
def evidence(threads, ledger_rows):
    return threads.gather(ROOT, {row["id"]: row for row in ledger_rows})


# ---------------------------------------------------------------- pages

TEXT = """# A chapter: of two parts

Text with {claim}`early`.

:::{prf:theorem} Small $n$
:label: thm-small
It holds.

$$
x=1
$$ (eq-x)

**[D]**, after [L] {claim}`in-it` {claim}`too` {measured}`other/slope:.2f`
:::

*Proof.* See {claim}`beside-it`. ∎

```{code-cell} python
print("far")
```

{claim}`after-a-cell`

## A section

````{prf:observation} Numbers only
:label: obs-numbers
{measured}`read/slope:.2f` **[M]**
````
"""


def test_statements_are_read(statements):
    page = statements.read("book/x", TEXT)
    theorem, observation = page.statements
    assert (theorem.kind, theorem.title, theorem.label) == ("theorem", "Small $n$", "thm-small")
    assert theorem.line == 5 and theorem.formal and not observation.formal
    assert theorem.tags == ("D", "L") and observation.tags == ("M",)
    assert theorem.claims == ("in-it", "too") and theorem.beside == ("beside-it",)
    assert observation.claims == ("read",) and observation.beside == ()
    assert theorem.reason == "derived on its page [D]" and observation.reason is None
    assert page.claims["after-a-cell"] == "A chapter: of two parts"


def test_no_statement_of_the_book_is_overlooked(evidence):
    """Counted a second way: the directives in all pages of the table of contents."""
    texts = [(ROOT / f"{name}.md").read_text("utf-8") for name in evidence.pages]
    opened = sum(len(re.findall(r"^\W{3,}\{prf:(?!ref)\w+\}", text, re.M)) for text in texts)
    assert len(evidence.statements) == opened > 40
    labels = [statement.label for statement in evidence.statements]
    assert len(set(labels)) == len(labels)


def test_every_page_of_the_folder_is_read(evidence):
    names = {path.relative_to(ROOT).with_suffix("") for path in (ROOT / "book").rglob("*.md")}
    assert set(evidence.pages) == {name.as_posix() for name in names}


# ---------------------------------------------------------------- sources

PACKAGE = {
    "flow.py": "def gradient_flow(): ...\ndef never(): ...\n",
    "data.py": "class Target: ...\ndef draw(): ...\n",
    "checks.py": "def number(): ...\n",
    "chapters/base.py": (
        "from escape_ntk.data import draw\n"
        "class Fit:\n    def start(self): return draw()\n"
        "def unused(): ...\n"
    ),
    "chapters/joint.py": (
        "from escape_ntk import checks, flow\n"
        "from escape_ntk.chapters.base import Fit\n"
        "def helper(): return flow.gradient_flow()\n"
        "class Gap(Fit):\n"
        "    def compute(self): checks.number(); return helper()\n"
    ),
}
TESTS = {
    "test_flow.py": "from escape_ntk import flow\nassert flow.gradient_flow\n",
    "deep/test_joint.py": "from escape_ntk.chapters.joint import Gap as G\nG()\n",
    "test_loose.py": "import escape_ntk.data\n",
    "helper.py": "from escape_ntk.data import draw\ndraw()\n",
}


@pytest.fixture
def made(tmp_path, code_map):
    """(modules, exercises) of a small package and its tests."""
    for folder, files in (("package", PACKAGE), ("tests", TESTS)):
        for name, text in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    modules = code_map.modules(tmp_path / "package")
    return modules, code_map.exercises(tmp_path / "tests", modules)


def test_what_a_run_uses(code_map, made):
    modules, _ = made
    used = code_map.uses(("chapters.joint", "Gap"), modules)
    assert used == [("data", "draw"), ("flow", "gradient_flow")]  # through base and helper


def test_tests_are_found_by_name_or_else_by_module(code_map, made):
    _, exercises = made
    found = {
        ("flow", "gradient_flow"): ["test_flow.py"],  # named
        ("flow", "never"): ["test_flow.py"],  # with its module
        ("chapters.joint", "Gap"): ["deep/test_joint.py"],  # under another name
        ("data", "draw"): ["test_loose.py"],  # helper.py is no test
        ("chapters.base", "Fit"): [],
    }
    assert {name: code_map.tests_of(name, exercises) for name in found} == found


def test_a_class_of_the_book_uses_what_it_says(code_map, evidence):
    """Against a reading by hand of the smallest experiments."""
    used = code_map.uses(("chapters.directions.runs", "PopulationGap"), evidence.modules)
    assert used == [
        ("kernels.spectrum", "ntk_spectrum"), ("models.network", "activation"),
        ("training.run", "Run"),
    ]  # fmt: skip
    assert ("models.taylor", "remainder") in code_map.uses(
        ("chapters.setup.runs", "RemainderOrder"), evidence.modules
    )


# ---------------------------------------------------------------- loose threads


def test_no_thread_dangles(threads, evidence):
    assert threads.problems(evidence) == []


def with_statement(evidence, statements, body: str):
    """A copy whose first chapter has one more theorem."""
    name, page = next((n, p) for n, p in evidence.pages.items() if p.statements)
    (extra,) = statements.read(name, f":::{{prf:theorem}} More\n{body}\n:::\n").statements
    more = dataclasses.replace(page, statements=(*page.statements, extra))
    assumed = (*evidence.assumed, *([extra.label] if extra.label else []))
    return dataclasses.replace(evidence, pages={**evidence.pages, name: more}, assumed=assumed)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (":label: thm-more\nIt holds. **[M]**", "neither a claim nor a source tag"),
        ("It holds. **[D]**", "has no :label:"),
        (":label: thm-more\n**[D]** {claim}`no-such`", "names the claim 'no-such'"),
    ],
)
def test_control_a_loose_statement_is_found(threads, statements, evidence, body, said):
    (problem,) = threads.problems(with_statement(evidence, statements, body))
    assert said in problem and "'More'" in problem


def test_control_what_is_tied_passes(threads, statements, evidence):
    bodies = (":label: thm-more\n**[L]**", f":label: t\n{{claim}}`{next(iter(evidence.ledger))}`")
    for body in bodies:
        assert threads.problems(with_statement(evidence, statements, body)) == []


def test_control_a_theorem_without_hypotheses_is_found(threads, evidence):
    less = dataclasses.replace(evidence, assumed=set(evidence.assumed) - {"thm-gap"})
    (problem,) = threads.problems(less)
    assert "no chapter says what thm-gap assumes" in problem and "directions.md:" in problem


@pytest.mark.parametrize("label", ["thm-nowhere", "obs-gap"])  # an observation has none
def test_control_hypotheses_of_no_theorem_are_found(threads, evidence, label):
    more = dataclasses.replace(evidence, assumed={*evidence.assumed, label})
    (problem,) = threads.problems(more)
    assert problem.endswith(f"what {label} assumes (theorems.py), which stands on no page")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "new-claim"}, "claim new-claim does not stand on its page"),
        ({"chapter": "elsewhere"}, "does not stand on its page book/elsewhere.md"),
        ({"record": []}, "rests on no record"),
        ({"record": ["nowhere/0123456789abcdef"]}, "no class computes"),
    ],
)
def test_control_a_loose_claim_is_found(threads, evidence, change, said):
    row = {**next(iter(evidence.ledger.values())), **change}
    cut = dataclasses.replace(evidence, ledger={**evidence.ledger, row["id"]: row})
    (problem,) = threads.problems(cut)
    assert said in problem


def test_control_an_experiment_without_a_test_is_found(threads, evidence):
    lost = ("chapters.quadntk.runs", "SignDraws")
    without = {
        file: dataclasses.replace(exercise, names=exercise.names - {lost})
        for file, exercise in evidence.tests.items()
    }
    (problem,) = threads.problems(dataclasses.replace(evidence, tests=without))
    assert problem == "experiment chapters.quadntk.runs.SignDraws is named by no test"


def test_control_a_module_without_a_test_is_found(threads, evidence):
    without = {
        file: dataclasses.replace(exercise, modules=exercise.modules - {"kernels.spectrum"})
        for file, exercise in evidence.tests.items()
    }
    cut = dataclasses.replace(evidence, tests=without)
    assert threads.problems(cut) == ["module kernels.spectrum is exercised by no test"]


@pytest.mark.parametrize("loose", [[], ["a thread", "another"]])
def test_what_dangles_is_a_warning_of_the_build(concordance, monkeypatch, caplog, loose):
    """One warning for each problem, at the first table only; `make book` makes them errors."""

    class Quiet(concordance.Concordance):
        get_location = staticmethod(lambda: "page.md:1")
        _theorems = _functions = staticmethod(lambda evidence: ["a table"])

        def __init__(self, kind: str):
            self.arguments = [kind]
            environment = SimpleNamespace(docname="book/concordance", srcdir=ROOT)
            self.state = SimpleNamespace(
                document=SimpleNamespace(settings=SimpleNamespace(env=environment))
            )

    monkeypatch.setattr(concordance, "_evidence", lambda root: None)
    monkeypatch.setattr(concordance, "problems", lambda evidence: loose)
    assert Quiet("functions").run() == ["a table"] and caplog.messages == []
    assert Quiet("theorems").run() == ["a table"]
    said = [record.getMessage() for record in caplog.records]  # Sphinx may have put the place first
    assert [words.removeprefix("page.md:1: WARNING: ") for words in said] == loose
    assert all(record.levelname == "WARNING" for record in caplog.records)


# ---------------------------------------------------------------- what a theorem has to answer

LEDGER = {
    "a": {"verdict": "reproduced", "negative_control": {"broken": "x", "fate": "fails"}},
    "b": {"verdict": "partly", "negative_control": {"broken": "x", "fate": "undecided"}},
    "c": {"verdict": "not_reproduced", "negative_control": {"broken": "y", "fate": "passes"}},
}


@pytest.mark.parametrize(
    ("named", "kept", "twins"),
    [
        ("a", "1 of 1 reproduced", "x: fails"),
        ("ab", "1 of 2 reproduced, 1 partly", "x: undecided"),
        ("bc", "0 of 2 reproduced, 1 partly, 1 not reproduced", "x: undecided; y: PASSES"),
        ("", "no claim: derived on its page [D]", "–"),
    ],
)
def test_conclusions_and_controls(threads, hypotheses, statements, named, kept, twins):
    roles = " ".join(f"{{claim}}`{name}`" for name in named)
    text = f":::{{prf:theorem}} T\n:label: t\n**[D]** {roles}\n:::\n"
    (statement,) = statements.read("book/x", text).statements
    assert hypotheses.conclusion(statement, LEDGER) == kept
    assert threads.broken(statement, LEDGER) == twins


@pytest.mark.parametrize(
    ("named", "kind"),
    [("a", "reproduced"), ("ab", "partly"), ("abc", "not_reproduced"), ("", "not_testable")],
)
def test_a_conclusion_has_the_badge_of_the_worst_of_its_claims(hypotheses, statements, named, kind):
    text = theorem(" ".join(f"{{claim}}`{name}`" for name in named))
    (statement,) = statements.read("book/x", text).statements
    assert hypotheses.kind_of_conclusion(statement, LEDGER) == kind


def theorem(body: str, label: str = "t") -> str:
    """The text of a page with one theorem."""
    return f":::{{prf:theorem}} T\n:label: {label}\n**[D]** {body}\n:::\n"


ANY = unchecked("")
FOUND = (
    (Hypothesis("$d\\ge3$", ANY), Answer(Outcome.MET, "20")),
    (Hypothesis("wide: cross", ANY), Answer(Outcome.NOT_MET, "0.12")),
    (Hypothesis("$m$ large", ANY), Answer(Outcome.LIMIT, "m up to 512")),
    (Hypothesis("small", ANY), Answer(Outcome.NOT_CHECKED, "a constant")),
)


def test_the_foot_of_a_theorem(hypotheses, statements, monkeypatch):
    """The summary, one line for each hypothesis, and the link: as HTML nodes, formulas kept."""
    (statement,) = statements.read("book/x", theorem("{claim}`b`")).statements
    monkeypatch.setattr(hypotheses, "answers", lambda label, claims: FOUND)
    block = hypotheses.foot(statement, "concordance.html", LEDGER, ["claim-b"])
    head, badge = block.next_node(nodes.inline), block[-1]
    text = "Hypotheses: 1 of 4 met, 1 a limit (m up to 512), 1 not checked; not met: wide"
    assert head.astext() == text and head["classes"] == ["claim-badge", "not_reproduced"]
    assert badge["words"] == "Conclusion: 0 of 1 reproduced, 1 partly"
    assert 'href="concordance.html#concordance-t"' in badge["link"]
    assert (badge["claims"], badge["anchors"]) == (["b"], ["claim-b"])
    assert badge["scorecard"] == "scorecard.html"
    lines = [item.astext() for item in block.findall(nodes.list_item)]
    assert lines[0] == "d\\ge3 met 20" and lines[2] == "m large a limit m up to 512"
    assert [m.astext() for m in block.findall(nodes.math)] == ["d\\ge3", "m"]
    raw = "".join(node.astext() for node in block.findall(nodes.raw))
    assert raw == "<details><summary></summary></details>"


def test_the_badge_of_hypotheses(hypotheses):
    kinds = [hypotheses.kind_of(part) for part in (FOUND[:1], FOUND[2:3], FOUND)]
    assert kinds == ["reproduced", "partly", "not_reproduced"]


def test_without_an_entry_there_is_no_line_of_hypotheses(hypotheses, statements):
    (statement,) = statements.read("book/x", theorem("")).statements
    block = hypotheses.foot(statement, "concordance.html", LEDGER)
    assert block.astext() == "Conclusion: derived on this page [D]"
    assert block.next_node(nodes.bullet_list) is None


def test_anchors_in_the_concordance_are_unique(hypotheses, evidence):
    anchors = [hypotheses.anchor(s.label) for s in evidence.statements if s.formal]
    pages = [f"concordance-{name.replace('/', '-')}" for name in evidence.pages]
    assert len({*anchors, *pages}) == len(anchors) + len(pages)
