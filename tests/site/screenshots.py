"""Save pictures of pages, light and dark, at desktop and phone width, to be looked at.

``python tests/site/screenshots.py FOLDER [PAGE ...]``, for example ``shots book/index book/setup``;
without names, every page of the book.
"""

from __future__ import annotations

import sys
from pathlib import Path

import headless
from headless import DESKTOP, PHONE, SITE

PICTURES = "for (const img of document.images) img.loading = 'eager'"
"""Also those far below, which a browser loads only when they are near."""


def shoot(folder: Path, names: list[str]) -> None:
    """Write ``folder``/NAME-THEME-WIDTH.png for every page, theme and width."""
    folder.mkdir(parents=True, exist_ok=True)
    with headless.served(SITE) as address, headless.chromium() as browser:
        for theme in ("light", "dark"):
            for width in (DESKTOP, PHONE):
                view = {"width": width, "height": 900}
                with browser.new_context(viewport=view, color_scheme=theme) as context:
                    page = context.new_page()
                    for name in names:
                        page.goto(f"{address}/{name}.html", wait_until="networkidle")
                        page.evaluate(headless.FORMULAS)  # waits for the mathematics
                        page.evaluate(PICTURES)
                        page.wait_for_load_state("networkidle")
                        path = folder / f"{name.replace('/', '-')}-{theme}-{width}.png"
                        page.screenshot(path=path, full_page=True)
                        print(path)


def main(arguments: list[str]) -> None:
    """Take a folder and names of pages."""
    if not arguments:
        raise SystemExit(__doc__)
    if headless.find_browser() is None:
        raise SystemExit(headless.NO_BROWSER)
    names = [name.removesuffix(".html").removesuffix(".md") for name in arguments[1:]]
    every = sorted(p.relative_to(SITE).with_suffix("").as_posix() for p in SITE.glob("book/*.html"))
    shoot(Path(arguments[0]), names or every)


if __name__ == "__main__":
    main(sys.argv[1:])
