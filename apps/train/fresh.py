#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Token ids of text that was never seen, for models of generated tasks: fresh.py TOKENIZER.bin DOCUMENTS [--task repeat]
[--seed N]. Needs nothing but Python, so that a model can be judged where PyTorch is not."""

import os
import pathlib
import random
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from perdure_train.arguments import Parser, count, count_or_zero  # noqa: E402
from perdure_train.documents import BOS_MARK  # noqa: E402
from perdure_train.errors import UsageError  # noqa: E402
from perdure_train.generators import GENERATORS, sentences  # noqa: E402
from perdure_train.tasks import TEXT_TASKS  # noqa: E402


class WordTokenizer:
    """tokenizer.bin for plain text: pieces never cross words, so every word is split once."""

    def __init__(self, path: str):
        self._path, self._ids, self._known = path, {}, {}
        try:
            self._read(pathlib.Path(path).read_bytes())
        except (OSError, ValueError, struct.error) as error:
            raise UsageError(f"{path} is no tokenizer.bin ({error}); name the one of a model") from None

    def _read(self, data: bytes) -> None:
        at = 4
        while at < len(data):
            score, length = struct.unpack_from("<fi", data, at)
            at += 8 + length
            if length < 1 or at > len(data):
                raise ValueError(f"a piece has {length} bytes")
            self._ids.setdefault(data[at - length:at].decode(), (len(self._ids), score))
        if not self._ids:
            raise ValueError("it holds no pieces")

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
            lacking = [p for p in pieces if p not in self._ids]
            if lacking:
                raise UsageError(f"{self._path} has no piece for '{lacking[0]}'; name the one of a model of this task")
            self._known[word] = [self._ids[p][0] for p in pieces]
        return self._known[word]


def main() -> None:
    parser = Parser(prog="fresh.py", description=__doc__)
    parser.add_argument("tokenizer")
    parser.add_argument("documents", type=count)
    parser.add_argument("--task", default="repeat", choices=["repeat", "reverse", *GENERATORS])
    parser.add_argument("--sentences", type=count_or_zero, default=6,
                        help="of a text at most; 0: lists of words (%(default)s)")
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
    sys.stdout.flush()


try:
    main()
except UsageError as wrong:
    print(f"fresh.py: {wrong}", file=sys.stderr)
    sys.exit(2)
except BrokenPipeError:  # whoever reads has enough, as `head` has
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be written at the end
