// "Run in the page": the cells of a page run in the reader's browser, where they stand. The bar, and where Python
// is, come from book/_ext/live_pages.py; Python itself runs in a worker (worker.mjs), which Stop ends.
(() => {
  const DONE = "done", NEEDS_TORCH = "needs torch"; // as in rnnlit/pages/live.py
  const ANNOUNCED = 200; // characters of a result that a screen reader hears

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const button = (text, act) => {
    const made = make("button", { type: "button", className: "rl-button", textContent: text });
    made.addEventListener("click", act);
    return made;
  };

  const begin = (bar) => {
    bar.hidden = false;
    const note = bar.querySelector(".rl-live-note");
    if (location.protocol === "file:") {
      note.textContent = "The cells of this page run in the browser when a server sends it; it was opened as a file. "
        + "(make book starts one.)";
      return;
    }
    const cells = [];
    let worker = null; // there is one from the first click on
    let loading = null; // a promise: Python is there
    let running = null; // {cell, end}: the cell that runs, and what is called with its outcome
    let answered = null; // takes the numbers of the cells that a cell needs
    let queue = 0; // counts what was started; a newer one, or Stop, ends an older
    let started = 0;
    let gone = ""; // why the names are gone, until a cell runs again

    const status = make("p", { className: "rl-live-status" });
    status.setAttribute("role", "status");
    const say = (...parts) => status.replaceChildren(...parts);
    const all = button("Run in the page", () => (cells.length ? runAll() : activate()));
    const stop = button("Stop", () => halt("Stopped."));
    stop.hidden = true;
    bar.prepend(make("div", { className: "rl-live-buttons" }, all, stop));
    bar.append(status);

    // ---- Python

    const load = () => (loading ??= new Promise((ready, failed) => {
      started = performance.now();
      worker = new Worker(new URL(bar.dataset.worker, location), { type: "module" });
      let there = false;
      const broken = (text) => {
        if (running) running.end(new Error(text));
        else if (there) halt(`Python ended: ${text}.`);
        else failed(new Error(text));
      };
      worker.onerror = (event) => broken(event.message || "no script");
      worker.onmessage = ({ data }) => {
        if (data.kind === "stage") say(`${gone}${data.text} …`);
        if (data.kind === "ready") { there = true; ready(); }
        if (data.kind === "output") show(running.cell, data.output);
        if (data.kind === "done") running.end(data);
        if (data.kind === "cells") answered(data.numbers);
        if (data.kind === "broken") broken(data.text);
      };
      worker.postMessage({
        kind: "start",
        python: new URL(bar.dataset.python, location).href,
        packages: bar.dataset.packages.split(" "),
        folder: bar.dataset.folder,
      });
    }));

    // Ends Python, whatever it does, and starts it anew: its names are gone.
    const halt = (why) => {
      queue += 1;
      worker?.terminate();
      worker = loading = null;
      const { cell } = running ?? {};
      running = null;
      if (cell) settle(cell, "stopped");
      busy(false);
      gone = `${why} All names are gone. `;
      say(`${gone}Python starts anew …`);
      const mine = queue;
      load().then(
        () => mine === queue && say(`${gone}Python is there again.`),
        (error) => mine === queue && failed(error),
      );
    };

    const busy = (is) => {
      // The focus stays where the reader has it: a button that has it is not taken away.
      if (!is && document.activeElement === stop) all.focus();
      stop.hidden = !is;
      bar.classList.toggle("rl-busy", is);
    };

    // ---- one cell

    const enliven = (element, number) => {
      const pre = element.querySelector(".cell_input pre");
      const cell = { element, number, pre, original: pre.innerHTML, text: pre.textContent };
      cell.stored = element.querySelector(".cell_output");
      cell.allowed = element.classList.contains("tag_raises-exception");
      element.id ||= `rl-cell-${number}`;
      try { pre.contentEditable = "plaintext-only"; } catch { pre.contentEditable = "true"; }
      Object.entries({
        role: "textbox", "aria-multiline": "true", "aria-label": `Code of cell ${number}`,
        spellcheck: "false", autocapitalize: "off", autocorrect: "off",
      }).forEach(([name, value]) => pre.setAttribute(name, value));
      cell.run = button("Run", () => (running?.cell === cell ? halt("Stopped.") : runTo(cell)));
      cell.run.setAttribute("aria-label", `Run cell ${number}`);
      cell.undo = button("Undo changes", () => {
        pre.innerHTML = cell.original;
        edited(cell);
        pre.focus();
      });
      cell.undo.setAttribute("aria-label", `Undo the changes of cell ${number}`);
      cell.undo.hidden = true;
      cell.state = make("span", { className: "rl-cell-state" });
      pre.closest(".cell_input").append(
        make("div", { className: "rl-cell-bar" }, cell.run, cell.undo, cell.state));
      pre.addEventListener("input", () => edited(cell));
      pre.addEventListener("keydown", (event) => key(event, cell));
      cells.push(cell);
    };

    // What a browser puts in for a new line differs.
    const code = (cell) => {
      const copy = cell.pre.cloneNode(true);
      copy.querySelectorAll("br").forEach((line) => line.replaceWith("\n"));
      return copy.textContent;
    };

    const edited = (cell) => {
      cell.undo.hidden = code(cell).trimEnd() === cell.text.trimEnd();
    };

    const key = (event, cell) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      if (event.shiftKey || event.ctrlKey || event.metaKey) {
        runTo(cell);
        return;
      }
      // A new line begins under the last one, four columns further after a colon.
      const before = make("div");
      const range = getSelection().getRangeAt(0).cloneRange();
      range.setStart(cell.pre, 0);
      before.append(range.cloneContents());
      const line = before.textContent.split("\n").pop();
      const indent = line.match(/^ */)[0] + (line.trimEnd().endsWith(":") ? "    " : "");
      document.execCommand("insertText", false, `\n${indent}`);
    };

    const settle = (cell, state) => {
      cell.state.textContent = state;
      cell.run.textContent = "Run";
      cell.run.setAttribute("aria-label", `Run cell ${cell.number}`);
    };

    // ---- outputs: under the cell, where the stored ones stand

    const holder = (cell) => {
      if (!cell.fresh) return cell.live;
      cell.fresh = false;
      if (!cell.live) {
        cell.live = make("div", { className: "cell_output rl-live-output" });
        if (cell.stored) cell.stored.after(cell.live);
        else cell.element.append(cell.live);
      }
      cell.live.replaceChildren();
      cell.live.hidden = false;
      if (cell.stored) cell.stored.hidden = true;
      return cell.live;
    };

    const block = (cell, kind, text) => {
      const last = holder(cell).lastElementChild;
      if (last?.dataset.kind === kind) {
        last.querySelector("pre").append(text);
        return;
      }
      const box = make("div", { className: `output ${kind}` },
        make("div", { className: "highlight" }, make("pre", { textContent: text })));
      box.dataset.kind = kind;
      holder(cell).append(box);
    };

    // The first line printed after a figure is its caption and its alternative text, as on the page.
    const caption = (cell, text) => {
      cell.sentence += text;
      const end = cell.sentence.indexOf("\n");
      if (end < 0) return;
      const sentence = cell.sentence.slice(0, end).trim();
      const rest = cell.sentence.slice(end + 1);
      cell.picture.alt = sentence;
      holder(cell).append(make("p", { className: "rl-sentence", textContent: sentence }));
      cell.picture = null;
      if (rest) block(cell, "stream", rest);
    };

    const show = (cell, output) => {
      if (cell.picture && (output.kind !== "text" || output.stream !== "stdout")) caption(cell, "\n");
      if (output.kind === "text" && cell.picture) caption(cell, output.text);
      else if (output.kind === "text") block(cell, output.stream === "stderr" ? "stderr" : "stream", output.text);
      else if (output.kind === "image") {
        const { data, width, height } = output;
        const src = `data:image/png;base64,${data}`;
        cell.picture = make("img", { src, width, height, alt: "A figure" });
        cell.sentence = "";
        // A link that page.js opens large. A cell that draws a map keeps its light ground in the dark.
        const className = cell.stored?.querySelector(".rl-kept") ? "rl-plot rl-light" : "rl-plot";
        const plot = make("a", { className, href: src, title: "Open the plot large" }, cell.picture);
        plot.style.maxWidth = `${width}px`;
        holder(cell).append(plot);
      } else if (output.kind === "table") {
        const rows = output.rows.map((row, place) => make("tr", {},
          ...row.map((text) => make(place ? "td" : "th", { textContent: text }))));
        const table = make("table", { className: "table" },
          make("thead", {}, rows[0]), make("tbody", {}, ...rows.slice(1)));
        holder(cell).append(make("div", { className: "pst-scrollable-table-container", tabIndex: 0 }, table));
      } else {
        block(cell, output.kind === "error" ? "traceback" : "result", output.text);
        if (output.kind === "error") cell.error = `${output.name}: ${output.value}`;
      }
    };

    // Runs one cell; resolves to its outcome, or to an Error when Python itself has ended.
    const execute = (cell) => new Promise((end) => {
      Object.assign(cell, { fresh: true, picture: null, sentence: "", error: "" });
      cell.state.textContent = "runs …";
      cell.run.textContent = "Stop";
      cell.run.setAttribute("aria-label", `Stop cell ${cell.number}`);
      running = { cell, end };
      worker.postMessage({ kind: "run", number: cell.number, source: code(cell) });
    }).then((answer) => {
      running = null;
      if (cell.picture) caption(cell, "\n");
      if (answer instanceof Error) {
        settle(cell, "ended");
        return answer;
      }
      const { outcome, seconds } = answer;
      if (outcome === NEEDS_TORCH) {
        if (cell.live) cell.live.hidden = true;
        if (cell.stored) cell.stored.hidden = false;
        settle(cell, cell.stored ? "needs PyTorch; the stored result stays" : "needs PyTorch");
      } else {
        holder(cell); // a cell that gives nothing has no result from before either
        settle(cell, `${outcome === DONE ? "ran" : "failed"}, ${seconds.toFixed(seconds < 10 ? 1 : 0)} s`);
      }
      return outcome;
    });

    // ---- several cells

    const link = (cell) => {
      const made = make("a", { href: `#${cell.element.id}`, textContent: `Cell ${cell.number}` });
      made.addEventListener("click", () => unfold(cell));
      return made;
    };

    const unfold = (cell) => {
      for (let e = cell.pre; e && e !== document.body; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
    };

    // Loads Python if need be and runs cells in order, up to one that fails; `choose` says which, once it is there.
    // Returns the outcomes, or null if it did not come to its end.
    const runCells = async (choose) => {
      if (bar.classList.contains("rl-busy")) {
        say("Python is at work; Stop ends it.");
        return null;
      }
      const mine = (queue += 1);
      gone = "";
      busy(true);
      try {
        await load();
      } catch (error) {
        if (mine === queue) failed(error);
        return null;
      }
      const outcomes = [];
      for (const cell of await choose()) {
        if (mine !== queue) return null;
        say(`Cell ${cell.number} of ${cells.length} runs …`);
        const outcome = await execute(cell);
        if (mine !== queue) return null;
        if (outcome instanceof Error) {
          halt(`Python ended in cell ${cell.number}: ${outcome.message}.`);
          return null;
        }
        outcomes.push(outcome);
        if (outcome !== DONE && outcome !== NEEDS_TORCH && !cell.allowed) {
          unfold(cell);
          busy(false);
          say(link(cell), ` failed: ${cell.error}`);
          return null;
        }
      }
      busy(false);
      return outcomes;
    };

    const failed = (error) => {
      loading = null;
      busy(false);
      say(`Python did not load (${error.message}). The page stays as it was.`);
    };

    const runAll = async () => {
      const before = performance.now();
      const outcomes = await runCells(() => cells);
      if (!outcomes) return;
      const torch = outcomes.filter((outcome) => outcome === NEEDS_TORCH).length;
      const seconds = ((performance.now() - before) / 1000).toFixed(0);
      say(`${outcomes.length - torch} cells ran in ${seconds} s${torch ? `; ${torch} need PyTorch` : ""}.`);
    };

    // A cell needs what some of those above it make: these run first, unless they have run as they are now.
    const above = (cell) => new Promise((resolve) => {
      answered = (numbers) => resolve([...numbers.map((number) => cells[number - 1]), cell]);
      worker.postMessage({ kind: "before", number: cell.number, sources: cells.map(code) });
    });

    const runTo = async (cell) => {
      const outcomes = await runCells(() => above(cell));
      if (!outcomes) return;
      const fold = cell.live?.closest("details");
      if (fold) fold.open = true;
      const torch = outcomes.at(-1) === NEEDS_TORCH;
      const result = torch ? "needs PyTorch, which a browser doesn’t have." : `ran. ${cell.live.textContent.trim()}`;
      say(`Cell ${cell.number} ${result.slice(0, ANNOUNCED)}`);
    };

    const activate = async () => {
      document.querySelectorAll("div.cell").forEach((element) => {
        if (element.querySelector(".cell_input pre")) enliven(element, cells.length + 1);
      });
      all.textContent = "Run all cells";
      bar.classList.add("rl-awake");
      const mine = queue;
      say("Loading Python …");
      try {
        await load();
        if (mine === queue) say(`Ready after ${((performance.now() - started) / 1000).toFixed(1)} s.`);
      } catch (error) {
        if (mine === queue) failed(error);
      }
    };
  };

  const bar = document.querySelector(".rl-live[data-worker]");
  if (bar) begin(bar);
})();
