/* Test error by part of three methods: the reader picks the dimension d and the number n of
   training inputs.  widget.parts (Python) wrote the frame for one choice, its geometry and the
   numbers; here are the controls, and the bars and words for what they choose. */
(() => {
  "use strict";

  const N_PARTS = 3;

  const three = (v) => v.toFixed(3).replace("-", "\u2212");

  function make(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  /* Paths and label of one bar around x; a rest below 0 has no length. */
  function shapes(cell, x, { frame, dot, notRun }) {
    if (!cell) {
      const y = (frame.bottom - 8).toFixed(2);
      return { segments: ["", "", ""], edge: "", bracket: "", label: notRun, y };
    }
    const place = (v) =>
      (frame.bottom - v / frame.limit * (frame.bottom - frame.top)).toFixed(2);
    const ends = [0];
    for (const v of cell.slice(0, N_PARTS)) ends.push(ends.at(-1) + Math.max(0, v));
    const at = ends.map(place);
    const pairs = at.slice(1).map((b, i) => [at[i], b]);
    const [mean, low, high] = cell.slice(N_PARTS).map(place);
    const { half } = frame;
    return {
      segments: pairs.map(([a, b]) => `M${x} ${a}V${b}`),
      edge: pairs.map(([a, b]) => `M${x - half} ${a}V${b}h${2 * half}V${a}z`).join(""),
      bracket:
        `M${x - 5} ${low}h10M${x} ${low}V${high}M${x - 5} ${high}h10M${x} ${mean}${dot}`,
      label: three(cell[N_PARTS]),
      y: (Math.min(high, at[N_PARTS]) - 7).toFixed(2),
    };
  }

  /* One bar in words. */
  function said(cell, name, { parts, notRun }) {
    if (!cell) return `${name}: ${notRun}.`;
    const missed = Object.values(parts).map((words, i) => `${words} ${three(cell[i])}`).join(", ");
    const [error, low, high] = cell.slice(N_PARTS).map(three);
    return `${name}: ${missed}; test error ${error} (${low} to ${high}, seeds: ${cell.at(-1)}).`;
  }

  /* One column of the table. */
  function column(cell, { notRun }) {
    if (!cell) return [notRun, ...Array(2 + N_PARTS).fill("–"), "0"];
    const values = [...cell.slice(N_PARTS, -1), ...cell.slice(0, N_PARTS)];
    return [...values.map(three), cell.at(-1)];
  }

  /* Radio buttons for d, and a slider over the places of n/n_k in data.factors. */
  function makeControls(data, index) {
    const sliderId = `parts-${index}-n`;
    const radios = data.dims.map((d, i) => make("input", {
      type: "radio", name: `parts-${index}-d`, value: i, autocomplete: "off",
      checked: i === data.first[0],
    }));
    const choices = radios.map((radio, i) =>
      make("label", {}, radio, make("span", { textContent: data.dims[i] })));
    const slider = make("input", {
      type: "range", id: sliderId, min: 0, max: data.factors.length - 1, step: 1,
      value: data.first[1], autocomplete: "off",
    });
    const shown = make("output");
    shown.setAttribute("for", sliderId);
    shown.setAttribute("aria-live", "off"); // the slider says its value itself
    const element = make("div", { className: "parts-controls" },
      make("fieldset", {}, make("legend", { innerHTML: "dimension <i>d</i>" }), ...choices),
      make("div", { className: "parts-size" },
        make("label", { htmlFor: sliderId, innerHTML: "training inputs <i>n</i>" }), slider,
        shown));
    return { element, radios, slider, shown };
  }

  function setUp(figure, index) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const svg = figure.querySelector("svg");
    const bars = [...figure.querySelectorAll(".parts-bar")];
    const rows = [...figure.querySelectorAll("tbody tr")];
    const [sayD, sayN, sayFactor, ...sayErrors] = figure.querySelectorAll("[aria-live] b");
    const { element, radios, slider, shown } = makeControls(data, index);

    function draw(i, j) {
      const [d, n, factor] = [data.dims[i], data.n[i][j], data.factors[j]];
      sayD.textContent = d;
      sayN.textContent = n;
      sayFactor.textContent = factor;
      const words = Object.entries(data.methods).map(([method, name], place) => {
        const cell = data.cells[i][j][method];
        const bar = bars[place];
        const label = bar.querySelector(".parts-error");
        const drawn = shapes(cell, Number(label.getAttribute("x")), data);
        bar.querySelectorAll(".parts-part").forEach((path, part) =>
          path.setAttribute("d", drawn.segments[part]));
        bar.querySelector(".parts-edge").setAttribute("d", drawn.edge);
        bar.querySelector(".parts-halo").setAttribute("d", drawn.bracket);
        bar.querySelector(".parts-range").setAttribute("d", drawn.bracket);
        label.setAttribute("y", drawn.y);
        label.textContent = sayErrors[place].textContent = drawn.label;
        column(cell, data).forEach((text, r) => {
          rows[r].querySelectorAll("td")[place].textContent = text;
        });
        return said(cell, name, data);
      });
      const where = `d = ${d}, n = ${n} (${factor} n_${data.k}).`;
      svg.setAttribute("aria-label", [data.alt, where, ...words].join(" "));
    }

    function update() {
      const [i, j] = [radios.findIndex((radio) => radio.checked), Number(slider.value)];
      const [n, factor] = [data.n[i][j], data.factors[j]];
      shown.innerHTML = `${n} (${factor} <i>n</i><sub>${data.k}</sub>)`;
      slider.setAttribute("aria-valuetext", `${n}, that is ${factor} n_${data.k}`);
      draw(i, j);
    }

    figure.querySelector(".parts-panels").before(element);
    element.addEventListener("input", update);
    window.addEventListener("beforeprint", () => draw(...data.first));
    window.addEventListener("afterprint", update);
    update();
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".parts").forEach(setUp);
  });
})();
