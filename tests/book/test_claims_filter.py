"""The scorecard's filters: what Python writes, and what claims.js makes of it in a browser."""

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from escape_ntk.display import html as page

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "book/_static"
CLAIMS = {
    "one": ("reproduced", "setup", "D"),
    "two": ("partly", "setup", "A+M"),
    "three": ("not_reproduced", "joint", "D+M"),
    "four": ("reproduced", "joint", "L"),
}
"""Verdict, chapter and source of a made ledger."""


def rows() -> list[dict]:
    control = {"broken": "x", "fate": "fails", "measured": {"largest": 1.0}}
    rest = {"statement": "s", "measured": {"largest": 0.0}, "target": "0", "tolerance": "1e-9"}
    rest |= {"after": "", "identity": False}
    return [
        {"id": name, "verdict": v, "chapter": c, "source": s, "record": [], **rest}
        | {"negative_control": control}
        for name, (v, c, s) in CLAIMS.items()
    ]


def test_claims_carry_what_they_are_filtered_by():
    text = page.claim_blocks(rows()).text
    found = re.findall(
        r'id="(\w+)" data-verdict="(\w+)" data-chapter="(\w+)" data-source="(.*?)"', text
    )
    assert {name: (v, c, s.replace(" ", "+")) for name, v, c, s in found} == CLAIMS


def test_claims_stand_by_chapter_and_lead_to_their_statements():
    text = page.claim_blocks(rows()).text
    assert re.findall(r'<section class="claims-of" id="claims-(\w+)">', text) == ["setup", "joint"]
    assert "<p>1 reproduced, 1 partly</p>" in text
    for name, (_, chapter, _) in CLAIMS.items():
        assert f'<a href="{chapter}.html#claim-{name}"><code>{name}</code></a>' in text


@pytest.mark.parametrize(
    "text, typeset",
    [
        ("‖W_Q‖_(2,4)^4", "‖<i>W</i><sub><i>Q</i></sub>‖<sub>2,4</sub><sup>4</sup>"),
        ("ζ_(n_k+1)", "<i>ζ</i><sub><i>n</i><sub><i>k</i></sub>+1</sub>"),
        ("P_{>k}SW at d = 3n.", "<i>P</i><sub>&gt;<i>k</i></sub>SW at <i>d</i> = 3n."),
        ("2η of 3n_1", "2<i>η</i> of 3<i>n</i><sub>1</sub>"),
        ("f_L² like m^(−1/2)", "<i>f</i><sub><i>L</i></sub>² like <i>m</i><sup>−1/2</sup>"),
        ("a NTK's error, 1e-5 <= R", "a NTK's error, 1e-5 &lt;= <i>R</i>"),
    ],
)
def test_mathematics_is_typeset(text, typeset):
    assert page.typeset(text) == typeset


def test_the_book_loads_the_script():
    config = (ROOT / "_config.yml").read_text("utf-8")
    assert re.search(r'html_js_files: \[.*"claims.js".*\]', config)


def test_the_script_knows_every_verdict_and_tag():
    from escape_ntk.study.claims import SOURCES

    script = (STATIC / "claims.js").read_text("utf-8")
    for verdict, words in page.WORDS.items():
        assert f'{verdict}: "{words}"' in script
    named = re.search(r"const TAGS = \{(.*?)\};", script, re.S)[1]
    assert re.findall(r"(\w): ", named) == list(SOURCES)


# --- in a browser -------------------------------------------------------------------------------

PAGE = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>t</title>
<link rel="stylesheet" href="book.css"><script src="claims.js"></script>
<nav><a>no address</a><a href="setup.html">Setup: a network</a></nav><div>"""


@pytest.fixture
def opened(headless, browser, tmp_path):
    """Return a function that opens a scorecard; ``script`` edits claims.js."""
    with ExitStack() as stack:

        def run(script=lambda text: text, blocks=True, width=1000, at="", **options):
            body = page.claim_blocks(rows()).text if blocks else "<p>no claims here</p>"
            (tmp_path / "favicon.ico").write_bytes(b"")
            (tmp_path / "page.html").write_text(f"{PAGE}{body}</div>", "utf-8")
            for name, edit in (("book.css", str), ("claims.js", script)):
                (tmp_path / name).write_text(edit((STATIC / name).read_text("utf-8")), "utf-8")
            address = stack.enter_context(headless.served(tmp_path))
            view = {"width": width, "height": 900}
            view = stack.enter_context(browser.new_context(viewport=view, **options)).new_page()
            findings = headless.Findings()
            findings.watch(view, address.removeprefix("http://"))
            view.goto(f"{address}/page.html{at}", wait_until="load")
            return view, findings

        yield run


def shown(view) -> list[str]:
    """Claims that the reader sees."""
    return view.evaluate("""() => [...document.querySelectorAll('.claim')]
        .filter((e) => e.checkVisibility()).map((e) => e.id)""")


def passing(verdicts=(), chapter=None, tags=()) -> list[str]:
    """Claims that pass, straight from the definition."""
    return [
        name
        for name, (verdict, home, source) in CLAIMS.items()
        if (not verdicts or verdict in verdicts)
        and (chapter is None or chapter == home)
        and (not tags or set(tags) & set(source.split("+")))
    ]


def test_without_javascript_the_whole_list_is_there(headless, opened):
    view, findings = opened(java_script_enabled=False)
    assert [view.locator(f"#{name}").is_visible() for name in CLAIMS] == [True] * len(CLAIMS)
    assert view.locator("form, input, select, button, output").count() == 0
    assert findings == headless.Findings()
    view, _ = opened()  # the control: with it, controls are there
    assert view.locator("form").count() == 1 and view.locator("input").count() == 7


def test_a_page_without_claims_is_left_alone(headless, opened):
    view, findings = opened(blocks=False)
    assert view.locator("form").count() == 0 and findings == headless.Findings()


def test_filters_and_count(headless, opened):
    view, findings = opened()
    status = view.get_by_role("status")
    assert shown(view) == list(CLAIMS) and status.inner_text() == "4 of 4 claims shown"

    def now(*expected, **filters):
        wanted = passing(**filters)
        assert shown(view) == wanted == list(expected)
        assert status.inner_text() == f"{len(wanted)} of 4 claims shown"

    view.get_by_label("reproduced (2)", exact=True).check()
    now("one", "four", verdicts=["reproduced"])
    view.get_by_label("not reproduced (1)").check()
    now("one", "three", "four", verdicts=["reproduced", "not_reproduced"])
    view.get_by_label("[D] derived (2)").check()
    now("one", "three", verdicts=["reproduced", "not_reproduced"], tags="D")
    view.get_by_label("chapter").select_option("joint")
    now("three", verdicts=["reproduced", "not_reproduced"], tags="D", chapter="joint")
    view.get_by_label("not reproduced (1)").uncheck()
    now(verdicts=["reproduced"], tags="D", chapter="joint")
    view.get_by_role("button", name="show all").click()
    now(*CLAIMS)
    assert view.get_by_role("button").is_disabled()
    view.get_by_label("[M] measured (2)").check()
    now("two", "three", tags="M")
    assert findings == headless.Findings()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("shown += !claim.hidden", "shown += 1"),
        ("tagsOf[i].some(", "tagsOf[i].every("),
        ("wanted.length > 0 && ", ""),
    ],
)
def test_control_a_broken_filter_is_found(headless, opened, old, new):
    def script(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    with pytest.raises(AssertionError):
        test_filters_and_count(headless, lambda: opened(script=script))


def test_the_keyboard_reaches_everything(opened):
    """Tab from control to control, Space ticks, arrows choose, Enter resets and reloads nothing."""
    view, _ = opened()
    where = "document.activeElement.closest('label')?.textContent ?? document.activeElement.tagName"
    view.locator("nav a[href]").focus()
    order = []
    for _ in range(8):
        view.keyboard.press("Tab")
        order.append(view.evaluate(where))
    tags = ["[A] abstract (1)", "[L] literature (1)", "[D] derived (2)", "[M] measured (2)"]
    assert order == ["reproduced (2)", "partly (1)", "not reproduced (1)", *tags, "SELECT"]
    view.keyboard.press("ArrowDown")
    assert shown(view) == passing(chapter="setup")
    view.keyboard.press("Shift+Tab")
    view.keyboard.press("Space")
    assert shown(view) == passing(chapter="setup", tags="M")
    view.keyboard.press("Tab")
    view.keyboard.press("Tab")
    assert view.evaluate(where) == "BUTTON"
    view.keyboard.press("Enter")
    assert shown(view) == list(CLAIMS) and view.evaluate(where) == "reproduced (2)"
    assert not view.url.endswith("?")


def test_controls_have_names(opened):
    view, _ = opened()
    assert view.get_by_role("form", name="filter the claims").count() == 1
    for name, boxes in (("verdict", 3), ("source", 4)):
        group = view.get_by_role("group", name=name, exact=True)
        assert group.get_by_role("checkbox").count() == boxes
    options = view.get_by_role("combobox", name="chapter", exact=True).locator("option")
    assert options.all_inner_texts() == ["all chapters", "Setup", "joint"]  # a title, if there is
    assert view.get_by_role("status").count() == 1
    assert view.get_by_role("group", name="figure").count() == 0  # the control


def test_a_link_finds_a_claim_that_is_filtered_out(opened):
    view, _ = opened(at="#three")
    view.get_by_label("partly (1)").check()
    assert shown(view) == ["two"]
    view.evaluate("location.hash = '#four'")
    view.wait_for_function("!document.getElementById('four').hidden")
    assert shown(view) == list(CLAIMS)
    assert view.get_by_label("partly (1)").is_checked() is False


def test_what_is_chosen_stands_in_the_address(opened):
    view, _ = opened(at="?verdict=reproduced&chapter=joint&source=Z#four")
    assert shown(view) == passing(verdicts=["reproduced"], chapter="joint") == ["four"]
    assert view.locator("#claims-setup").is_hidden() and view.locator("#claims-joint").is_visible()
    view.get_by_label("[L] literature (1)").check()
    assert view.url.endswith("?verdict=reproduced&source=L&chapter=joint#four")
    view.reload()
    assert shown(view) == ["four"]
    view.get_by_role("button", name="show all").click()
    assert view.url.endswith("/page.html#four") and shown(view) == list(CLAIMS)


def test_a_link_to_a_claim_is_stronger_than_a_filter(opened):
    view, _ = opened(at="?verdict=partly#three")
    assert shown(view) == list(CLAIMS)


def test_phones_and_print(headless, opened):
    view, _ = opened(width=320)
    assert view.evaluate(headless.OVERFLOW) <= 0
    assert view.locator("form").is_visible()
    view.emulate_media(media="print")
    assert not view.locator("form").is_visible() and shown(view) == list(CLAIMS)
