// Three networks read the reader's text; each letter before the chosen one is shaded by its connection to it.
// The networks' arithmetic and their weights come with this script, when the figure comes near.
rlPlay.begin("connectivity", "Which letters does each network look back at?", (figure, panel, tell) => {
  const { make, set, button } = rlPlay;
  const NEEDED = ["connectivity-nets", "connectivity-data"];
  const FOLDER = new URL(".", document.currentScript.src);
  // The first one is that of the drawing. The last letter is asked about.
  const EXAMPLES = {
    "The story's sentence": "so (she [was considering in her own mind] as well as she could)",
    "A long way": "{it is a truth universally acknowledged that a single man in possession of a good fortune}",
    "No bracket": "she was in no humour for conversation",
  };
  const SIGNS = {
    " ": "a space", "(": "round, opening", "[": "square, opening", "{": "curly, opening",
    ")": "round, closing", "]": "square, closing", "}": "curly, closing",
  };
  const shown = (sign) => (sign === " " ? "space" : sign);
  const said = (sign) => SIGNS[sign] ?? sign;
  const percent = (p) => (p > 0.995 ? "> 99" : p < 0.005 ? "< 1" : Math.round(100 * p)) + " %";

  const load = (name) => new Promise((resolve, reject) => {
    const script = make("script", { src: new URL(`${name}.js`, FOLDER) });
    script.addEventListener("load", resolve);
    script.addEventListener("error", reject);
    document.head.append(script);
  });

  const open = ({ alphabet, longest, models }) => {
    let text = "", chosen = 1; // chosen: the place of the letter asked about; behind the last one, the next
    const input = make("input", {
      type: "text", maxlength: longest, spellcheck: "false", autocapitalize: "none", autocomplete: "off",
      class: "rl-play-connectivity-input",
    });
    const note = make("p", { class: "rl-play-connectivity-note" });
    const place = make("input", { type: "range", min: 1, step: 1, "aria-label": "The letter asked about" });
    const where = make("span", { class: "rl-play-connectivity-where" });
    const move = (to) => { chosen = Math.min(Math.max(to, 1), text.length + 1); look(); };

    const rows = Object.entries(models).map(([kind, { name, units, bits, arrays }]) => {
      const letters = make("p", { class: "rl-play-connectivity-text", role: "img" });
      const guesses = make("span", { class: "rl-play-connectivity-guesses" });
      const reach = make("span", { class: "rl-play-connectivity-reach" });
      letters.addEventListener("click", ({ target }) => {
        if (target.dataset.at) move(Number(target.dataset.at));
      });
      const element = make("div", { class: "rl-play-connectivity-row" },
        make("p", { class: "rl-play-connectivity-name" }, make("strong", {}, name),
          ` ${units} units, ${bits.toFixed(2)} bits a letter`),
        letters, make("p", { class: "rl-play-connectivity-facts" }, guesses, reach));
      return { name, net: rlNets.network(kind, arrays), steps: [], letters, guesses, reach, element };
    });

    // How many letters back, counted from the chosen one, hold this share of the norms' sum.
    const within = (norms, share) => {
      const sum = norms.reduce((a, b) => a + b, 0);
      let held = 0, back = 0;
      while (back < norms.length && held < share * sum) held += norms[norms.length - ++back];
      return back;
    };

    const look = () => {
      const next = chosen > text.length, letter = next ? null : text[chosen - 1];
      set(place, { max: text.length + 1, "aria-valuetext": next ? "the next letter" : `${said(letter)}, letter ${chosen}` });
      place.value = chosen;
      where.textContent = next ? "the next letter" : `letter ${chosen} of ${text.length}`;
      const spoken = rows.map((row) => {
        const steps = row.steps.slice(0, chosen); // before the first letter stands a space
        const p = rlNets.expected(row.net, steps[chosen - 1]);
        const best = [...p.keys()].sort((a, b) => p[b] - p[a]).slice(0, 3);
        const asked = next ? best[0] : alphabet.indexOf(letter);
        const norms = rlNets.connections(row.net, steps, asked), most = Math.max(...norms) || 1;
        [...row.letters.children].forEach((cell, s) => {
          cell.style.setProperty("--share", s < chosen ? norms[s] / most : 0);
          cell.className = s === chosen ? "rl-play-connectivity-asked" : s > chosen ? "rl-play-connectivity-later" : "";
        });
        const guesses = (best.includes(asked) ? best : [...best, asked]).map((k) =>
          make("span", { class: k === asked ? "rl-play-connectivity-own" : null },
            make("b", {}, shown(alphabet[k])), ` ${percent(p[k])}`));
        row.guesses.replaceChildren("expects ", ...guesses);
        const reach = `half of the shade within ${within(norms, 0.5)} letters, 90 % within ${within(norms, 0.9)}`;
        row.reach.textContent = reach;
        const told = `${row.name}: ${percent(p[asked])} for ${said(alphabet[asked])}; ${reach}`;
        set(row.letters, { "aria-label": told });
        return told;
      });
      tell([note.textContent, ...spoken].filter(Boolean).join(". "));
    };

    const read = (to) => {
      const typed = input.value, lower = typed.toLowerCase();
      const strange = [...new Set(lower)].filter((sign) => !alphabet.includes(sign));
      text = [...lower].filter((sign) => alphabet.includes(sign)).join("").slice(0, longest);
      note.textContent = strange.length
        ? `Left out: ${strange.slice(0, 8).join(" ")}${strange.length > 8 ? " ..." : ""}. The networks know the letters a to z, `
          + "the space and six brackets: ( ) [ ] { }"
        : "";
      for (const row of rows) {
        row.steps = rlNets.read(row.net, [..." " + text].map((sign) => alphabet.indexOf(sign)));
        row.letters.replaceChildren(make("span", {}, " "),
          ...[...text].map((sign, at) => make("span", { "data-at": at + 1 }, sign)),
          make("span", { "data-at": text.length + 1 }, "\u00a0"));
      }
      move(to ?? text.length + 1);
    };

    input.addEventListener("input", () => read());
    place.addEventListener("input", () => move(Number(place.value)));
    const examples = Object.entries(EXAMPLES).map(([name, words]) =>
      button(name, () => { input.value = words; read(words.length); }));
    panel.prepend(
      make("label", { class: "rl-play-connectivity-typed" }, "Your text", input),
      make("div", { class: "rl-play-buttons" }, ...examples),
      note,
      make("div", { class: "rl-play-connectivity-place" },
        button("\u2190", () => move(chosen - 1), { "aria-label": "one letter back" }), place,
        button("\u2192", () => move(chosen + 1), { "aria-label": "one letter on" }), where),
      ...rows.map((row) => row.element));
    examples[0].click();
    figure.classList.add("rl-play-connectivity-open");
  };

  NEEDED.reduce((before, name) => before.then(() => load(name)), Promise.resolve()).then(
    () => open(rlConnectivity),
    () => panel.prepend(make("p", {}, "The networks could not be loaded, so this stays a drawing.")));
});
