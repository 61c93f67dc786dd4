/* The page by keyboard and by screen reader: what can be scrolled sideways can be reached, and the
   side bar is a landmark whose folded parts have names.  Without this script everything is there,
   but such a box needs a mouse in some browsers. */
(() => {
  "use strict";

  // The theme looks after listings and tables of its own.
  const BOXES = ".drawing, .results, .cell_output, .bd-article div.math, "
    + "mjx-container[display='true']";

  function letIn(box) {
    const wide = box.scrollWidth > box.clientWidth + 1
      && /auto|scroll/.test(getComputedStyle(box).overflowX);
    if (wide && !box.hasAttribute("tabindex")) {
      box.tabIndex = 0;
      box.dataset.letIn = "";
    } else if (!wide && "letIn" in box.dataset) {
      box.removeAttribute("tabindex");
      delete box.dataset.letIn;
    }
  }

  function start() {
    const watch = new ResizeObserver((seen) => seen.forEach(({ target }) => letIn(target)));
    document.querySelectorAll(BOXES).forEach((box) => watch.observe(box));
    window.MathJax?.startup?.promise?.then(() =>
      document.querySelectorAll(BOXES).forEach((box) => { watch.observe(box); letIn(box); }));
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
