/* Long formulas, once MathJax has typeset them.

   In a line of text, and where a displayed one has no lines of its own, a long formula may end a
   line as in TeX: after a relation or an operation, outside parentheses first.  MathJax 3 gives it
   no such place.  A displayed formula that is still wider than a phone scrolls in its box; the box
   then has the class goes-on, and what part of the formula it shows, for a bar (book.css) that is
   seen with every kind of scroll bar. */
(() => {
  "use strict";

  const LONG = 16; // letters and signs: below, a formula stays on one line
  const [BIN, REL, OPEN, CLOSE, PUNCT] = [2, 3, 4, 5, 6]; // MathJax's classes of TeX
  const ROWS = "mjx-mrow, mjx-texatom, mjx-mstyle, mjx-mpadded";
  const length = (element) => element.querySelectorAll("mjx-c").length;

  /* The parts of a row: each node of the formula with its element on the page. */
  function parts(node, element) {
    const inner = node.childNodes.length === 1 && node.childNodes[0]?.isInferred;
    const nodes = inner ? node.childNodes[0].childNodes : node.childNodes;
    const elements = [...element.children].filter((e) => e.localName !== "wbr");
    return nodes.length === elements.length ? nodes.map((n, i) => [n, elements[i]]) : [];
  }

  /* The places, in a row, after a sign of one of `classes` at `depth` of parentheses. */
  function places(row, classes, depth) {
    let at = 0;
    return row.filter(([node], i) => {
      if (node.texClass === CLOSE) at -= 1;
      const here = at === depth && i + 1 < row.length && i > 0 && classes.includes(node.texClass)
        && node.isKind("mo");
      if (node.texClass === OPEN) at += 1;
      return here;
    }).map(([, element]) => element);
  }

  /* Let a line end after `element`; the space before what follows stays behind. */
  function end(element) {
    const next = element.nextElementSibling;
    const space = next.getAttribute("space");
    if (space) {
      next.removeAttribute("space");
      element.setAttribute("rspace", space);
    }
    element.after(document.createElement("wbr"));
  }

  /* Let a row end a line, at more and more places until no piece of it is long. */
  function open(node, element) {
    const row = parts(node, element);
    const ends = new Set();
    const levels = [[[REL], 0], [[BIN, PUNCT], 0], [[REL, BIN, PUNCT], 1], [[REL, BIN, PUNCT], 2]];
    for (const [classes, depth] of levels) {
      const found = new Set(places(row, classes, depth));
      let piece = [];
      const settle = () => {
        if (piece.reduce((sum, e) => sum + length(e), 0) > LONG)
          piece.filter((e) => found.has(e)).forEach((e) => ends.add(e));
        piece = [];
      };
      const before = new Set(ends);
      for (const [, e] of row) {
        piece.push(e);
        if (before.has(e)) settle();
      }
      settle();
    }
    ends.forEach(end);
    for (const [inner, e] of row)
      if (e.matches(ROWS) && length(e) > LONG) open(inner, e);
    element.classList.add("may-break");
  }

  /* What wide spaces set apart (\quad) stands on lines of its own rather than being broken. */
  function setApart(row) {
    const wide = (e) => !length(e)
      && parseFloat((e.querySelector("mjx-mspace") ?? e).style.width) >= 1; // em
    const pieces = [[]];
    for (const e of [...row.children]) {
      if (wide(e)) pieces.push([]);
      else pieces.at(-1).push(e);
    }
    if (pieces.length === 1) return;
    row.replaceChildren(...pieces.flatMap((piece) => {
      const apart = document.createElement("span");
      apart.className = "apart";
      apart.append(...piece);
      return [apart, document.createElement("wbr")];
    }));
  }

  function openLong() {
    for (const { root, typesetRoot, display } of MathJax.startup.document.math) {
      const row = typesetRoot?.querySelector(":scope > mjx-math");
      if (!row || length(row) <= LONG) continue;
      open(root, row);
      if (display) setApart(row);
    }
  }

  function mark(box) {
    const hidden = box.scrollWidth - box.clientWidth;
    box.classList.toggle("goes-on", hidden > 1);
    box.style.setProperty("--shown", box.clientWidth / box.scrollWidth);
    box.style.setProperty("--passed", hidden > 1 ? box.scrollLeft / hidden : 0);
  }

  function watch() {
    const resized = new ResizeObserver((seen) => seen.forEach(({ target }) => mark(target)));
    document.querySelectorAll("div.math > mjx-container").forEach((box) => {
      box.addEventListener("scroll", () => mark(box), { passive: true });
      resized.observe(box);
    });
  }

  document.addEventListener("DOMContentLoaded", () =>
    window.MathJax?.startup?.promise?.then(() => { openLong(); watch(); }));
})();
