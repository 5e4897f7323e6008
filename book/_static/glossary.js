// A field above the glossary that hides the rows without the typed letters, in either language. Without
// JavaScript the tables are all there.
document.addEventListener("DOMContentLoaded", () => {
  const glossary = document.querySelector(".rl-glossary");
  if (!glossary) return;
  const rows = [...glossary.querySelectorAll("tbody tr")];
  // On a phone the style hides the dash of a row without symbol or shape.
  rows.forEach((row) => {
    [...row.cells].forEach((cell) => cell.classList.toggle("rl-none", cell.textContent.trim() === "–"));
  });
  const search = document.createElement("div");
  search.className = "rl-filter";
  const label = document.createElement("label");
  label.append("Find a term · 查找术语 ");
  const field = document.createElement("input");
  field.type = "search";
  label.append(field);
  const found = document.createElement("span");
  found.setAttribute("role", "status");
  search.append(label, found);
  glossary.prepend(search);
  const say = () => {
    const wanted = field.value.trim().toLowerCase();
    // What a term is called decides, not the page that it stands on.
    rows.forEach((row) => {
      const names = [...row.cells].slice(0, 3).map((cell) => cell.textContent);
      row.hidden = !names.join(" ").toLowerCase().includes(wanted);
    });
    // A table without a row left goes with the heading before it.
    glossary.querySelectorAll("table").forEach((table) => {
      const empty = !table.querySelector("tbody tr:not([hidden])");
      const block = table.closest(".pst-scrollable-table-container") || table;
      block.hidden = empty;
      if (block.previousElementSibling?.tagName === "P") block.previousElementSibling.hidden = empty;
    });
    found.textContent = ` ${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
  };
  field.addEventListener("input", say);
  say();
});
