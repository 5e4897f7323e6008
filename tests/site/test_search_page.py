"""The search page in a real browser: what readers type, and the page that has to come first.

One page load for all queries, which go through the functions that the page itself calls.
"""
# ruff: noqa: F811 (the fixtures of the browser)

from urllib.parse import quote

import pytest

from tests.site.test_browser import PHONE, address, browser, faults, visit, window  # noqa: F401

# What a reader types: the page that comes first, and, after a #, the section that its link leads to.
FIRST = {
    # chapters, by their names and acronyms
    "rnn": "rnn",
    "RNN": "rnn",
    "recurrent neural network": "rnn",
    "recurrent neural networks": "rnn",
    "vanilla rnn": "rnn",
    "elman network": "rnn",
    "lstm": "lstm",
    "LSTM cell": "lstm",
    "long short-term memory": "lstm",
    "long short term memory": "lstm",
    "lstm from scratch": "lstm",
    "gru": "gru",
    "gated recurrent unit": "gru",
    "gated recurrent units": "gru",
    "lstm vs gru": "gru",
    "bidirectional": "birnn",
    "bi-directional": "birnn",
    "bidirectional lstm": "birnn",
    "BiLSTM": "birnn",
    "attention": "attention",
    "attention mechanism": "attention",
    "dropout": "dropout",
    "drop out": "dropout",
    "speed": "speed",
    "errata": "errata",
    "glossary": "terminology",
    "notation": "notation",
    "bibliography": "bibliography",
    "how to read this book": "intro",
    "start here": "intro",
    "cite this book": "intro",
    "how is this book checked": "checked",
    "reproducible": "checked",
    "changelog": "changes",
    "background": "background",
    # what people look for in them
    "seq2seq": "attention",
    "sequence to sequence": "attention",
    "encoder decoder": "attention",
    "teacher forcing": "attention",
    "beam search": "attention",
    "greedy search": "attention",
    "bahdanau": "attention",
    "bahdanau attention": "attention",
    "luong": "attention",
    "query key value": "attention#look-back-query-key-value",
    "self-attention": "attention#from-here-to-the-transformer",
    "self attention": "attention#from-here-to-the-transformer",
    "scaled dot product attention": "attention",
    "transformer": "attention",
    "scheduled sampling": "attention",
    "exposure bias": "attention",
    "bptt": "rnn#backward-through-time",
    "backpropagation through time": "rnn#backward-through-time",
    "back-propagation through time": "rnn#backward-through-time",
    "truncated bptt": "rnn_gradient#training-in-windows",
    "vanishing gradient": "rnn_gradient",
    "vanishing gradients": "rnn_gradient",
    "exploding gradient": "rnn_gradient",
    "exploding gradients": "rnn_gradient",
    "gradient clipping": "rnn_gradient#a-cliff-and-clipping",
    "clip gradients": "rnn_gradient",
    "clip_grad_norm_": "rnn_gradient",
    "spectral radius": "rnn_gradient#from-a-number-to-a-matrix",
    "orthogonal initialisation": "rnn_gradient#initialisations-that-help",
    "orthogonal initialization": "rnn_gradient#initialisations-that-help",
    "echo state network": "rnn_gradient",
    "forget bias": "lstm_start#the-forget-bias",
    "forget gate bias": "lstm_start",
    "initialise lstm": "lstm_start",
    "initialize lstm": "lstm_start",
    "lstm in torch": "lstm_start",
    "peephole": "lstm_start",
    "forget gate": "lstm#a-gate-for-forgetting-1999",
    "input gate": "lstm",
    "output gate": "lstm#a-gate-for-reading",
    "cell state": "lstm",
    "constant error carousel": "lstm",
    "reset gate": "gru#look-or-not-the-reset-gate",
    "update gate": "gru#keep-or-take-the-update-gate",
    "reset_after": "gru",
    "backpropagation": "rnn",
    "training loop": "rnn",
    "hidden state": "terminology",
    "stacked lstm": "birnn",
    "concat score": "attention",
    "positional encoding": "attention",
    "adding problem": "lstm_start",
    "chrono initialization": "lstm_start",
    "perplexity": "rnn#count",
    "cross entropy": "rnn#how-wrong-was-a-guess",
    "temperature": "rnn#let-it-write",
    "n-gram": "rnn#count",
    "padding": "terminology#data-sequence",
    "mask": "terminology#data-sequence",
    "batch first": "terminology",
    "packed sequence": "birnn#one-function-flip",
    "pack_padded_sequence": "speed",
    "crf": "birnn#where-it-went",
    "ctc loss": "birnn#where-it-went",
    "hidden markov model": "birnn#what-is-the-future-worth",
    "viterbi": "birnn#where-it-went",
    "embedding": "background#everything-becomes-one-array",
    "one-hot": "background#everything-becomes-one-array",
    "history of recurrent networks": "background",
    "zoneout": "dropout",
    "variational dropout": "dropout",
    "recurrent dropout": "dropout",
    "dropconnect": "dropout",
    "regularisation": "dropout",
    "regularization": "dropout",
    "calibration": "dropout#how-sure-is-it-masks-at-test-time",
    "monte carlo dropout": "dropout#how-sure-is-it-masks-at-test-time",
    "overfitting": "terminology#the-words-of-learning",
    "learning rate": "terminology#the-words-of-learning",
    "moving from torch": "moving",
    "deploy without torch": "moving",
    "resume training": "moving",
    "checkpoint": "moving",
    "cudnn": "speed",
    "gpu": "speed",
    "torch.compile": "speed",
    "training is slow": "speed",
    "parallel scan": "speed#without-the-chain-parallel-scans",
    "hadamard product": "notation#functions-and-signs",
    # Greek letters, by sign and by name
    "σ": "notation",
    "sigma": "notation",
    "α": "notation",
    "alpha": "notation",
    "λ": "notation",
    "greek letters": "notation",
    # mistyped
    "atention": "attention",
    "bidirectonal": "birnn",
    # Chinese
    "双向": "birnn",
    "双向循环神经网络": "birnn",
    "双向网络": "birnn",
    "丢弃": "dropout",
    "丢弃法": "dropout",
    "暂退法": "dropout",
    "遗忘": "lstm#a-gate-for-forgetting-1999",
    "遗忘门": "lstm#a-gate-for-forgetting-1999",
    "遗忘门偏置": "lstm_start",
    "输出门": "lstm#a-gate-for-reading",
    "梯度消失": "rnn_gradient",
    "梯度爆炸": "rnn_gradient",
    "梯度裁剪": "rnn_gradient",
    "注意力": "attention",
    "注意力机制": "attention",
    "自注意力": "attention#from-here-to-the-transformer",
    "循环神经网络": "rnn",
    "循环网络": "rnn",
    "长短期记忆": "lstm",
    "长短期记忆网络": "lstm",
    "门控": "gru",
    "门控循环单元": "gru",
    "更新门": "gru#keep-or-take-the-update-gate",
    "序列到序列": "attention",
    "编码器": "attention#two-networks-and-one-vector",
    "束搜索": "attention",
    "困惑度": "rnn#count",
    "填充": "terminology#data-sequence",
    "词嵌入": "background#everything-becomes-one-array",
    "正则化": "dropout",
    "随时间反向传播": "rnn",
    "谱半径": "rnn_gradient#from-a-number-to-a-matrix",
    "过拟合": "terminology#the-words-of-learning",
    "术语表": "terminology",
    "勘误": "errata",
    "并行扫描": "speed",
    "LSTM 网络": "lstm",
    "激活函数": "terminology",
    "反向传播": "rnn",
    "隐马尔可夫模型": "birnn#what-is-the-future-worth",
    "多头注意力": "attention#from-here-to-the-transformer",
    "查询 键 值": "attention",
}
# What is written like a name of the package leads to its documentation.
NAMES = {
    "rnnlit.lstm.step": "rnnlit.lstm.step",
    "lstm.backward": "rnnlit.lstm.backward",
    "rnnlit.nn": "rnnlit.nn",
}

FIND = """queries => queries.map(query => {
    const found = Search._performSearch(...Search._parseQuery(query)).reverse();
    return found.map(([page, title, anchor, descr]) => [page + anchor, title, descr]);
})"""
# Five pages more, as applications may have them: each holds 50 times every word that somebody types and the
# book has, and it has a heading with some of them.
MORE_PAGES = """queries => {
    const index = structuredClone(Search._index), { book } = index;
    for (const [name, title] of [["saying", "Pronouncing English"], ["turning", "Translating"],
        ["writing", "A network that writes"], ["running", "Running programs"], ["numbering", "Counting"]]) {
        const page = index.docnames.length;
        for (const list of ["docnames", "filenames"]) index[list].push(`book/practice/${name}`);
        index.titles.push(title);
        book.entries.push([page, "", title, 2000], [page, "x", "LSTM, GRU, attention at work", 2000]);
        for (const word of new Set(queries.flatMap(siteSearch.words)))
            if (book.words[word]) {
                const last = book.words[word].reduce((sum, n, k) => k % 2 ? sum : sum + n, 0);
                book.words[word].push(book.entries.length - 1 - last, 50);
            }
    }
    Search._index = index;
}"""


@pytest.fixture
def search(visit):
    """Return the open search page, with its index."""
    page = visit("search.html").page
    page.wait_for_function("Search.hasIndex()")
    return page


def wrong(search, expected: dict[str, str]) -> dict[str, list[str]]:
    """Return the queries whose page, or section, is not the first, and what comes instead."""
    found = dict(zip(expected, search.evaluate(FIND, list(expected)), strict=True))
    missed = {}
    for query, place in expected.items():
        places = [where.removeprefix("book/") for where, _, _ in found[query]]
        first = places[0] if places else ""
        if first != place and ("#" in place or first.partition("#")[0] != place):
            missed[query] = places[:3]
    return missed


def test_no_two_pages_claim_a_keyword_and_each_page_has_one(search) -> None:
    claimed, pages = search.evaluate(
        """() => { const { book, docnames } = Search._index, words = (k) => siteSearch.words(k).join(" ");
            return [book.keywords.map(([page, keyword]) => [words(keyword), docnames[page]]), docnames]; }"""
    )
    by_words: dict[str, set[str]] = {}
    for words, page in claimed:
        assert words, page
        by_words.setdefault(words, set()).add(page)
    assert {words: claims for words, claims in by_words.items() if len(claims) > 1} == {}
    # Modules of the package are found by their names.
    assert {page for page in pages if not page.startswith("book/api/")} == {page for _, page in claimed}


def test_what_a_reader_types_leads_to_the_page_on_it(search) -> None:
    assert len(FIRST) > 60
    assert wrong(search, FIRST) == {}


def test_the_order_stays_when_pages_come_that_name_everything(search) -> None:
    search.evaluate(MORE_PAGES, list(FIRST))
    found = search.evaluate(FIND, ["a network that writes"])[0]
    assert found[0][0] == "book/practice/writing"
    assert wrong(search, FIRST) == {}


def test_names_of_the_package_come_first_only_if_they_are_asked_for(search) -> None:
    for query, first in zip(NAMES, search.evaluate(FIND, list(NAMES)), strict=True):
        assert first[0][1] == NAMES[query]
    for query, found in zip(FIRST, search.evaluate(FIND, list(FIRST)), strict=True):
        pages = [descr is None for _, _, descr in found]
        assert pages == sorted(pages, reverse=True), query


def test_two_spellings_find_the_same(search) -> None:
    pairs = [
        ("initialise", "initialize"),
        ("σ", "sigma"),
        ("regularisation", "regularization"),
        ("Bahdanau", "BAHDANAU"),
    ]
    for pair in pairs:
        one, other = ([where for where, _, _ in found] for found in search.evaluate(FIND, list(pair)))
        assert one == other != []


def test_nothing_is_found_where_there_is_nothing(search) -> None:
    assert search.evaluate(FIND, ["zyzzyvax", "龘靐", "", "?", "the"]) == [[], [], [], [], []]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_list_shows_the_first_result_first_with_an_excerpt(visit, mode: str) -> None:
    opened = visit(f"search.html?q={quote('梯度爆炸')}", PHONE, mode)
    page = opened.page
    page.wait_for_selector("#search-results li:first-child .context")
    first = page.locator("#search-results li a").first
    assert first.get_attribute("href").startswith("book/rnn_gradient.html")
    assert faults(page) == []
    page.goto(opened.home + "search.html?q=exploding+gradient")
    page.wait_for_selector("#search-results li:first-child .context")
    assert "exploding gradient" in page.locator("#search-results .context").first.inner_text()
    assert opened.complaints == []
