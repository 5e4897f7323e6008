// Python for live.js, away from the page's own thread. All of it comes from the site itself.
// In: {kind: "start", python, packages, folder}, then {kind: "run", number, source} or {kind: "before", number, sources}.
// Out: {kind: "stage", text}, {kind: "ready"}; {kind: "output", output}, {kind: "done", outcome, seconds};
// {kind: "cells", numbers}; and {kind: "broken", text}.

const HOME = "/reader";
const TOP = `${HOME}/rnnlit-book/`;
let python, page;

const start = async ({ python: from, packages, folder }) => {
  const { loadPyodide } = await import(`${from}pyodide.mjs`);
  const book = fetch(`${from}book.zip`, { cache: "no-cache" }).then((answer) => {
    if (!answer.ok) throw new Error(`${answer.status} for ${answer.url}`);
    return answer.arrayBuffer();
  });
  postMessage({ kind: "stage", text: "Loading Python" });
  // Pyodide says this on the console alone, and waits on.
  const failure = new Promise((_, fail) => {
    console.warn = (words) => String(words).includes("wasm") && fail(new Error("WebAssembly did not start"));
  });
  python = await Promise.race([failure, loadPyodide({
    indexURL: from,
    packages,
    env: { HOME, MPLBACKEND: "module://rnnlit_canvas" },
    stdout: () => {},
    stderr: () => {},
  })]);
  postMessage({ kind: "stage", text: "Loading the book’s package" });
  python.unpackArchive(await book, "zip", { extractDir: TOP });
  python.FS.mkdirTree(TOP + folder); // the archive has no folder that no file is in
  python.FS.chdir(TOP + folder);
  python.runPython(`
import logging, sys
sys.path.insert(0, "${TOP}")
logging.getLogger("matplotlib").setLevel(logging.ERROR)  # the first figure lists the fonts, and says so
`);
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

const before = ({ number, sources }) => {
  const given = python.toPy(sources);
  const numbers = page.before(given, number).toJs();
  given.destroy();
  postMessage({ kind: "cells", numbers });
};

const answers = { start, run, before };

onmessage = async ({ data }) => {
  try {
    await answers[data.kind](data);
  } catch (error) {
    postMessage({ kind: "broken", text: String(error.message || error.name || error).trim().split("\n").pop() });
  }
};
