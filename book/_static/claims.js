/* Filters for the scorecard: by verdict, by chapter and by source tag.  page.claim_blocks (Python)
   wrote every claim with these three in data- attributes; here are the controls.  A claim is shown
   if its verdict and one of its tags are ticked (no tick: all are) and its chapter is chosen.  What
   is chosen stands in the address (?verdict=partly&chapter=setup&source=D), so that it can be sent. */
(() => {
  "use strict";

  const VERDICTS = {
    reproduced: "reproduced",
    partly: "partly",
    not_reproduced: "not reproduced",
    not_testable: "not testable here",
  };
  const TAGS = {
    A: "abstract", C: "public code", L: "literature", D: "derived", M: "measured", R: "recalled",
  };

  function make(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  /* The chapter's title, up to its colon, as the side bar has it. */
  function titleOf(chapter) {
    const link = [...document.querySelectorAll("nav a[href]")]
      .find((a) => new URL(a.href).pathname.endsWith(`/${chapter}.html`));
    return link ? link.textContent.trim().split(":")[0] : chapter;
  }

  /* One box for each name of `words` that occurs in `values`. */
  function boxes(legend, words, values) {
    const inputs = Object.keys(words).filter((name) => values.includes(name)).map((name) =>
      make("input", { type: "checkbox", value: name, autocomplete: "off" }));
    const labels = inputs.map((input) => {
      const number = values.filter((value) => value === input.value).length;
      return make("label", {}, input, `${words[input.value]} (${number})`);
    });
    return { inputs, field: make("fieldset", {}, make("legend", {}, legend), ...labels) };
  }

  function setUp(claims) {
    const groups = [...document.querySelectorAll(".claims-of")];
    const verdictsOf = claims.map((claim) => claim.dataset.verdict);
    const tagsOf = claims.map((claim) => claim.dataset.source.split(" "));
    const chapters = [...new Set(claims.map((claim) => claim.dataset.chapter))];
    const named = Object.fromEntries(Object.entries(TAGS).map(([k, v]) => [k, `[${k}] ${v}`]));
    const verdicts = boxes("verdict", VERDICTS, verdictsOf);
    const tags = boxes("source", named, tagsOf.flat());
    const chapter = make("select", { id: "claims-chapter", autocomplete: "off" },
      make("option", { value: "" }, "all chapters"),
      ...chapters.map((name) => make("option", { value: name }, titleOf(name))));
    const count = make("output", {});
    count.setAttribute("role", "status"); // read out after each change, when the reader pauses
    const reset = make("button", { type: "button" }, "show all");
    const form = make("form", { className: "claims-filter" },
      verdicts.field, tags.field,
      make("div", { className: "claims-row" },
        make("label", { htmlFor: chapter.id }, "chapter"), chapter, count, reset));
    form.setAttribute("aria-label", "filter the claims");

    const ticked = ({ inputs }) => inputs.filter((i) => i.checked).map((i) => i.value);

    function update() {
      const [wanted, sources] = [ticked(verdicts), ticked(tags)];
      let shown = 0;
      claims.forEach((claim, i) => {
        claim.hidden = (wanted.length > 0 && !wanted.includes(verdictsOf[i]))
          || (chapter.value !== "" && chapter.value !== claim.dataset.chapter)
          || (sources.length > 0 && !tagsOf[i].some((tag) => sources.includes(tag)));
        shown += !claim.hidden;
      });
      for (const group of groups) group.hidden = !group.querySelector(".claim:not([hidden])");
      count.textContent = `${shown} of ${claims.length} claims shown`;
      reset.disabled = !(wanted.length || sources.length || chapter.value);
    }

    /* The address says what is chosen; nothing is loaded, and no step back is added. */
    function tell() {
      const asked = new URLSearchParams();
      for (const [name, values] of [["verdict", ticked(verdicts)], ["source", ticked(tags)]]) {
        for (const value of values) asked.append(name, value);
      }
      if (chapter.value) asked.set("chapter", chapter.value);
      history.replaceState(null, "", `${location.pathname}${asked.size ? `?${asked}` : ""}${location.hash}`);
    }

    /* Choose what the address says; what it does not know is left out. */
    function hear() {
      const asked = new URLSearchParams(location.search);
      const tick = ({ inputs }, name) => inputs.forEach((input) => {
        input.checked = asked.getAll(name).includes(input.value);
      });
      tick(verdicts, "verdict");
      tick(tags, "source");
      if (chapters.includes(asked.get("chapter"))) chapter.value = asked.get("chapter");
    }

    function showAll() {
      for (const input of [...verdicts.inputs, ...tags.inputs]) input.checked = false;
      chapter.value = "";
      update();
      tell();
    }

    /* A link to a claim finds it, whatever is filtered. */
    function reveal() {
      const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (!target || !claims.includes(target) || !target.hidden) return;
      showAll();
      target.scrollIntoView();
    }

    form.addEventListener("change", () => {
      update();
      tell();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    reset.addEventListener("click", () => {
      showAll();
      verdicts.inputs[0].focus(); // the button itself is now disabled
    });
    window.addEventListener("hashchange", reveal);
    (document.querySelector(".claims-chapters") ?? claims[0]).before(form);
    hear();
    update();
    reveal();
  }

  function start() {
    const claims = [...document.querySelectorAll(".claim[data-verdict]")];
    if (claims.length) setUp(claims);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
