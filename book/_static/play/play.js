// What the figures to play with share. Each has a script of its own, which is loaded when the figure comes near
// the window, and calls rlPlay.begin with its name. The page has the static figure already (book/_ext/play.py),
// and keeps it where no script runs.
const rlPlay = (() => {
  const QUIET = 700; // ms without a change, after which a screen reader hears the numbers

  const set = (element, attributes) => {
    for (const [name, value] of Object.entries(attributes))
      if (value === null || value === false) element.removeAttribute(name);
      else element.setAttribute(name, value === true ? "" : value);
    return element;
  };
  const make = (tag, attributes = {}, ...children) => {
    const made = set(document.createElement(tag), attributes);
    made.append(...children);
    return made;
  };
  const draw = (tag, attributes = {}, ...children) => {
    const made = set(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes);
    made.append(...children);
    return made;
  };

  // A number as the chapters print it; no zero has a sign.
  const number = (value, digits = 3) => {
    const text = value.toFixed(digits);
    return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "\u2212");
  };

  // A letter with an index: letter("b", "f") is b_f.
  const letter = (name, index) => make("i", { class: "rl-play-letter" }, name, make("sub", {}, index));

  const button = (text, act, attributes = {}) => {
    const made = make("button", { type: "button", class: "rl-play-button", ...attributes }, text);
    made.addEventListener("click", act);
    return made;
  };

  // A row: sign, slider, number. `name` is what a screen reader says; `tone` a class of play.css, such as
  // "rl-play-blue"; change(value) hears of each move.
  const slider = ({ sign, name, min, max, step, value, tone, change, digits = 1 }) => {
    const input = make("input", { type: "range", min, max, step, "aria-label": name });
    const shown = make("span", { class: "rl-play-number" });
    const put = (to) => {
      input.value = to;
      shown.textContent = number(to, digits);
      set(input, { "aria-valuetext": number(to, digits) });
    };
    input.addEventListener("input", () => { put(Number(input.value)); change(Number(input.value)); });
    put(value);
    const row = make("label", { class: `rl-play-slider ${tone}` }, sign, input, shown);
    return { row, input, put };
  };

  // Calls start(figure, panel, tell, data) once. panel: an empty group with the name `label`, before the caption,
  // for the controls. tell(text): has a screen reader say the text when the reader has stopped moving things.
  const begin = (name, label, start) => {
    const figure = document.getElementById(`play-${name}`);
    if (!figure) return;
    const panel = make("div", { class: "rl-play-panel", role: "group", "aria-label": label });
    const status = make("p", { class: "visually-hidden", role: "status" });
    let waiting = 0;
    const tell = (text) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { status.textContent = text; }, QUIET);
    };
    const data = figure.querySelector('script[type="application/json"]');
    figure.classList.add("rl-play-live");
    figure.insertBefore(panel, figure.querySelector("figcaption"));
    start(figure, panel, tell, data && JSON.parse(data.textContent));
    panel.append(status);
  };

  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting) {
        near.unobserve(target);
        const folder = `${document.documentElement.dataset.content_root}_static/play/`;
        document.head.append(make("script", { src: folder + target.id.replace("play-", "") + ".js" }));
      }
  }, { rootMargin: "100% 0px" });
  for (const figure of document.querySelectorAll(".rl-play")) near.observe(figure);

  return { begin, button, draw, letter, make, number, set, slider };
})();
