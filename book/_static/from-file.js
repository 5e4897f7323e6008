// A page that was opened as a file may not read the other pages. Search then lists titles, without excerpts; and
// JupyterLite, which a server has to send, leaves the launch menu.
if (location.protocol === "file:") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
  document.querySelectorAll('a[href*="_static/lite/"]').forEach((link) => link.closest("li").remove());
}
