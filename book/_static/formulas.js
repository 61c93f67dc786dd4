/* Formulas: in which order MathJax typesets them, and how long ones end a line.

   What the window shows is typeset at once, the rest in pieces while nothing else is to do, all of
   it before a page is printed.  So a page can be read long before its last formula is there.  A
   browser that does not keep what is read in its place when something above it grows (overflow-anchor)
   typesets all in one piece, and so does a page that is made for paper.

   In a line of text, and where a displayed one has no lines of its own, a long formula may end a
   line as in TeX: after a relation or an operation outside parentheses.  MathJax 3 gives it no such
   place.  A formula with a piece wider than the block that it stands in, on a phone or in large
   text, may end a line at more places, within parentheses last; what is wider even so scrolls in a
   box of its own.  That is measured, and again when the block or the letters have another size. */
(() => {
  "use strict";

  const AT_ONCE = 120; // formulas, about a fifth of a second
  const LONG = 16; // letters and signs: below, a formula that fits stays on one line
  const [ORD, OP, BIN, REL, OPEN, CLOSE, PUNCT] = [0, 1, 2, 3, 4, 5, 6]; // MathJax's classes of TeX
  const ROWS = "mjx-mrow, mjx-texatom, mjx-mstyle, mjx-mpadded";
  const OUTSIDE = [[[REL], 0], [[BIN, PUNCT], 0]];
  const INSIDE = [[[CLOSE], 0],
    ...[1, 2, 3].flatMap((depth) => [[[REL, BIN], depth], [[CLOSE], depth], [[PUNCT], depth]])];
  const length = (element) => element.querySelectorAll("mjx-c").length;
  const right = (element) => element.getBoundingClientRect().right;
  const left = (element) => element.getBoundingClientRect().left;

  /* How much a piece of a row holds: in signs, or in pixels. */
  const signs = (piece) => piece.reduce((sum, e) => sum + length(e), 0);
  const pixels = (piece) => (piece.length ? right(piece.at(-1)) - left(piece[0]) : 0);

  /* The parts of a row: each node of the formula with its element on the page. */
  const known = new WeakMap();
  function parts(node, element) {
    if (known.has(element)) return known.get(element);
    const inner = node.childNodes.length === 1 && node.childNodes[0]?.isInferred;
    const nodes = inner ? node.childNodes[0].childNodes : node.childNodes;
    const elements = [...element.children];
    const row = nodes.length === elements.length ? nodes.map((n, i) => [n, elements[i]]) : [];
    known.set(element, row);
    return row;
  }

  /* Whether each part of a row opens or closes: a bar closes what the bar before it opened. */
  function fences(row) {
    const sign = (node) => (node.isEmbellished && node.coreMO()) || node;
    const isBar = ([node]) => sign(node).texClass === ORD && sign(node).isKind("mo")
      && /^[|‖∣∥]$/.test(sign(node).getText());
    const bars = row.filter(isBar);
    return row.map((part) => {
      const number = bars.length % 2 ? -1 : bars.indexOf(part);
      return number < 0 ? part[0].texClass : [OPEN, CLOSE][number % 2];
    });
  }

  /* The places, in a row, after a sign of one of `classes` at `depth` of parentheses; after a closing
     one where another factor follows. */
  function places(row, classes, depth) {
    const fence = fences(row);
    const factor = (i) => fence[i] === OPEN
      || ([ORD, OP].includes(fence[i]) && !row[i][0].isKind("mo"));
    let at = 0;
    return row.filter(([node], i) => {
      if (fence[i] === CLOSE) at -= 1;
      const here = at === depth && i + 1 < row.length && i > 0 && classes.includes(fence[i])
        && (fence[i] === CLOSE ? factor(i + 1) : node.isKind("mo"));
      if (fence[i] === OPEN) at += 1;
      return here;
    }).map(([, element]) => element);
  }

  const ended = (element) => (element.nextElementSibling
    ?? element.closest(".apart:not(:last-child)")?.nextElementSibling)?.localName === "wbr";

  /* Let a line end after `element`; the space before what follows stays behind. */
  function end(element, undo) {
    const next = element.nextElementSibling;
    if (!next) return;
    const space = next.getAttribute("space");
    const rspace = element.getAttribute("rspace");
    if (space) {
      next.removeAttribute("space");
      element.setAttribute("rspace", space);
    }
    const place = document.createElement("wbr");
    element.after(place);
    undo.push(() => {
      place.remove();
      if (!space) return;
      next.setAttribute("space", space);
      if (rspace) element.setAttribute("rspace", rspace);
      else element.removeAttribute("rspace");
    });
  }

  /* Let a row end a line, at more and more places until no piece of it is larger than `most`. */
  function open(node, element, levels, size, most, undo) {
    const row = parts(node, element);
    for (const [classes, depth] of levels) {
      const found = new Set(places(row, classes, depth));
      const pieces = [[]];
      for (const [, e] of row) {
        if (!e.isConnected) continue;
        pieces.at(-1).push(e);
        if (ended(e)) pieces.push([]);
      }
      pieces.filter((piece) => size(piece) > most)
        .forEach((piece) => piece.filter((e) => found.has(e)).forEach((e) => end(e, undo)));
    }
    for (const [inner, e] of row)
      if (e.matches(ROWS) && size([e]) > most) open(inner, e, levels, size, most, undo);
    if (element.matches(".may-break")) return;
    element.classList.add("may-break");
    undo.push(() => element.classList.remove("may-break"));
  }

  /* What wide spaces set apart (\quad) stands on lines of its own rather than being broken. */
  function setApart(row) {
    const wide = (e) => !length(e)
      && parseFloat((e.querySelector("mjx-mspace") ?? e).style.width) >= 1; // em
    const pieces = [[]];
    for (const e of row.children) {
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

  /* The formulas typeset since, which may end a line, long ones already at some places.  All blocks
     are found before the first formula is changed: after each change styles are computed anew. */
  const seen = new WeakSet();
  function formulas() {
    const found = [];
    for (const { root, typesetRoot: box, display } of MathJax.startup.document.math) {
      const row = box?.querySelector(":scope > mjx-math");
      if (!row || seen.has(box)) continue;
      seen.add(box);
      found.push({ root, box, row, display, block: display ? box : blockOf(box), undo: [], seen: "" });
    }
    for (const { root, row, display } of found) {
      if (length(row) <= LONG) continue;
      open(root, row, OUTSIDE, signs, LONG, []);
      if (display) setApart(row);
    }
    return found;
  }

  function blockOf(element) {
    let block = element.parentElement;
    while (/^(inline$|contents)/.test(getComputedStyle(block).display)) block = block.parentElement;
    return block;
  }

  /* The room in a block, and its letters; blocks share what is computed. */
  function surveyor() {
    const rooms = new Map();
    return (block) => {
      if (!rooms.has(block)) {
        const style = getComputedStyle(block);
        const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
        rooms.set(block, [block.clientWidth - padding, style.fontSize]);
      }
      return rooms.get(block);
    };
  }

  /* Formulas too wide for their blocks get more places; those that no longer are lose them. */
  function fit(all) {
    const survey = surveyor();
    const changed = all.filter((formula) => {
      const [room, letters] = survey(formula.block);
      const seen = `${room} ${letters}`;
      const shown = room > 0 && formula.row.firstElementChild;
      if (!shown || seen === formula.seen) return false;
      if (formula.letters !== letters) formula.width = undefined;
      Object.assign(formula, { seen, room, letters });
      return formula.width === undefined || formula.undo.length || formula.width > room;
    });
    if (!changed.length) return;
    changed.forEach(({ undo }) => undo.splice(0).reverse().forEach((back) => back()));
    document.body.classList.add("measured"); // all in one line
    changed.forEach((formula) => {
      formula.width ??= pixels([formula.box.closest(".unbroken") ?? formula.row]);
    });
    const tight = changed.filter(({ width, room }) => width > room + 0.5);
    const most = ({ room, width, row }) => room + 0.5 - (width - pixels([row])); // beside a stop
    tight.forEach((f) => open(f.root, f.row, [...OUTSIDE, ...INSIDE], pixels, most(f), f.undo));
    document.body.classList.remove("measured");
    const inLine = tight.filter(({ box }) => !box.hasAttribute("display"));
    const wide = inLine.filter(({ row, block }) => right(row) > right(block) + 1);
    wide.forEach(({ box, undo }) => {
      box.classList.add("boxed");
      undo.push(() => box.classList.remove("boxed"));
    });
  }

  const all = [];
  const watch = new ResizeObserver(() => fit(all));

  /* Others learn of it by the event typeset, with the elements. */
  function follow(elements) {
    const found = formulas();
    all.push(...found);
    new Set(found.map(({ block }) => block)).forEach((block) => watch.observe(block));
    fit(found);
    document.dispatchEvent(new CustomEvent("typeset", { detail: elements }));
  }

  /* The formulas to typeset next: those in the window or near it, then some of those below, then of
     all others, among them the hidden ones. */
  function next(due) {
    const places = new Map(due.map((e) => [e, e.getBoundingClientRect()]));
    const near = due.filter((e) => {
      const { width, top, bottom } = places.get(e);
      return width && bottom > -innerHeight / 2 && top < 1.5 * innerHeight;
    });
    if (near.length) return near;
    const below = due.filter((e) => places.get(e).top > 0);
    return (below.length ? below : due).slice(0, AT_ONCE);
  }

  const idle = window.requestIdleCallback ?? ((go) => setTimeout(go, 20));
  const pause = () => new Promise((done) => { idle(done, { timeout: 200 }); });

  /* What MathJax does when it is ready: its promise is kept when every formula is typeset. */
  async function typeset() {
    const due = new Set(document.querySelectorAll(".math"));
    const typesetOf = (elements) => {
      elements.forEach((e) => {
        due.delete(e);
        e.classList.add("typeset");
      });
      follow(elements);
    };
    window.addEventListener("beforeprint", () => {
      const rest = [...due];
      if (!rest.length) return;
      MathJax.typeset(rest);
      typesetOf(rest);
    });
    const inOnePiece = matchMedia("print").matches || !CSS.supports("overflow-anchor: auto");
    while (due.size) {
      const some = inOnePiece ? [...due] : next([...due]);
      await MathJax.typesetPromise(some);
      typesetOf(some);
      if (due.size) await pause();
    }
  }

  if (window.MathJax) window.MathJax.startup = { ...window.MathJax.startup, pageReady: typeset };
})();
