// Alignments of the book's translator: hovering, touching or focusing a piece that was written draws lines to the
// pieces that were read, as thick as their weights. The data are scripts/alignments.py's.
rlPlay.begin("alignments", "Alignments of a translator, to look at", (figure, panel, tell, { sentences }) => {
  const { draw, make, set } = rlPlay;
  const ROW = 34; // pixels, as in play.css
  const FAINT = 20; // percent; weights below are drawn for the chosen piece alone
  const LANGUAGES = { fr: "To French", zh: "To Chinese" };
  const NAMES = { "\u21e7": "capital" }; // what a screen reader says

  const select = make("select", { class: "rl-play-select" });
  for (const [to, label] of Object.entries(LANGUAGES)) {
    const group = make("optgroup", { label });
    sentences.forEach((one, k) => {
      if (one.to === to) group.append(make("option", { value: k }, one.text + (one.wanted ? " (a mistake)" : "")));
    });
    select.append(group);
  }
  const found = make("p", { class: "rl-play-found" });
  const board = make("div", { class: "rl-play-board" });
  const see = make("p", { class: "rl-play-see" });
  panel.append(make("label", { class: "rl-play-chosen" }, "Sentence ", select), found, board, see);

  const open = ({ to, text, found: translation, wanted, see: words, at, read, written, weights }) => {
    const rows = Math.max(read.length, written.length);
    const middle = (pieces, k) => ROW * ((rows - pieces.length) / 2 + k + 0.5);
    // A piece that goes on with the word before it, where words have spaces between them.
    const joins = (pieces, k) => k > 0 && pieces[k - 1] !== "\u21e7" && !/^[ \u21e7]|^stop$/.test(pieces[k])
      && !(pieces === written && to === "zh");
    const item = (pieces, k, ...children) => make("li", { class: joins(pieces, k) && "rl-play-joined" }, ...children);

    const numbers = read.map(() => make("span", { class: "rl-play-number" }));
    const sources = read.map((piece, k) => make("span", { class: "rl-play-piece" }, piece.trim()));
    const targets = written.map((piece, i) => {
      const looks = weights[i].map((weight, k) => [weight, read[k].trim()]).filter(([weight]) => weight >= 5)
        .sort(([a], [b]) => b - a).map(([weight, name]) => `${NAMES[name] ?? name} ${weight} %`);
      const name = piece.trim();
      const made = make("button", {
        type: "button", class: "rl-play-piece", "aria-label": `${NAMES[name] ?? name}, from ${looks.join(", ")}`,
        lang: name === "stop" ? null : to,
      }, name);
      for (const event of ["pointerenter", "focus", "click"]) made.addEventListener(event, () => choose(i));
      made.addEventListener("keydown", ({ key }) => {
        const next = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: written.length - 1 }[key];
        if (!targets[next]) return;
        event.preventDefault();
        targets[next].focus();
      });
      return made;
    });
    const svg = draw("svg", { viewBox: `0 0 100 ${ROW * rows}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    const line = (i, k, size, name) => draw("path", {
      class: name, d: `M100 ${middle(written, i)}L0 ${middle(read, k)}`, "stroke-width": size.toFixed(2),
    });
    const faint = weights.flatMap((row, i) => row.map((weight, k) => [weight, i, k]))
      .filter(([weight]) => weight >= FAINT).map(([weight, i, k]) => line(i, k, weight / 40, "rl-play-faint"));

    const choose = (chosen) => {
      targets.forEach((button, i) => set(button, { "aria-pressed": String(i === chosen), tabindex: i === chosen ? 0 : -1 }));
      const row = weights[chosen];
      svg.replaceChildren(...faint, ...row.map((weight, k) => [weight, k]).filter(([weight]) => weight > 0)
        .map(([weight, k]) => line(chosen, k, 1 + weight / 12, "rl-play-line")));
      row.forEach((weight, k) => {
        numbers[k].textContent = `${weight} %`;
        sources[k].style.setProperty("--rl-play-share", `${weight * 0.45}%`);
      });
    };

    const list = (label, children) => make("ol", { "aria-label": label }, ...children);
    board.style.height = `${ROW * rows}px`;
    board.replaceChildren(
      list("read", read.map((_, k) => item(read, k, numbers[k], sources[k]))),
      svg,
      list("written", targets.map((target, i) => item(written, i, target))));
    found.replaceChildren(text, " \u2192 ", make("b", { lang: to }, translation),
      ...(wanted ? ["; right would be ", make("b", { lang: to }, wanted)] : []));
    see.textContent = words;
    choose(at);
  };

  select.addEventListener("change", () => {
    open(sentences[select.value]);
    tell(`${found.textContent}. ${see.textContent}`);
  });
  open(sentences[0]);
});
