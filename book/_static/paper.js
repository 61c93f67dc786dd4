/* Paper is white: what is printed from the dark is set light, in all its colours, and dark again
   afterwards. */
(() => {
  "use strict";

  const root = document.documentElement;
  let before;

  function set(printed) {
    if (printed && before === undefined) {
      before = root.dataset.theme;
      if (before) root.dataset.theme = "light";
    } else if (!printed && before !== undefined) {
      if (before) root.dataset.theme = before;
      before = undefined;
    }
  }

  window.addEventListener("beforeprint", () => set(true));
  window.addEventListener("afterprint", () => set(false));
  matchMedia("print").addEventListener("change", (print) => set(print.matches));
})();
