"""Drawings as pictures, by the browser that also shows the site."""

from __future__ import annotations

import io

from PIL import Image
from playwright.sync_api import Page

from escape_ntk.study.reading import WIDTH

COLOURS = 128
"""Lines and bands need no more; the file is a third."""


def shot(page: Page, svg: str) -> bytes:
    """A drawing on white, as wide as notebooks show it."""
    page.set_content(f"<style>body{{margin:0}}svg{{width:{WIDTH}px;height:auto}}</style>{svg}")
    taken = page.locator("svg").screenshot(type="png")
    picture = Image.open(io.BytesIO(taken)).convert("RGB")
    out = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(out, "png", optimize=True)
    return out.getvalue()
