"""What pages may say of one another, as a hash: while it stays, only what changes is written.

A page is written from its own tree and from what Sphinx has gathered of all pages: titles, numbers,
labels, terms, citations, the order of the book.  The hash is over all of the latter, so that an
attribute that an extension adds counts without being named; what is left out is named, with why no
other page shows it.  What cannot be told apart from run to run differs, and every page is written.

Looked at: Sphinx itself writes a page again when its source, its section numbers or its figure
numbers change, and leaves a title or a definition on other pages as it was.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePath

from docutils import nodes

LEFT_OUT = {
    "all_docs": "when each page was read",
    "dependencies": "the files that pages are read from",
    "config": "of the ground, a change of which has every page read",
    "settings": "made from the configuration",
    "temp_data": "of the page that is read",
    "gathered": "what pages were made from that are then read again themselves",
    "nb_new_exec_data": "whether a page was executed; what came out, `nb_metadata`, counts",
    "sphinx_exercise_node_order": "lines of exercises, looked at while pages are read",
}
OWN = ("source_map", "wordcount")
"""Of a page's metadata, what only it shows itself."""


def digest(env) -> str:
    """The hash of what ``env``, Sphinx's environment, knows of all pages."""
    known = {name: value for name, value in env.__getstate__().items() if name not in LEFT_OUT}
    known["metadata"] = {
        page: {key: value for key, value in facts.items() if key not in OWN}
        for page, facts in env.metadata.items()
    }
    if exercises := known.get("sphinx_exercise_registry"):
        known["sphinx_exercise_registry"] = {n: _named(e) for n, e in exercises.items()}
    if "cite" in env.domaindata:
        cite = env.domaindata["cite"]
        refs = sorted(cite["citation_refs"], key=lambda ref: ref.docname)  # last read, last listed
        known["domaindata"] = {**env.domaindata, "cite": {**cite, "citation_refs": refs}}
    return hashlib.sha256(plain(known).encode()).hexdigest()[:16]


def _named(exercise: dict) -> dict:
    """An exercise as others name it: its kind, label and title, without its text."""
    node = exercise["node"]
    return {**exercise, "node": [type(node), node.attributes, *node.children[:1]]}


def plain(thing: object, above: tuple[int, ...] = ()) -> str:
    """``thing`` in letters, the same in every process: mappings and sets in order, no addresses.

    ``above``: what it is a part of, by ``id``.
    """
    if isinstance(thing, nodes.Node):
        return repr(thing.pformat())
    if thing is None or isinstance(thing, (bool, int, float, str, bytes, PurePath)):
        return repr(thing)
    if id(thing) in above:
        return "…"
    above = (*above, id(thing))
    if isinstance(thing, dict):
        pairs = (f"{plain(key, above)}: {plain(value, above)}" for key, value in thing.items())
        return f"{{{', '.join(sorted(pairs))}}}"
    if isinstance(thing, (set, frozenset)):
        return f"{{{', '.join(sorted(plain(part, above) for part in thing))}}}"
    if isinstance(thing, (list, tuple)):
        return f"[{', '.join(plain(part, above) for part in thing)}]"
    if hasattr(thing, "__qualname__"):  # a class or a function
        return f"{thing.__module__}.{thing.__qualname__}"
    if hasattr(thing, "__dict__"):
        return f"{type(thing).__name__}{plain(vars(thing), above)}"
    return repr(thing)
