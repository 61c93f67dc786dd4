"""The page of notation has every symbol that two pages use, and no symbol that none uses."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.usefixtures("extensions")


@pytest.fixture(scope="module")
def symbols(extensions):
    return importlib.import_module("symbols")


@pytest.fixture(scope="module")
def pages(extensions):
    order = importlib.import_module("statements").order(ROOT)
    return {name: (ROOT / f"{name}.md").read_text("utf-8") for name in order}


def test_pages_and_notation_agree(symbols, pages):
    assert symbols.problems(pages) == []


def test_one_letter_one_thing(symbols, pages):
    assert [p for name, text in pages.items() for p in symbols.second_meanings(name, text)] == []


def test_one_letter_one_thing_in_sources_and_titles(symbols):
    named = [*sorted((ROOT / "src").rglob("*.py")), ROOT / "tests/golden/ledger.json"]
    texts = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in named}
    assert [p for name, text in texts.items() for p in symbols.unicode_meanings(name, text)] == []


def test_the_book_is_read(symbols, pages):
    """A few symbols of every kind are found where they are known to be."""
    seen = {name: {str(s) for s in symbols.used(text)} for name, text in pages.items()}
    known = {
        "book/setup": {
            "f_{L}",
            "u_{index}",
            "P_{\\le}",
            "P_{>}",
            "\\lambda_{number}",
            "\\dot s_{index}",
        },
        "book/joint": {"W^{*}", "B_{Q}", "\\mathbb E_{S}", "\\epsilon_{index}", "\\beta"},
        "book/landscape": {"t^{\\star}", "\\lambda_{\\min}", "M_{index}"},
        "book/ntk-limits": {"\\hat f", "\\mathcal H_{index}", "He_{index}", "P_{index}"},
        "book/regularizer": {"\\kappa^{20}", "\\nu_{index}", "\\gamma_{>}^{(2)}"},
    }
    missed = {name: want - seen[name] for name, want in known.items() if want - seen[name]}
    assert missed == {}


@pytest.mark.parametrize(
    ("formula", "found"),
    [
        (r"\lambda_\ell", {r"\lambda_{index}", r"\ell"}),
        (r"\lambda_2R_2", {r"\lambda_{number}", "R_{number}"}),
        (r"f_L(x;P_{\le k}W)", {"f_{L}", "x", r"P_{\le}", "k", "W"}),
        (r"f^*", {"f^{*}"}),
        (r"\mathcal X^2", {r"\mathcal X"}),
        (r"\hat{y}_i", {r"\hat y_{index}", "i"}),
        (r"\sigma''(w_r\cdot x)^{j}", {r"\sigma", "w_{index}", "r", "x", "j"}),
        (r"\lVert W\rVert_F^2", {"W"}),
        (r"\mathrm{He}_j + \mathrm{sigmoid}(z)", {"He_{index}", "j", "z"}),
        (r"\kappa^{00}_{rs}", {r"\kappa_{index}^{00}", "r", "s"}),
        (r"\mathbb E_x\,K(x, X)^{+}", {r"\mathbb E_{index}", "K", "x", "X"}),
        (r"t^\star_r", {r"t_{index}^{\star}", "r"}),
        (r"\text{comparison}", set()),
    ],
)
def test_formulas_are_read(symbols, formula, found):
    assert {str(symbol) for symbol in symbols.symbols(formula)} == found


def test_what_is_no_formula_is_not_read(symbols):
    page = """Money is \\$5, or \\$6 of `q`.
```{code-block} python
cost = "$a$"
```
```{glue:figure} fig
:alt: The $b$ of it.

The $c$ of it.
```
1. ~~~{code-block} python
   print("$d$")
   ~~~
   And $e$.
"""
    assert {str(symbol) for symbol in symbols.used(page)} == {"c", "e"}


# --- negative controls: each check fails on a copy with its condition broken -------------------

NOTES = """# Notation

$d$ is the dimension.

| symbol | meaning |
|:---:|---|
| $x_i$, $X$ | inputs |
| $f_L$ | first term, with $k$ inside |
"""


def found(symbols, *texts: str, notes: str = NOTES) -> list[str]:
    pages = {f"p{i}": text for i, text in enumerate(texts)}
    return symbols.problems({**pages, symbols.NOTATION: notes})


USES = "$f_L(x_i)$ and $X$ in $d$ dimensions."


def test_sound_pages_pass(symbols):
    assert found(symbols, USES, USES) == []
    assert found(symbols, USES, "$q$ here alone") == []  # explained on its page
    assert found(symbols, USES + "$x_2$", "$x_2$ $2\\pi$") == []  # one of the inputs


@pytest.mark.parametrize("symbol", ["q", "f_Q", "f", r"\hat x", "X^*", r"P_{>k}", r"\mathcal X"])
def test_control_an_unlisted_symbol_is_found(symbols, symbol):
    page = f"{USES} And ${symbol}$."
    (problem,) = found(symbols, page, page)
    assert "which is on p0, p1" in problem


@pytest.mark.parametrize("where", ["$$\n q \n$$", ":::{prf:lemma} T\nSo $q$.\n:::", "# On $q$"])
def test_control_it_is_found_wherever_it_stands(symbols, where):
    assert len(found(symbols, USES + "\n" + where, "$q$")) == 1


def test_control_an_unused_row_is_found(symbols):
    (problem,) = found(symbols, "$X$ $x_i$", "$f$")
    assert problem == "book/notation.md:8: no other page uses f_{L}"


@pytest.mark.parametrize(
    "formula",
    [
        r"\lambda_\ell",
        r"\lambda_{k+1}",
        r"\lambda_{n_k}",
        r"\lambda_0",
        r"\lambda_j",
        r"\lambda_1(K)",
        r"\zeta_{n_k+1}",
        r"\sigma_{>k}^2",
        r"\kappa(\tau)",
        r"\kappa_r",
        r"\eta_j",
        r"\tau_r",
        r"\langle r^2\rangle",
        r"\langle r\,f_Q\rangle",
        r"r = f-y",
        r"1-\delta",
        r"\log(N/\delta)",
        r"\sqrt\Lambda",
    ],
)
def test_control_a_second_meaning_is_found(symbols, pages, formula):
    """One formula at the end of a chapter, and the book does not pass."""
    name = "book/directions"
    assert len(symbols.second_meanings(name, f"{pages[name]}\n${formula}$\n")) == 1


@pytest.mark.parametrize(
    "formula",
    [
        r"\lambda_2R_2",
        r"L_\lambda",
        r"\lambda_{\min}(A)",
        r"\lambda_{\max}^+(A)",
        r"\sum_j\lambda_jR_j",
        r"\zeta_\ell/(\zeta_\ell+\kappa)",
        r"\zeta_{(n_k)}",
        r"\kappa^{20}_{rq}",
        r"\langle x,y\rangle",
        r"1-\delta_1",
    ],
)
def test_a_letter_in_its_own_meaning_passes(symbols, formula):
    assert symbols.second_meanings("p", f"${formula}$") == []


@pytest.mark.parametrize("text", ["λ_ℓ > 0", "λ_(n_k)", "λ_{k+1}", "γ/(nλ_j + γ)", "λ_0"])
def test_control_a_second_meaning_in_a_source_is_found(symbols, text):
    assert len(symbols.unicode_meanings("p", text)) == 1


@pytest.mark.parametrize("text", ["λ_1…λ_4", "λ_min", "Σ_j λ_j R_j", "L_λ", "λ_max⁺", "λ = 1e-2"])
def test_a_coefficient_in_a_source_passes(symbols, text):
    assert symbols.unicode_meanings("p", text) == []


def test_control_in_the_book(symbols, pages):
    """Without one row of its own, or with one row more, the book does not pass."""
    text = pages[symbols.NOTATION]
    short = "\n".join(line for line in text.splitlines() if r"$\Sigma$" not in line)
    assert any(r"has no \Sigma" in p for p in symbols.problems(pages | {symbols.NOTATION: short}))
    more = text + "\n| $\\Upsilon_7$ | nothing |\n"
    assert any("Upsilon" in p for p in symbols.problems(pages | {symbols.NOTATION: more}))
