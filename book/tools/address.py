"""Where the book can be read, for links that leave the site: one setting in ``_config.yml``.

``html: baseurl:`` is that address.  Where it is empty and ``repository: url:`` is not, the book is
taken to be at the address that GitHub Pages gives it, https://OWNER.github.io/NAME/.  Without
either there is none: nothing then links to it from outside.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import launch
import yaml
from sphinx.errors import ConfigError


class AddressError(ConfigError):
    """The setting ``html: baseurl:`` is no address."""


def book(root: Path) -> str:
    """The book's public address, ending in a slash; empty without one."""
    html = yaml.safe_load((root / "_config.yml").read_text("utf-8")).get("html") or {}
    return address(html.get("baseurl"), launch.configured(root))


def address(setting: object, repository: launch.Repository | None) -> str:
    """The address that a ``setting``, or else a ``repository``, gives."""
    if setting:
        parts = urlsplit(setting) if isinstance(setting, str) else urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query:
            raise AddressError(
                "expected html: baseurl: of the form https://HOST/PATH/; "
                f"got {setting!r}; remedy: correct it in _config.yml, or leave it empty"
            )
        return str(setting).rstrip("/") + "/"
    if repository:
        owner, name = repository.url.rsplit("/", 2)[1:]
        rest = "" if name.lower() == f"{owner.lower()}.github.io" else f"{name}/"
        return f"https://{owner.lower()}.github.io/{rest}"
    return ""
