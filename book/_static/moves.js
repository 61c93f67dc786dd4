/* The figure that the reader moves: along a movement c·W the model predicts c·f_L + c²·f_Q.
   widget.moves (Python) wrote the frame at c = 1, its geometry and the numbers; here are the
   controls, and the marks and words for what they choose. */
(() => {
  "use strict";

  const meanSquare = (values) => values.reduce((sum, v) => sum + v * v, 0) / values.length;

  function fewDigits(v) {
    if (v === 0) return "0";
    if (v < 0.001) return "below 0.001";
    return v < 9.95 ? v.toPrecision(2) : v.toFixed(0);
  }

  /* Where a value lies in the drawing; beyond the frame: at its edge. */
  function place(v, [low, high, start, end]) {
    return (start + (Math.min(Math.max(v, low), high) - low) / (high - low) * (end - start))
      .toFixed(2);
  }

  /* The name of the edge that a point lies beyond, if any. */
  function edge(x, y, frame) {
    if (y > frame.y[1]) return "up";
    if (y < frame.y[0]) return "down";
    if (x > frame.x[1]) return "right";
    return x < frame.x[0] ? "left" : null;
  }

  function make(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function setUp(figure, index) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const panels = [...figure.querySelectorAll(".moves-panel")].map((panel) => {
      const svg = panel.querySelector("svg");
      return {
        svg,
        side: data.sides[svg.dataset.side],
        marks: svg.querySelectorAll(".moves-marks path"),
        means: panel.querySelectorAll("p b"),
      };
    });
    const [captionKind, captionC] = figure.querySelectorAll(".moves-caption span");
    const group = `moves-${index}-kind`;
    const sliderId = `moves-${index}-c`;

    const radios = Object.keys(data.kinds).map((value) => make("input", {
      type: "radio", name: group, value, autocomplete: "off", checked: value === data.first,
    }));
    const choices = radios.map((radio) =>
      make("label", {}, radio, make("span", { innerHTML: data.kinds[radio.value] })));
    const slider = make("input", {
      type: "range", id: sliderId, min: 0, max: 1.5, step: 0.01, value: 1, autocomplete: "off",
    });
    const shown = make("output", {}, "1.00");
    shown.setAttribute("for", sliderId);
    shown.setAttribute("aria-live", "off"); // the slider says its value itself
    const controls = make("div", { className: "moves-controls" },
      make("fieldset", {}, make("legend", { textContent: "movement" }), ...choices),
      make("div", { className: "moves-amplitude" },
        make("label", { htmlFor: sliderId, innerHTML: "amplitude <i>c</i>" }), slider, shown));

    function draw(kind, c) {
      captionKind.innerHTML = data.kinds[kind];
      captionC.textContent = c.toFixed(2);
      for (const { svg, side, marks, means } of panels) {
        const linear = side[kind][0].map((v) => c * v);
        const quadratic = side[kind][1].map((v) => c * c * v);
        let beyond = 0;
        side.x.forEach((x, i) => {
          const y = linear[i] + quadratic[i];
          const name = edge(x, y, data.frame);
          if (name) beyond += 1;
          const at = `M${place(x, data.frame.x)} ${place(y, data.frame.y)}`;
          marks[i].setAttribute("d", at + (name ? data.edges[name] : side.dot));
        });
        means[0].textContent = fewDigits(meanSquare(linear));
        means[1].textContent = fewDigits(meanSquare(quadratic));
        const movement = `${captionKind.textContent}, c = ${c.toFixed(2)}`;
        const alt = `${side.alt} Movement: ${movement}; ${beyond} beyond the frame.`;
        svg.setAttribute("aria-label", alt);
      }
    }

    function update() {
      const c = Number(slider.value);
      shown.textContent = c.toFixed(2);
      draw(radios.find((radio) => radio.checked).value, c);
    }

    figure.querySelector(".moves-panels").before(controls);
    controls.addEventListener("input", update);
    window.addEventListener("beforeprint", () => draw(data.first, 1));
    window.addEventListener("afterprint", update);
    update();
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".moves").forEach(setUp);
  });
})();
