/* The page by keyboard and by screen reader: what can be scrolled sideways can be reached, and the
   side bar is a landmark whose folded parts have names.  Without this script everything is there,
   but such a box needs a mouse in some browsers.

   What can be scrolled sideways says so: it has the class goes-on, and what part of it it shows, for
   a bar (book.css) that is seen with every kind of scroll bar. */
(() => {
  "use strict";

  const TABLES = ".pst-scrollable-table-container"; // the theme lets the keyboard in
  const BOXES = `${TABLES}, .drawing, .results, .cell_output, .cell_output .output, `
    + ".bd-article .admonition, .bd-article div.math, mjx-container";

  /* By how much a box is too narrow.  Its own widths are whole pixels, those of a formula are not. */
  function lacking(box) {
    const formula = box.matches("mjx-container") && box.querySelector("mjx-math");
    const exact = formula
      ? formula.getBoundingClientRect().width - box.getBoundingClientRect().width : 0;
    return Math.max(exact, box.scrollWidth - box.clientWidth);
  }

  function letIn(box) {
    const wide = lacking(box) > 1
      && /auto|scroll/.test(getComputedStyle(box).overflowX);
    mark(box, wide);
    if (box.matches(TABLES)) return;
    if (wide && !box.hasAttribute("tabindex")) {
      box.tabIndex = 0;
      box.dataset.letIn = "";
    } else if (!wide && "letIn" in box.dataset) {
      box.removeAttribute("tabindex");
      delete box.dataset.letIn;
    }
  }

  function mark(box, wide) {
    box.classList.toggle("goes-on", wide);
    if (!wide) return;
    box.style.setProperty("--shown", box.clientWidth / box.scrollWidth);
    box.style.setProperty("--passed", box.scrollLeft / (box.scrollWidth - box.clientWidth));
  }

  function start() {
    const watch = new ResizeObserver((seen) => seen.forEach(({ target }) => letIn(target)));
    document.addEventListener("scroll", ({ target }) => {
      if (target.classList?.contains("goes-on")) mark(target, true);
    }, { capture: true, passive: true });
    document.querySelectorAll(BOXES).forEach((box) => watch.observe(box));
    document.addEventListener("typeset", ({ detail }) => detail.forEach((formula) => {
      const boxes = [formula.closest(BOXES), ...formula.querySelectorAll("mjx-container")];
      boxes.forEach((box) => box && watch.observe(box)); // it looks again at one that it knows
    }));
    const bar = document.getElementById("pst-primary-sidebar");
    if (bar && !bar.hasAttribute("role")) {
      bar.setAttribute("role", "complementary");
      bar.setAttribute("aria-label", "Contents of the book");
    }
    bar?.querySelectorAll(".has-children > details > summary").forEach((fold) => {
      const title = fold.closest(".has-children").querySelector("a").textContent.trim();
      fold.setAttribute("aria-label", `Pages of ${title}`);
    });
  }

  document.addEventListener("DOMContentLoaded", start);
})();
