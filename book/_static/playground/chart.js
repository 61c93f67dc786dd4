/* The playground's three drawings: losses and what was learned over time, and the fit along β.
   Colours are those of the book's figures, by classes (playground.css); names stand at the ends of
   curves, so that no colour has to be looked up. */
const playgroundCharts = (() => {
  "use strict";

  const SPACE = "http://www.w3.org/2000/svg";
  const VIEW = { width: 360, height: 270, left: 40, right: 274, top: 28, bottom: 226 };
  const LINE = 14; // least distance of two names

  function element(tag, attributes = {}, ...children) {
    const made = document.createElementNS(SPACE, tag);
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    made.append(...children);
    return made;
  }

  /* "f_L dense": letters after _ stand below. */
  function text(words, attributes) {
    const made = element("text", attributes);
    words.split(/(_\w)/).forEach((piece) => {
      if (piece.startsWith("_")) {
        made.append(element("tspan", { dy: 3, "font-size": "75%" }, piece[1]));
      } else if (piece) {
        made.append(made.childNodes.length ? element("tspan", { dy: -3 }, piece) : piece);
      }
    });
    return made;
  }

  const log = Math.log10;
  const place = (value, [low, high], start, end) =>
    start + (Math.min(Math.max(value, low), high) - low) / (high - low) * (end - start);

  const OVER_TIME = {
    across: (t) => log(t + 1), x: [0, 3], xName: "t + 1",
    xTicks: [[0, "1"], [1, "10"], [2, "100"], [3, "1000"]],
  };
  const KINDS = {
    losses: {
      ...OVER_TIME, title: "Losses", up: log, y: [-3, 0.5],
      yTicks: [[-3, "0.001"], [-2, "0.01"], [-1, "0.1"], [0, "1"]],
    },
    learned: {
      ...OVER_TIME, title: "Learned of each part", up: (v) => v, y: [-0.25, 1.25],
      yTicks: [[0, "0"], [0.5, "½"], [1, "all"]], level: 1,
    },
    fit: {
      title: "Fit along β", across: (v) => v, up: (v) => v, x: [-3, 3], y: [-2, 6],
      xName: "β·x", xTicks: [[-2, "−2"], [0, "0"], [2, "2"]],
      yTicks: [[-2, "−2"], [0, "0"], [2, "2"], [4, "4"], [6, "6"]], level: 0,
    },
  };

  /* A frame with its axes; draw(curves) fills it.  A curve: {name, kind, points, faint, dashed}. */
  function chart(which) {
    const { title, across, up, x, y, xName, xTicks, yTicks, level } = KINDS[which];
    const { width, height, left, right, top, bottom } = VIEW;
    const X = (v) => place(v, x, left, right), Y = (v) => place(v, y, bottom, top);
    const curves = element("g"), names = element("g");
    const svg = element("svg", {
      viewBox: `0 0 ${width} ${height}`, width, role: "img", "aria-label": title, "data-chart": which,
      "font-size": 13, fill: "currentColor", class: "playground-chart",
    },
      text(title, { x: left, y: 16, "font-weight": 600 }),
      element("path", { class: "frame", fill: "none", d: `M${left} ${top}V${bottom}H${right}` }),
      ...xTicks.map(([v, words]) =>
        text(words, { x: X(v), y: bottom + 17, "text-anchor": "middle" })),
      ...yTicks.map(([v, words]) =>
        text(words, { x: left - 6, y: Y(v) + 4, "text-anchor": "end" })),
      text(xName, { x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }),
      curves, names);
    if (level !== undefined) {
      const d = `M${left} ${Y(level)}H${right}`;
      curves.before(element("path", { class: "level", fill: "none", d }));
    }

    /* Curves that go below the frame, or to 0 on a logarithmic axis, run along its lower edge. */
    function path(points) {
      return points.map(([a, b], i) =>
        `${i ? "L" : "M"}${X(across(a)).toFixed(1)} ${Y(up(b)).toFixed(1)}`).join("");
    }

    function draw(all) {
      const drawn = all.filter(({ points }) => points.length);
      curves.replaceChildren(...drawn.map(({ kind, points, faint, dashed }) => element("path", {
        class: `curve ${kind}${faint ? " faint" : ""}${dashed ? " dashed" : ""}`, fill: "none",
        d: path(points),
      })));
      const ends = drawn.filter(({ name }) => name).map(({ name, kind, points }) =>
        ({ name, kind, y: Y(up(points.at(-1)[1])) })).sort((a, b) => a.y - b.y);
      ends.forEach((end, i) => { if (i) end.y = Math.max(end.y, ends[i - 1].y + LINE); });
      const over = ends.length ? Math.max(0, ends.at(-1).y - bottom) : 0;
      ends.reverse().forEach((end, i, list) => {
        end.y = i ? Math.min(end.y, list[i - 1].y - LINE) : end.y - over;
      });
      names.replaceChildren(...ends.map(({ name, kind, y: at }) =>
        text(name, { class: `name ${kind}`, x: right + 6, y: (at + 4).toFixed(1) })));
    }

    return { svg, draw };
  }

  /* --- what a run draws ----------------------------------------------------------------------- */

  const overTime = (run, name) =>
    run.points.filter((p) => p.values[name] !== null).map((p) => [p.time, p.values[name]]);

  const curvesOf = {
    losses: (run) => [
      { name: "R_2", kind: "leak", points: overTime(run, "R_2") },
      { name: "training", kind: "train", points: overTime(run, "train") },
      { name: "test", kind: "test", points: overTime(run, "test") },
    ],
    learned: (run) => ["linear", "quadratic"].flatMap((term) => ["dense", "sparse"].map((part) => ({
      name: `${term === "linear" ? "f_L" : "f_Q"} ${part}`, kind: term, dashed: part === "sparse",
      points: overTime(run, `${term}_${part}`),
    }))),
    fit: (run) => {
      const last = run.points.at(-1);
      if (!run.line || !last) return [];
      const { linear, quadratic } = last.values.profile, { places, target } = run.line;
      const along = (f) => (f ? places.map((z, i) => [z, f[i]]) : []);
      const sum = linear && quadratic ? linear.map((v, i) => v + quadratic[i]) : null;
      return [
        { name: "target", kind: "target", dashed: true, points: along(target) },
        { name: "f_L", kind: "linear", points: along(linear) },
        { name: "f_Q", kind: "quadratic", points: along(quadratic) },
        { name: "f_L + f_Q", kind: "joint", points: along(sum) },
      ];
    },
  };

  /* Of another run what compares best, faint: its test loss, the sparse part, its whole fit. */
  const faintOf = {
    losses: (run) => curvesOf.losses(run).filter(({ kind }) => kind === "test"),
    learned: (run) => curvesOf.learned(run).filter(({ dashed }) => dashed),
    fit: (run) => curvesOf.fit(run)
      .filter(({ kind, points }) => kind !== "target" && points.length).slice(-1),
  };

  /* The three drawings; draw(shown, others) with runs {points: [{time, values}], line}. */
  function panels() {
    const charts = Object.keys(KINDS).map((which) => [which, chart(which)]);
    return {
      svgs: charts.map(([, { svg }]) => svg),
      draw(shown, others) {
        charts.forEach(([which, { draw }]) => draw([
          ...others.flatMap((run) => faintOf[which](run))
            .map((curve) => ({ ...curve, name: "", faint: true })),
          ...curvesOf[which](shown),
        ]));
      },
    };
  }

  return { panels };
})();
