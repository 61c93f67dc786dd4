/* The order of what the search finds, and the words it is shown with.  Sphinx puts this file into
   language_data.js, which the page of the search loads after its own searchtools.js. */

/* A page whose title has every word that was asked for comes first, and before it the statement or
   the word that was asked for by its name.  What a reader types is first of all in a chapter or in
   the glossary; pages made from sources, and those about the book itself, come after. */
Scorer.score = ([page, title, anchor, description, score]) => {
  const query = (new URLSearchParams(location.search).get("q") ?? "").trim().toLowerCase();
  const stemmer = new Stemmer();
  const stems = (text) => splitQuery(text.toLowerCase()).filter((w) => !stopwords.includes(w))
    .map((word) => stemmer.stemWord(word));
  const own = stems(title);
  const titled = !anchor && stems(query).every((stem) => own.includes(stem));
  if (/^book\/reference\/|^_modules\//.test(page)) return score - (description ? 25 : 12);
  const name = title.toLowerCase().split(" > ")[1] ?? "";
  const named = name === query ? 30 : name.startsWith(query) ? 15 : 0;
  const here = score + named + (titled ? 8 : 0);
  if (page === "book/glossary") return here + (description ? 20 : 0);
  const about = /^book\/(scorecard|sources|contributing|bibliography|notation|errata|change-our-mind)$/;
  if (about.test(page)) return here - (anchor ? 0 : 6);
  return here + 10;
};

(() => {
  "use strict";

  const NOT_TEXT = ".headerlink, script, style, noscript, [role=tooltip], .origin, .provenance, "
    + ".claims-list, .cell_input, .conditions, button, p:has(a.download)";
  const BLOCKS = "p, .passage, li, dt, dd, td, th, pre, h1, h2, h3, h4, figcaption, summary";
  const GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
    + "finalsigma sigma tau upsilon phi chi psi omega";
  const SIGNS = {
    cdot: "·", times: "×", le: "≤", ge: "≥", ne: "≠", ll: "≪", gg: "≫", approx: "≈", sim: "∼", pm: "±",
    in: "∈", to: "→", infty: "∞", sum: "∑", sqrt: "√", ell: "ℓ", lVert: "‖", rVert: "‖", dots: "…",
    nabla: "∇", partial: "∂", langle: "⟨", rangle: "⟩", top: "⊤", lesssim: "≲", mid: "|",
    Delta: "Δ", Lambda: "Λ", Phi: "Φ", Pi: "Π", Sigma: "Σ",
  };
  GREEK.split(" ").forEach((name, i) => { SIGNS[name] = String.fromCodePoint(0x3b1 + i); });
  Object.assign(SIGNS, { varepsilon: "ε", varphi: "φ" });
  const NAMED = /^(log|ln|exp|sin|cos|tanh|erf|max|min|sup|inf|tr|dim|sign)$/;
  const LONG = 24; // letters: a longer formula says nothing in a line of text

  /* A formula in letters, or an ellipsis. */
  function letters(tex) {
    const plain = tex.replace(/\\[([]|\\[\])]/g, "").replace(/\\[,;:! ]|\\q?quad/g, " ")
      .replace(/\\([A-Za-z]+)\s*/g, (_, name) => SIGNS[name] ?? (NAMED.test(name) ? name : ""))
      .replace(/[{}\\]/g, "").replace(/\s+/g, " ").trim();
    return plain.length > LONG ? "…" : plain;
  }

  /* The words of a page, or of the place in it that `anchor` names. */
  Search.htmlToText = (text, anchor) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    const whole = page.querySelector("article.bd-article") ?? page.querySelector('[role="main"]');
    const place = (anchor && page.getElementById(decodeURIComponent(anchor.slice(1)))) || whole;
    if (!place) return "";
    for (const element of place.querySelectorAll(NOT_TEXT)) element.remove();
    for (const formula of place.querySelectorAll(".math")) {
      formula.textContent = letters(formula.textContent);
    }
    for (const block of place.querySelectorAll(BLOCKS)) block.prepend(" ");
    return place.textContent.replace(/\s+/g, " ");
  };
})();
