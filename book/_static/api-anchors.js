// The reference was one page once: an address such as api.html#rnnlit.lstm.step leads to the module's own page.
{
  const wanted = location.hash.slice(1).replace(/^module-/, "");
  const pages = [...document.querySelectorAll('.bd-article a[href^="api/"]')]
    .map((link) => [link.getAttribute("href").split("#")[0], link.hash.replace("#module-", "")])
    .filter(([, module]) => wanted === module || wanted.startsWith(`${module}.`))
    .sort(([, a], [, b]) => b.length - a.length);
  if (pages.length) location.replace(pages[0][0] + location.hash);
}
