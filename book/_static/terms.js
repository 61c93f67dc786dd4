/* Definitions of terms, and lists that open over the text.  The style sheet shows one while its
   term, or it itself, is pointed at or has the focus.  This adds: Escape puts it away; it stands
   above its term where there is no room below, and over it where there is none above; on a touch
   screen the first tap shows it and the second follows the link.  A badge's list is put away by
   Escape too, which gives the badge the focus, and by a click beside it. */
(() => {
  "use strict";

  const LISTS = ".claims[open]:not(.conditions *)";
  const BOX = ":scope > [role=tooltip]";
  const isShown = (term) =>
    !("dismissed" in term.dataset) && term.matches(":hover, :focus-within");

  function place(term) {
    const definition = term.querySelector(BOX);
    definition.style.removeProperty("translate");
    const box = definition.getBoundingClientRect();
    const word = term.firstElementChild.getBoundingClientRect();
    const head = document.querySelector(".bd-header-article")?.getBoundingClientRect().bottom ?? 0;
    if (box.bottom <= innerHeight) return;
    const above = word.top - box.height;
    const top = above > head ? above : Math.max(head, innerHeight - box.height);
    definition.style.translate = `0 ${top - box.top}px`;
  }

  function start() {
    const terms = [...document.querySelectorAll(".bd-article .term")];
    terms.forEach((term) => {
      ["pointerenter", "focusin"].forEach((event) => term.addEventListener(event, () => {
        if (!isShown(term)) delete term.dataset.dismissed;
        place(term);
      }));
      const link = term.querySelector(":scope > a");
      let first = false;
      term.addEventListener("pointerdown", (event) => {
        first = event.pointerType === "touch" && !("tapped" in term.dataset);
      }, true);
      link.addEventListener("click", (event) => {
        if (!first) return;
        event.preventDefault();
        term.dataset.tapped = "";
        link.focus();
      });
      term.addEventListener("focusout", () => delete term.dataset.tapped);
    });
    document.addEventListener("click", ({ target }) => {
      document.querySelectorAll(LISTS).forEach((list) => { list.open = list.contains(target); });
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      document.querySelectorAll(LISTS).forEach((list) => {
        list.open = false;
        list.firstElementChild.focus();
      });
      terms.filter(isShown).forEach((term) => { term.dataset.dismissed = ""; });
    });
  }

  document.addEventListener("DOMContentLoaded", start);
})();
