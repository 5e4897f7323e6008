// Python for live.js, away from the page's own thread. All of it comes from the site itself.
// In: {kind: "start", python, packages, folder}, then {kind: "run", number, source}.
// Out: {kind: "stage", text}, {kind: "ready"}, {kind: "output", output}, {kind: "done", outcome, seconds}, {kind: "broken", text}.

const TOP = "/home/pyodide/rnnlit-book/";
let python, page;

const start = async ({ python: from, packages, folder }) => {
  const { loadPyodide } = await import(`${from}pyodide.mjs`);
  const book = fetch(`${from}book.zip`, { cache: "no-cache" }).then((answer) => {
    if (!answer.ok) throw new Error(`${answer.status} for ${answer.url}`);
    return answer.arrayBuffer();
  });
  postMessage({ kind: "stage", text: "Loading Python" });
  python = await loadPyodide({
    indexURL: from,
    packages,
    env: { HOME: "/home/pyodide", MPLBACKEND: "module://rnnlit.pages.canvas", PYTHONPATH: TOP },
    stdout: () => {},
    stderr: () => {},
  });
  postMessage({ kind: "stage", text: "Loading the book’s package" });
  python.unpackArchive(await book, "zip", { extractDir: TOP });
  python.FS.chdir(TOP + folder);
  python.runPython("import logging; logging.getLogger('matplotlib').setLevel(logging.ERROR)");
  const emit = (output) => postMessage({ kind: "output", output: output.toJs({ dict_converter: Object.fromEntries }) });
  const live = python.pyimport("rnnlit.pages.live");
  live.stand_in_for_ipython();
  page = live.Page(emit);
  postMessage({ kind: "ready" });
};

const run = async ({ number, source }) => {
  if (source.includes("import")) {
    await python.loadPackagesFromImports(source, { messageCallback: () => {}, errorCallback: () => {} }).catch(() => {});
  }
  const before = performance.now();
  const outcome = page.run(source, number);
  postMessage({ kind: "done", outcome, seconds: (performance.now() - before) / 1000 });
};

onmessage = async ({ data }) => {
  try {
    await (data.kind === "start" ? start(data) : run(data));
  } catch (error) {
    postMessage({ kind: "broken", text: String(error.message || error).trim().split("\n").pop() });
  }
};
