// What the search page finds, and in which order. site_search.py makes the index with the same words.
//
// A word is the stem of a run of letters and digits in American spelling, or two Chinese characters side by side: of
// 双向网络 the index has 双向, 向网 and 网络. So no dictionary has to know where a Chinese word ends.
//
// A page's score is what its title, its text and its best section give for the words of the query, rare words counting
// more. To this comes a share of a fixed sum where the query is, or nearly is, a whole phrase: a keyword of the page, a
// term of the glossary, a title, a heading. Of text, a word brings the less the more often it stands there already. So
// a page that only names a thing, however often, stays below the page on it, whatever pages are added. The names of
// the package come last, unless the query is written like one.
const siteSearch = (() => {
  const KEYWORD = 40, GLOSSARY = 24, WHOLE_TITLE = 14, WHOLE_HEADING = 8;
  const TITLE = 3, HEADING = 2; // for each word, where a word of the text has at most 1
  const REFERENCE = 0.3; // the share of pages that one looks things up in
  const PAGES = 10, NAMES = 10; // at most so many of each are listed
  const RUNS = /[a-z0-9]+(?:[-_][a-z0-9]+)*|[\u3400-\u4dbf\u4e00-\u9fff]+/g;
  const QUESTION = "about an can do does from how i mean use using vs what when why".split(" ");
  const LEFT_OUT = new Set([...stopwords, ...QUESTION]);
  // British endings and American ones: initialise, analyse, behaviour, centre. "noise" is "noize" on both sides.
  const SPELLING = [
    [/(..)is(e|ed|es|er|ers|ing|able|ation|ations)$/, "$1iz$2"],
    [/(..)ys(e|ed|es|er|ers|ing)$/, "$1yz$2"],
    [/(..)our(s|ed|ing|al|able|)$/, "$1or$2"],
    [/(..)tre(s|d|)$/, "$1ter$2"],
  ];
  const NAMES_OF_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
    + "sigma sigma tau upsilon phi chi psi omega"; // one of the two ends a word
  const GREEK = new Map(NAMES_OF_GREEK.split(" ").map((name, k) => [String.fromCodePoint(0x3b1 + k), name]));
  const stemmer = new Stemmer(), stems = new Map();

  const stem = (word) => {
    if (!stems.has(word)) {
      const american = SPELLING.reduce((spelt, [from, to]) => spelt.replace(from, to), word);
      stems.set(word, stemmer.stemWord(american));
    }
    return stems.get(word);
  };

  // In lower case, without accents, Greek letters written out.
  const fold = (text) => [...text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase()]
    .map((c) => (GREEK.has(c) ? ` ${GREEK.get(c)} ` : c)).join("");

  const runs = (text) => fold(text).match(RUNS) || [];
  const isHan = (run) => run[0] > "z";
  const isWord = (part) => !LEFT_OUT.has(part) && !/^\d+$/.test(part);
  const pairs = (run) => [...run].slice(1).map((_, k) => run.slice(k, k + 2));

  // The words of a query or a phrase, in order. A single Chinese character is a word where it stands alone.
  const words = (text) => runs(text).flatMap((run) => {
    if (isHan(run)) return run.length === 1 ? [run] : pairs(run);
    return run.split(/[-_]/).filter(isWord).map(stem);
  });

  // The words of a text, for the index: also single Chinese characters, and of self-attention selfattention as well.
  const indexed = (text) => runs(text).flatMap((run) => {
    if (isHan(run)) return [...run, ...pairs(run)];
    const parts = run.split(/[-_]/);
    return [...parts, ...(parts.length > 1 ? [parts.join("")] : [])].filter((p) => p.length > 1 && isWord(p)).map(stem);
  });

  // What `index` holds, ready to be asked; made once.
  let ready = null;
  const prepare = (index) => {
    if (ready && ready.index === index) return ready;
    const { book } = index;
    const entries = book.entries.map(([page, anchor, heading, size]) => {
      const named = words(heading);
      return { page, anchor, heading, size, words: named, phrases: [[named, anchor ? WHOLE_HEADING : WHOLE_TITLE]] };
    });
    const pages = index.docnames.map(() => ({ top: null, sections: [], keywords: [], share: 1 }));
    entries.forEach((entry) => {
      if (entry.anchor) pages[entry.page].sections.push(entry);
      else pages[entry.page].top = entry;
    });
    pages.filter((page) => page.top).forEach(({ top, sections }) => {
      top.size += sections.reduce((sum, section) => sum + section.size, 0);
    });
    book.reference.forEach((page) => { pages[page].share = REFERENCE; });
    book.keywords.forEach(([page, keyword, isName]) => pages[page].keywords.push([words(keyword), KEYWORD, isName]));
    book.glossary.forEach(([page, anchor, term]) => {
      const place = pages[page].sections.find((section) => section.anchor === anchor) || pages[page].top;
      place.phrases.push([words(term), GLOSSARY]);
    });
    // word -> entry -> how often; at the top of a page, how often on the whole page
    const counts = new Map(Object.entries(book.words).map(([word, flat]) => {
      const times = new Map();
      for (let k = 0, place = 0; k < flat.length; k += 2) {
        place += flat[k];
        const entry = entries[place], { top } = pages[entry.page];
        if (entry !== top) times.set(entry, flat[k + 1]);
        times.set(top, (times.get(top) || 0) + flat[k + 1]);
      }
      return [word, times];
    }));
    const phrases = [...entries.flatMap((entry) => entry.phrases), ...pages.flatMap((page) => page.keywords)];
    const known = new Set([...counts.keys(), ...phrases.flatMap(([phrase]) => phrase)]);
    const mean = (list) => list.reduce((sum, entry) => sum + entry.size, 0) / Math.max(1, list.length);
    const sizes = { top: mean(entries.filter((e) => !e.anchor)), section: mean(entries.filter((e) => e.anchor)) };
    ready = { index, entries, pages, counts, known, sizes };
    return ready;
  };

  // One letter too many, too few, or wrong.
  const near = (a, b) => {
    if (Math.abs(a.length - b.length) > 1) return false;
    let k = 0;
    while (k < a.length && a[k] === b[k]) k += 1;
    const [x, y] = [a.slice(k), b.slice(k)];
    return x.slice(1) === y.slice(1) || x.slice(1) === y || x === y.slice(1);
  };

  // What a word of a query stands for: itself; if the book doesn't have it, words that begin alike, or nearly are so.
  const meanings = (word, known) => {
    if (known.has(word)) return [[word, 1]];
    if (!/^[a-z]/.test(word) || word.length < 3) return [];
    const begin = [...known].filter((other) => other.startsWith(word) || (other.length > 5 && word.startsWith(other)));
    if (begin.length) return begin.map((other) => [other, 0.6]);
    return word.length < 5 ? [] : [...known].filter((other) => near(word, other)).map((other) => [other, 0.6]);
  };

  // How much of a phrase and a query is the same, from 0 to 1: what they share, of all that either has.
  const alike = (query, phrase) => {
    const both = query.reduce((sum, word) =>
      sum + Math.max(0, ...word.map(([term, weight]) => (phrase.includes(term) ? weight : 0))), 0);
    return both / (query.length + new Set(phrase).size - both);
  };
  const best = (query, phrases) => Math.max(0, ...phrases.map(([phrase, sum]) => sum * alike(query, phrase) ** 3));

  // Scores of all pages for one reading of the query: [page, entry to show, score].
  const read = (query, { pages, counts, sizes }) => {
    const rarity = (term) => Math.log(1 + pages.length / Math.max(1,
      [...(counts.get(term) || new Map()).keys()].filter((entry) => !entry.anchor).length));
    const rare = new Map(query.flat().map(([term]) => [term, rarity(term)]));
    const gain = (word, entry) => Math.max(0, ...word.map(([term, weight]) => {
      const times = counts.get(term)?.get(entry) || 0;
      const long = entry.size / (entry.anchor ? sizes.section : sizes.top);
      const named = entry.words.includes(term) ? (entry.anchor ? HEADING : TITLE) : 0;
      return weight * rare.get(term) * (times / (times + 0.5 + 0.7 * long) + named);
    }));
    const weights = query.map((word) => (word.length ? Math.max(...word.map(([term]) => rare.get(term))) : rarity("")));
    const all = weights.reduce((sum, weight) => sum + weight, 0);
    const score = (entry) => {
      const gains = query.map((word) => gain(word, entry));
      const covered = weights.filter((_, k) => gains[k] > 0).reduce((sum, weight) => sum + weight, 0) / all;
      return gains.reduce((sum, g) => sum + g, 0) * covered ** 2 + best(query, entry.phrases);
    };
    return pages.flatMap((page, number) => {
      if (!page.top) return [];
      const top = score(page.top);
      const [section, inside] = page.sections.map((entry) => [entry, score(entry)])
        .reduce((a, b) => (b[1] > a[1] ? b : a), [page.top, 0]);
      const total = (top + inside) * page.share + best(query, page.keywords);
      const named = page.keywords.some(([phrase, , isName]) => isName && alike(query, phrase) === 1);
      return total > 0 ? [[number, inside > top && !named ? section : page.top, total]] : [];
    });
  };

  // The query as it is typed, and with neighbours joined where the book writes one word: drop out, bi-directional.
  const readings = (typed, known) => {
    const parts = runs(typed).flatMap((run) => (isHan(run) ? [run] : run.split(/[-_]/)));
    const joined = [];
    for (let k = 0; k < parts.length; k += 1) {
      const pair = k + 1 < parts.length && !isHan(parts[k] + parts[k + 1]) ? parts[k] + parts[k + 1] : "";
      joined.push(pair && known.has(stem(pair)) ? pair : parts[k]);
      if (joined.at(-1) === pair) k += 1;
    }
    return [words(typed), words(joined.join(" "))].map((reading) => [...new Set(reading)])
      .map((reading) => reading.map((word) => meanings(word, known)));
  };

  const escape = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);

  // Results as Sphinx's list wants them: [page, title, anchor, description, score, file], the first one last.
  const results = (typed, names) => {
    const { docnames, filenames } = Search._index, data = prepare(Search._index);
    const found = new Map();
    readings(typed, data.known).filter((query) => query.length).forEach((query) => {
      read(query, data).forEach(([page, entry, score]) => {
        if (!found.has(page) || found.get(page)[1] < score) found.set(page, [entry, score]);
      });
    });
    const listed = [...found].sort((a, b) => b[1][1] - a[1][1] || a[0] - b[0]).slice(0, PAGES)
      .map(([page, [entry, score]]) => {
        const { heading } = data.pages[page].top;
        const title = entry.anchor ? `${heading} > ${entry.heading}` : heading;
        return [docnames[page], escape(title), entry.anchor && `#${entry.anchor}`, null, score, filenames[page]];
      });
    const name = typed.trim().toLowerCase().replace(/\(\)$/, "");
    const whole = (item) => item[1].toLowerCase() === name || item[1].toLowerCase().endsWith(`.${name}`);
    const once = [...new Map(names.map((item) => [item[1], item])).values()]
      .sort((a, b) => whole(b) - whole(a) || b[4] - a[4] || a[1].length - b[1].length).slice(0, NAMES);
    const first = /[._]|\(\)$/.test(typed.trim()) ? once.filter(whole) : [];
    return [...first, ...listed, ...once.filter((item) => !first.includes(item))].reverse();
  };

  // The text of a page, or of the section that a result leads to, as it is read.
  const readable = (page, anchor) => {
    const parsed = new DOMParser().parseFromString(page, "text/html");
    const part = parsed.getElementById(anchor.slice(1)) || parsed.querySelector("article") || parsed.body;
    part.querySelectorAll("h1, h2, h3, h4, script, style, .katex-html").forEach((element) => element.remove());
    part.querySelectorAll("p, li, dt, dd, th, td, pre").forEach((element) => element.append(" "));
    return part.textContent.replace(/\s+/g, " ");
  };

  // Some 240 letters of a text in which most of the words that were looked for stand together, the first such place.
  const excerpt = (text, looked) => {
    const lower = text.toLowerCase(), places = [];
    const terms = looked.flatMap((term) => (isHan(term) ? [term, ...pairs(term)] : [term]));
    terms.forEach((term, number) => {
      for (let at = lower.indexOf(term); at >= 0; at = lower.indexOf(term, at + 1)) places.push([at, number]);
    });
    places.sort((a, b) => a[0] - b[0]);
    let start = 0, most = 0;
    places.forEach(([at], k) => {
      const together = new Set();
      for (let j = k; j < places.length && places[j][0] < at + 160; j += 1) together.add(places[j][1]);
      if (together.size > most) [start, most] = [Math.max(at - 60, 0), together.size];
    });
    // From a whole word to a whole word; Chinese has no spaces to look for.
    const from = text.slice(start, start + 240).replace(start ? /^\S{0,20} / : "", start ? "… " : "");
    return start + 240 < text.length ? from.replace(/ \S{0,20}$/, " …") : from.trim();
  };

  return { excerpt, indexed, isWord, readable, results, words };
})();

Search.makeSearchSummary = (page, terms, anchor) => {
  const summary = document.createElement("p");
  summary.className = "context";
  summary.textContent = siteSearch.excerpt(siteSearch.readable(page, anchor), [...terms]);
  return summary;
};

Search._performSearch = (query, searchTerms, excludedTerms, highlightTerms, objectTerms) => {
  _removeChildren(document.getElementById("search-progress"));
  const parts = new Set([...objectTerms].filter(siteSearch.isWord));
  const names = [...parts].flatMap((part) => Search.performObjectSearch(part, parts));
  return siteSearch.results(query, names);
};
