#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Token ids of text that was never seen, for models of generated tasks: fresh.py TOKENIZER.bin DOCUMENTS [--task repeat]
[--seed N]. Needs nothing but Python, so that a model can be judged where PyTorch is not."""

import argparse
import pathlib
import random
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from perdure_train.documents import BOS_MARK  # noqa: E402
from perdure_train.generators import GENERATORS, sentences  # noqa: E402
from perdure_train.tasks import TEXT_TASKS  # noqa: E402


class WordTokenizer:
    """tokenizer.bin for plain text: pieces never cross words, so every word is split once."""

    def __init__(self, path: str):
        data, at, self._ids, self._known = pathlib.Path(path).read_bytes(), 4, {}, {}
        while at < len(data):
            score, length = struct.unpack_from("<fi", data, at)
            piece = data[at + 8:at + 8 + length].decode()
            self._ids.setdefault(piece, (len(self._ids), score))
            at += 8 + length

    def encode(self, text: str) -> list:
        return [i for word in text.split(" ") for i in self._word(" " + word)]

    def _word(self, word: str) -> list:
        if word not in self._known:
            pieces = list(word)
            while True:
                pairs = [(-self._ids[a + b][1], i) for i, (a, b) in enumerate(zip(pieces, pieces[1:])) if a + b in self._ids]
                if not pairs:
                    break
                _, i = min(pairs)
                pieces[i:i + 2] = [pieces[i] + pieces[i + 1]]
            self._known[word] = [self._ids[p][0] for p in pieces]
        return self._known[word]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tokenizer")
    parser.add_argument("documents", type=int)
    parser.add_argument("--task", default="repeat", choices=["repeat", "reverse", *GENERATORS])
    parser.add_argument("--sentences", type=int, default=6, help="of a text at most; 0: lists of words (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance, tokenizer = random.Random(f"fresh {options.seed}"), WordTokenizer(options.tokenizer)
    if options.task in GENERATORS:
        documents = GENERATORS[options.task]("test", options.documents, chance)
    else:
        documents = TEXT_TASKS[options.task](sentences("test", options.documents, chance, options.sentences))
    for document in documents:
        ids = []
        for segment in document:
            if segment.mark == "reversed":
                ids += tokenizer.encode(segment.text)[::-1]
            elif segment.mark:
                ids.append(1 if segment.mark == BOS_MARK else 2)
            else:
                ids += tokenizer.encode(segment.text)
        print(*ids)


main()
