// An LSTM cell of one unit: a reader drags what comes in and the biases; numbers and wires follow at once.
// Its weights are those of unit 1 in the chapter's step by hand: i sees x with weight 2, g sees x and h with
// weight 1; f and o see neither.
rlPlay.begin("lstm-cell", "The LSTM cell, to play with", (figure, panel, tell) => {
  const { button, draw, letter, make, number, set, slider } = rlPlay;
  const MOST = 50; // steps that the trace shows
  const WIDTH = 446, HEIGHT = 146, LEFT = 34, RIGHT = 436, TOP = 14, BOTTOM = 118; // of the trace

  const shut = { x: 0, i: -6, f: 6, g: 0, o: -6 };
  const PRESETS = {
    "By hand": [{ x: 1, h: -0.5, c: 2, i: 0, f: 1, g: 0, o: 0 },
      "Unit 1 of the step by hand: of c = 2 the forget gate keeps 1.462, the input gate writes 0.407, and h shows "
      + "half of the tanh of their sum."],
    Write: [{ ...shut, x: 1, i: 4, f: -6, g: 2 },
      "Input gate open, forget gate shut: the candidate takes the place of whatever stood in c."],
    Keep: [shut,
      "Forget gate open, input gate shut: c goes on as it is. The output gate is shut too, so nobody sees it: h is 0."],
    Read: [{ ...shut, o: 6 },
      "As Keep, but the output gate is open: c goes on as it is, and h shows its tanh."],
    Clear: [{ ...shut, f: -6 },
      "Forget gate shut: nothing is left of c. Mind its direction: f = 0 forgets."],
    Fade: [{ ...shut, f: 1, o: 0 },
      "A forget bias of 1, a common start: f = 0.731. After k steps 0.731^k of c is left: half after 2.2 steps, "
      + "4 % after 10."],
  };

  const sigmoid = (a) => 1 / (1 + Math.exp(-a));
  const step = ({ x, h, c, i: b_i, f: b_f, g: b_g, o: b_o }) => {
    const i = sigmoid(2 * x + b_i), f = sigmoid(b_f), g = Math.tanh(x + h + b_g), o = sigmoid(b_o);
    const kept = f * c, written = i * g, now = kept + written, tanh = Math.tanh(now);
    return { i, f, g, o, kept, written, c: now, tanh, h: o * tanh };
  };

  // ---- the controls

  const state = { ...PRESETS["By hand"][0] };
  let trace = []; // {c, h, left}: after each step; left: what is left of the first c
  const rows = {};
  const row = (key, sign, name, tone, most, fine = 0.1) => {
    rows[key] = slider({
      sign, name, tone, min: -most, max: most, step: fine, value: state[key], digits: 3,
      change: (value) => {
        state[key] = value;
        if (key === "c") restart();
        choose("", "");
        update();
        const { f, written } = step(state);
        see.textContent = `Your own setting: of c ${number(100 * f, 1)} % is kept, and ${number(written)} is written.`;
      },
    });
    return rows[key].row;
  };
  const sliders = make("div", { class: "rl-play-sliders" },
    make("p", {}, "What comes in"),
    row("x", letter("x", "t"), "x, the input", "rl-play-ink", 2),
    row("h", letter("h", "t\u22121"), "h, the hidden state before", "rl-play-ink", 1, 0.01),
    row("c", letter("c", "t\u22121"), "c, the cell state before", "rl-play-red", 3),
    make("p", {}, "Biases"),
    row("f", letter("b", "f"), "bias of the forget gate", "rl-play-blue", 6),
    row("i", letter("b", "i"), "bias of the input gate", "rl-play-green", 6),
    row("g", letter("b", "g"), "bias of the candidate", "rl-play-purple", 6),
    row("o", letter("b", "o"), "bias of the output gate", "rl-play-orange", 6));

  const see = make("p", { class: "rl-play-see" });
  const presets = make("div", { class: "rl-play-buttons", role: "group", "aria-label": "Settings" });
  const choose = (name, text) => {
    for (const one of presets.children) set(one, { "aria-pressed": String(one.textContent === name) });
    see.textContent = text;
  };
  for (const [name, [values, text]] of Object.entries(PRESETS))
    presets.append(button(name, () => {
      const empty = !("c" in values) && Math.abs(state.c) < 0.05 && name !== "Write";
      Object.assign(state, values);
      if ("c" in values) restart();
      choose(name, text + (empty ? " The cell is empty now: Write first, and Step, or drag c." : ""));
      update();
    }));

  const on = (times) => {
    for (let k = 0; k < times; k += 1) {
      const { f, c, h } = step(state);
      Object.assign(state, { c, h });
      trace.push({ c, h, left: f * trace.at(-1).left });
    }
    update();
  };
  const restart = () => { trace = [{ c: state.c, h: state.h, left: state.c }]; };
  const count = make("p", { class: "rl-play-count" });
  const steps = make("div", { class: "rl-play-steps" },
    make("div", { class: "rl-play-buttons", role: "group", "aria-label": "Steps" },
      button("Step", () => on(1)), button("10 steps", () => on(10)),
      button("Start again", () => presets.firstChild.click())),
    count,
    make("p", { class: "rl-play-key" },
      make("span", { class: "rl-play-key-c" }), "c ", make("span", { class: "rl-play-key-h" }), "h ",
      make("span", { class: "rl-play-key-left" }), "what is left of the first c"));

  // ---- the drawing

  const svg = figure.querySelector(".rl-diagram");
  const parts = (name) => svg.querySelectorAll(`[data-part="${name}"]`);
  const wire = (name, size) => {
    const much = Math.min(1, Math.abs(size));
    for (const path of parts(name)) {
      path.style.opacity = 0.25 + 0.75 * much;
      if (path.hasAttribute("stroke-width")) path.style.strokeWidth = 1 + 3.5 * much;
    }
  };
  const bar = (name, value, middle) => {
    for (const box of parts(`${name}-bar`)) {
      const width = (middle ? 30 : 60) * Math.abs(value);
      set(box, { x: middle ? 260 - (value < 0 ? width : 0) : { f: 72, i: 151, o: 311 }[name], width });
    }
  };
  const formulas = make("p", { class: "rl-play-formulas" });
  const sum = (...pieces) => make("span", {}, ...pieces);

  const show = () => {
    const after = step(state);
    const all = { ...after, x: state.x, "h-before": state.h, "c-before": state.c };
    for (const [name, value] of Object.entries(all)) {
      for (const text of parts(`${name}-number`)) text.textContent = number(value);
      wire(name, /^[ck]/.test(name) ? value / 2 : value);
    }
    for (const name of "figo") bar(name, after[name], name === "g");
    const { f, i, g, o, c, tanh, h } = after;
    const n = (value) => (value < 0 ? `(${number(value)})` : number(value));
    formulas.replaceChildren(
      sum(letter("c", "t"), ` = ${n(f)} \u00b7 ${n(state.c)} + ${n(i)} \u00b7 ${n(g)} = ${number(c)}`),
      sum(letter("h", "t"), ` = ${n(o)} \u00b7 tanh ${n(c)} = ${n(o)} \u00b7 ${n(tanh)} = ${number(h)}`));
    return after;
  };

  const LINES = { left: "rl-play-line-left", h: "rl-play-line-h", c: "rl-play-line-c" };
  const plot = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "rl-play-trace" });
  const curve = () => {
    const shown = trace.slice(-MOST - 1), first = trace.length - shown.length;
    const long = Math.max(10, shown.length - 1);
    const all = shown.flatMap(({ c, h, left }) => [c, h, left]);
    const high = Math.max(1, ...all), low = Math.min(0, ...all);
    const x = (k) => LEFT + (RIGHT - LEFT) * k / long;
    const y = (value) => BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low);
    const line = (key) => draw("polyline", {
      class: LINES[key], points: shown.map((one, k) => `${x(k).toFixed(1)},${y(one[key]).toFixed(1)}`).join(" "),
    });
    const text = (words, at) => draw("text", at, words);
    plot.replaceChildren(
      draw("path", { class: "rl-play-axis", d: `M${LEFT} ${TOP}V${BOTTOM}M${LEFT} ${y(0)}H${RIGHT}` }),
      ...[...new Set([low, 0, high])].map((value) =>
        text(number(value, 1), { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" })),
      text(String(first), { x: x(0), y: HEIGHT - 14, "text-anchor": "middle" }),
      text(`${first + long} steps`, { x: x(long), y: HEIGHT - 14, "text-anchor": "end" }),
      line("left"), line("h"), line("c"),
      ...shown.map((one, k) => draw("circle", { class: "rl-play-dot", cx: x(k), cy: y(one.c), r: long > 25 ? 2 : 3 })));
    const taken = trace.length - 1, { c, left } = trace.at(-1);
    const share = trace[0].c === 0 ? "" : `; left of the first c: ${number(100 * left / trace[0].c, 1)} %`;
    count.textContent = `${taken} ${taken === 1 ? "step" : "steps"}: c = ${number(c)}${share}`;
    set(plot, { "aria-label": `The cell state after each step. ${count.textContent}` });
  };

  const update = () => {
    for (const [key, one] of Object.entries(rows)) one.put(state[key]);
    const after = show();
    curve();
    const said = ["f", "i", "g", "o", "c", "h"].map((name) => `${name} ${number(after[name])}`);
    if (panel.contains(steps)) tell(`${said.join(", ")}. ${count.textContent}`);
  };

  const story = make("p", { class: "rl-play-story" },
    "The story of a bracket: Write, Step; Keep, 10 steps; Read, Step; Clear, Step. Step feeds h and c back.");
  restart();
  choose("By hand", PRESETS["By hand"][1]);
  update(); // nothing is said of it: the controls are not there yet
  panel.append(story, presets, see, svg, sliders, formulas, plot, steps);
});
