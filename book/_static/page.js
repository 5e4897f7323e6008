// What each page has: two buttons of its header, and boxes that a keyboard can scroll.
for (const button of document.querySelectorAll("[data-rl-click]"))
  button.addEventListener("click", () =>
    button.dataset.rlClick === "print" ? window.print() : window.toggleFullScreen());

// Measured when a box comes near the window: asking all boxes of a long page at once lays the whole page out.
{
  const boxes = "pre, .cell_output > .output, .pst-scrollable-table-container";
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting) target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
  }, { rootMargin: "50% 0px" });
  for (const box of document.querySelectorAll(boxes)) near.observe(box);
}
