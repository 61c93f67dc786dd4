/* The playground: controls, runs in workers, the table of runs, tasks.  The page has the drawings
   of a recorded run (playpage.py); they go when the reader's first run comes. */
(() => {
  "use strict";

  const model = playgroundModel();
  const { number, percent } = playgroundTasks;
  const AT_ONCE = 2; // workers

  const RANGES = {
    d: { name: "dimension <i>d</i>", min: 8, max: 40, step: 4 },
    n: { name: "training inputs <i>n</i>", min: 60, max: 600, step: 20 },
    m: { name: "width <i>m</i>", min: 100, max: 2000, step: 100 },
    lambda: {
      name: "<i>λ</i><sub>2</sub>, of <i>R</i><sub>2</sub>",
      values: [0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100],
    },
  };
  const CHOICES = {
    target: {
      name: "target", values: { both: "dense + sparse", dense: "dense", sparse: "sparse" },
    },
    model: {
      name: "fits",
      values: {
        joint: "<i>f</i><sub>L</sub> + <i>f</i><sub>Q</sub>",
        linear: "<i>f</i><sub>L</sub>", quadratic: "<i>f</i><sub>Q</sub>",
      },
    },
    activation: {
      name: "activation <i>σ</i>(<i>z</i>)",
      values: { sine: "sin(z + π/4)", sigmoid: "sigmoid(z − 1)", erf: "erf(z)", relu: "max(z, 0)" },
    },
  };
  const SEEDS = { min: 1, max: 9999 };
  const COLUMNS = {
    test: "test", train: "training", R_2: "R_2",
    linear_dense: "f_L dense", linear_sparse: "f_L sparse",
    quadratic_dense: "f_Q dense", quadratic_sparse: "f_Q sparse",
  };
  const LOSSES = ["test", "train", "R_2"];

  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  /* "f_L" as HTML. */
  const html = (words) => words.replace(/([fR])_(\w)/g, "<i>$1</i><sub>$2</sub>")
    .replace("λ_2", "<i>λ</i><sub>2</sub>");

  const shown = (name, v) => {
    if (v === null || v === undefined) return "–";
    return LOSSES.includes(name) ? number(v).replace("below ", "< ") : percent(v);
  };

  // --- settings, and the address that has them ----------------------------------------------------

  const same = (a, b) => Object.keys(model.defaults).every((name) => a[name] === b[name]);
  const address = (settings) => `#${new URLSearchParams(settings)}`;

  /* What the address says, where it is something that can be chosen; else the default. */
  function fromAddress(hash) {
    const settings = { ...model.defaults };
    new URLSearchParams(hash.slice(1)).forEach((text, name) => {
      if (CHOICES[name] && text in CHOICES[name].values) settings[name] = text;
      const value = Number(text), range = name === "seed" ? SEEDS : RANGES[name];
      if (!range || text.trim() === "" || !Number.isFinite(value)) return;
      const { values, min, max, step = 1 } = range;
      const [low, high] = values ? [values[0], values.at(-1)] : [min, max];
      const within = Math.min(Math.max(value, low), high);
      settings[name] = values
        ? values.reduce((a, b) => (Math.abs(b - within) < Math.abs(a - within) ? b : a))
        : min + step * Math.round((within - min) / step);
    });
    return settings;
  }

  /* What sets a run apart from the default, in words. */
  function described(settings) {
    const words = Object.keys(model.defaults).filter((name) =>
      settings[name] !== model.defaults[name]).map((name) => {
      if (name === "lambda") return `λ_2 = ${settings.lambda}`;
      if (name === "model") return `${settings.model === "linear" ? "f_L" : "f_Q"} alone`;
      if (name === "target") return `target ${settings.target}`;
      if (name === "activation") return CHOICES.activation.values[settings.activation];
      return `${name} = ${settings[name]}`.replace("seed =", "seed");
    });
    return words.length ? words.join(", ") : "default";
  }

  // --- controls -----------------------------------------------------------------------------------

  function makeControls(changed) {
    const inputs = {};
    const sliders = Object.entries(RANGES).map(([name, { name: label, values, ...limits }]) => {
      const id = `playground-${name}`;
      const range = values ? { min: 0, max: values.length - 1, step: 1 } : limits;
      const input = make("input", { type: "range", id, autocomplete: "off", ...range });
      const output = make("output", { htmlFor: id });
      output.setAttribute("aria-live", "off"); // the slider says its value itself
      const show = () => {
        output.textContent = inputs[name].get();
        input.setAttribute("aria-valuetext", output.textContent);
      };
      inputs[name] = {
        get: () => (values ? values[input.valueAsNumber] : input.valueAsNumber),
        set: (v) => { input.value = values ? values.indexOf(v) : v; show(); },
        enable: (on) => { input.disabled = !on; },
      };
      input.addEventListener("input", show);
      return make("div", { className: "playground-slider" },
        make("label", { htmlFor: id, innerHTML: label }), input, output);
    });
    const choices = Object.entries(CHOICES).map(([name, { name: label, values }]) => {
      const radios = Object.keys(values).map((value) => make("input", {
        type: "radio", name: `playground-${name}`, value, autocomplete: "off",
      }));
      inputs[name] = {
        get: () => radios.find((radio) => radio.checked).value,
        set: (v) => radios.forEach((radio) => { radio.checked = radio.value === v; }),
      };
      return make("fieldset", {}, make("legend", { innerHTML: label }), ...radios.map((radio) =>
        make("label", {}, radio, make("span", { innerHTML: values[radio.value] }))));
    });
    const seed = make("input", {
      type: "number", id: "playground-seed", autocomplete: "off", required: true, ...SEEDS,
    });
    inputs.seed = { get: () => seed.valueAsNumber, set: (v) => { seed.value = v; } };
    const run = make("button", { type: "submit", className: "playground-run" }, "Run");
    const stop = make("button", { type: "button", disabled: true }, "Stop");
    const form = make("form", { className: "playground-controls" },
      make("div", { className: "playground-sliders" }, ...sliders), ...choices,
      make("div", { className: "playground-keys" },
        make("label", { htmlFor: "playground-seed" }, "seed"), seed, run, stop,
        make("span", {}, "or press ", make("kbd", {}, "r"))));

    const get = () => Object.fromEntries(Object.keys(model.defaults).map((name) =>
      [name, inputs[name].get()]));
    const settle = () => inputs.lambda.enable(inputs.model.get() !== "quadratic"); // R_2 is of f_L
    form.addEventListener("input", () => { settle(); if (form.checkValidity()) changed(get()); });
    return {
      form, stop, get,
      set(settings) {
        Object.entries(settings).forEach(([name, v]) => inputs[name].set(v));
        settle();
      },
    };
  }

  // --- one run ------------------------------------------------------------------------------------

  const SOURCE = `(${playgroundWorker})((${playgroundModel})());`;
  let workerAddress;

  /* A worker from text: a browser takes no file of a worker where the page is a file itself. */
  function startWorker(run, heard) {
    workerAddress ??= URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" }));
    try {
      run.worker = new Worker(workerAddress);
    } catch { // a browser, or a server's policy, that allows none
      run.outcome = "failed";
      setTimeout(() => heard(run));
      return;
    }
    const finish = (how) => {
      run.worker.terminate();
      Object.assign(run, { worker: null, outcome: "failed" }, how);
      heard(run);
    };
    run.worker.onerror = () => finish({});
    run.worker.onmessage = ({ data }) => {
      if (data.line) run.line = data.line;
      if (data.values) run.points.push(data);
      if (data.outcome) finish(data);
      else heard(run);
    };
    run.worker.postMessage(run.settings);
  }

  const end = (run) => run.points.at(-1)?.values;
  const isWhole = (run) => run.outcome === "reached end";

  function inWords(run) {
    const values = end(run);
    if (!values) return `Run ${run.id} (${described(run.settings)}) came to nothing.`;
    const parts = ["dense", "sparse"].map((part) => {
      const learned = ["linear", "quadratic"].filter((t) => values[`${t}_${part}`] !== null)
        .map((t) => `${t === "linear" ? "f_L" : "f_Q"} has ${percent(values[`${t}_${part}`])}`);
      return learned.length ? ` Of the ${part} part ${learned.join(" and ")}.` : "";
    });
    const leak = values.R_2 === null ? "" : `, R_2 ${number(values.R_2)}`;
    const how = isWhole(run) ? "" : ` Outcome: ${run.outcome}.`;
    return `Run ${run.id} (${described(run.settings)}): test loss ${number(values.test)}, training `
      + `loss ${number(values.train)}${leak}.${parts.join("")}${how}`;
  }

  // --- the page -----------------------------------------------------------------------------------

  function setUp(root) {
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    const story = root.querySelector(".playground-story");
    const runs = [];
    let shownRun = null, task = null, lastId = 0, due = false;

    const charts = playgroundCharts.panels();
    const panels = make("div", { className: "playground-panels", hidden: true }, ...charts.svgs);
    const status = make("p", { className: "playground-status" });
    status.setAttribute("role", "status");
    const bar = make("progress", { max: 1, value: 0, hidden: true });
    bar.setAttribute("aria-label", "progress of training");
    const question = make("div", { className: "playground-question", hidden: true });
    const caption = make("p", { className: "playground-caption", hidden: true },
      "Runs: the chosen one is bold, the others are faint. Dashed over time: the sparse part. The "
      + "link of a run has its settings: send it to share them.");
    const table = make("div", { className: "results playground-runs", hidden: true });
    const controls = makeControls((settings) => {
      history.replaceState(null, "", address(settings));
    });

    const tasks = make("div", { className: "playground-tasks", role: "group" });
    tasks.setAttribute("aria-label", "Five tasks");
    tasks.append(...playgroundTasks.list.map((entry, i) => {
      const button = make("button", { type: "button", innerHTML: `${i + 1} ${html(entry.title)}` });
      button.addEventListener("click", () => take(entry));
      return button;
    }));
    root.prepend(tasks, controls.form, question, status, bar);
    story.after(panels, caption, table);

    // --- drawing ---

    function draw() {
      due = false;
      if (shownRun) charts.draw(shownRun, runs.filter((run) => run !== shownRun));
    }

    function drawSoon() {
      if (!due) requestAnimationFrame(draw);
      due = true;
    }

    function label() {
      const words = shownRun ? inWords(shownRun) : "";
      charts.svgs.forEach((svg) => {
        const title = svg.querySelector("text").textContent;
        svg.setAttribute("aria-label", `${title}. ${words}`);
      });
    }

    function say(words) {
      status.innerHTML = html(words);
    }

    function row(run) {
      const radio = make("input", {
        type: "radio", name: "playground-shown", checked: run === shownRun, value: run.id,
      });
      radio.setAttribute("aria-label", `draw run ${run.id}`);
      radio.addEventListener("change", () => show(run));
      const remove = make("button", { type: "button" }, "×");
      remove.setAttribute("aria-label", `remove run ${run.id}`);
      remove.addEventListener("click", () => drop(run));
      const link = make("a", { href: address(run.settings), innerHTML: html(described(run.settings)) });
      const head = make("th", { scope: "row" }, radio, ` ${run.id} `, link);
      return make("tr", {}, head, ...Object.keys(COLUMNS).map((name) =>
        make("td", {}, run.outcome ? shown(name, end(run)?.[name]) : "…")),
        make("td", {}, remove));
    }

    function tabulate() {
      const focus = document.activeElement?.getAttribute("aria-label");
      const heads = Object.values(COLUMNS).map((words) =>
        make("th", { scope: "col", innerHTML: html(words) }));
      const body = make("table", {},
        make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "run"), ...heads,
          make("td"))),
        make("tbody", {}, ...runs.map(row)));
      body.setAttribute("aria-label", "runs");
      table.replaceChildren(body);
      if (focus) table.querySelector(`[aria-label="${CSS.escape(focus)}"]`)?.focus();
      table.hidden = panels.hidden = caption.hidden = !runs.length;
      story.hidden = runs.length > 0;
    }

    function show(run) {
      shownRun = run;
      draw();
      label();
      tabulate();
    }

    // --- training ---

    const active = () => runs.filter((run) => run.worker);
    const waiting = () => runs.filter((run) => !run.worker && !run.outcome);

    function next() {
      waiting().slice(0, Math.max(0, AT_ONCE - active().length)).forEach((run) =>
        startWorker(run, heard));
      controls.stop.disabled = bar.hidden = !active().length;
    }

    function heard(run) {
      const busy = active(), done = (r) => Math.log1p(r.points.at(-1)?.time ?? 0) / Math.log(1001);
      bar.value = busy.length ? busy.reduce((sum, r) => sum + done(r), 0) / busy.length : 1;
      if (!still.matches || run.outcome) drawSoon();
      if (!run.outcome) return;
      next();
      tabulate();
      label();
      if (!task) say(inWords(run));
      else answer();
    }

    /* The run of these settings, started unless there is one. */
    function run(settings) {
      const found = runs.find((r) => same(r.settings, settings) && (!r.outcome || isWhole(r)));
      if (found) return found;
      const fresh = { id: ++lastId, settings, points: [], line: null, worker: null, outcome: null };
      runs.push(fresh);
      return fresh;
    }

    function start(made) {
      next();
      say(`Training ${made.map((r) => `run ${r.id} (${described(r.settings)})`).join(", ")}.`);
      show(made[0]);
      reveal();
      if (made.every((r) => r.outcome)) heard(made[0]);
    }

    /* On a small screen what happens is below the controls: go there. */
    function reveal() {
      if (panels.getBoundingClientRect().top < 0.8 * innerHeight) return;
      const behavior = still.matches ? "auto" : "smooth";
      (question.hidden ? status : question).scrollIntoView({ behavior, block: "start" });
    }

    function drop(run) {
      run.worker?.terminate();
      run.worker = null;
      runs.splice(runs.indexOf(run), 1);
      if (task?.runs.includes(run)) task = null;
      say(`Run ${run.id} is removed.`);
      next();
      show(runs.includes(shownRun) ? shownRun : runs.at(-1) ?? null);
      (table.querySelector("input") ?? controls.form.querySelector("button")).focus();
    }

    function stop() {
      runs.filter((r) => !r.outcome).forEach((r) => {
        r.worker?.terminate();
        Object.assign(r, { worker: null, outcome: "stopped" });
      });
      task = null;
      question.hidden = true;
      next();
      tabulate();
      say("Stopped.");
    }

    // --- tasks ---

    function take(entry) {
      const settings = entry.runs.map((change) =>
        ({ ...model.defaults, seed: controls.get().seed || 1, ...change }));
      controls.set(settings[0]);
      history.replaceState(null, "", address(settings[0]));
      task = { entry, runs: settings.map(run) };
      question.hidden = false;
      question.replaceChildren(make("p", {},
        make("strong", { innerHTML: html(entry.question) }), " Guess while it trains."));
      start(task.runs);
    }

    function answer() {
      if (!task.runs.every(isWhole)) return;
      const words = task.entry.answer(...task.runs.map(end));
      question.firstChild.lastChild.remove();
      say(words);
      task = null;
    }

    function press() {
      if (!controls.form.reportValidity()) return;
      task = null;
      question.hidden = true;
      start([run(controls.get())]);
    }

    controls.form.addEventListener("submit", (event) => { event.preventDefault(); press(); });
    controls.stop.addEventListener("click", stop);
    root.addEventListener("keydown", (event) => {
      const typing = event.target.matches("input[type=number]");
      if (event.key !== "r" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      press();
    });
    window.addEventListener("hashchange", () => controls.set(fromAddress(location.hash)));
    controls.set(fromAddress(location.hash));
    say("Nothing is trained yet: below is a recorded run. Press Run, or take a task.");
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".playground").forEach(setUp);
  });
})();
