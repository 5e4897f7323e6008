// What each page has: two buttons of its header, boxes that a keyboard can scroll, plots that open large, and paper.
for (const button of document.querySelectorAll("[data-rl-click]"))
  button.addEventListener("click", () =>
    button.dataset.rlClick === "print" ? window.print() : window.toggleFullScreen());

// The button that changes the colours says which are on.
{
  const root = document.documentElement;
  const names = { auto: "as the system has them", light: "light", dark: "dark" };
  const say = () => {
    for (const button of document.querySelectorAll(".theme-switch-button"))
      button.setAttribute("aria-label", `Colours: ${names[root.dataset.mode] ?? names.auto}`);
  };
  new MutationObserver(say).observe(root, { attributeFilter: ["data-mode"] });
  say();
}

// A box that has to be scrolled is reached by the keyboard, and says what it is. An observer measures a box when it
// is laid out, for the first time or anew: asking all boxes of a long page at once lays the whole page out. That is
// done when a reader begins to go from one to the next.
{
  const names = [
    [".katex-display", "Formula"],
    [".rl-diagram", "Drawing"],
    [".pst-scrollable-table-container", "Table"],
    [".cell_output > .output, .cell_output .output pre", "Output"],
    ["pre", "Code"],
  ];
  const boxes = document.querySelectorAll(names.map(([selector]) => selector).join());
  const measure = (box) => {
    if (box.getAttribute("role") === "textbox") return; // code that a reader changes
    if (box.scrollWidth > box.clientWidth + 1) {
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      const [, name] = names.find(([selector]) => box.matches(selector));
      box.setAttribute("aria-label", `${name}, scrolls sideways`);
    } else {
      for (const attribute of ["tabindex", "role", "aria-label"]) box.removeAttribute(attribute);
    }
  };
  const laidOut = new ResizeObserver((entries) => entries.forEach(({ target }) => measure(target)));
  for (const box of boxes) laidOut.observe(box);
  const measureAll = ({ key }) => {
    if (key !== "Tab") return;
    removeEventListener("keydown", measureAll, true);
    boxes.forEach(measure);
  };
  addEventListener("keydown", measureAll, true);
}

// A plot opens large over the page. Without this its link leads to the picture.
document.addEventListener("click", (event) => {
  const plot = event.target.closest("a.rl-plot");
  if (!plot || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const dialog = document.createElement("dialog");
  dialog.className = "rl-large";
  dialog.setAttribute("aria-label", "A plot, large");
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  const box = document.createElement("div");
  box.className = "rl-large-plot";
  box.tabIndex = 0;
  box.autofocus = true;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Plot, scrolls");
  const large = document.createElement("div");
  large.className = plot.className;
  large.append(...plot.cloneNode(true).childNodes);
  // As wide as it was drawn, and on a large screen twice that: so many pixels it has.
  const width = large.querySelector("img").width;
  large.style.width = `${Math.max(width, Math.min(2 * width, 0.9 * innerWidth))}px`;
  box.append(large);
  dialog.append(close, box);
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
  dialog.addEventListener("keydown", (pressed) => {
    if (pressed.key !== "Escape") return;
    pressed.stopPropagation(); // the theme would take the key for its search
    dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
});

// Paper is white, whatever the mode.
{
  const root = document.documentElement;
  let mode = root.dataset.theme;
  matchMedia("print").addEventListener("change", ({ matches }) => {
    if (matches) mode = root.dataset.theme;
    root.dataset.theme = matches ? "light" : mode;
  });
}
