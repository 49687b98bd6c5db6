# SPDX-License-Identifier: Apache-2.0
"""The task `segments`: its vocabulary and files, documents made while they are read, and how much is recalled how far on."""

import json
import math
import pathlib

import numpy
import torch

from . import tokenizer
from .errors import UsageError
from .generators import segments as rule

SEGMENT = 64  # tokens, in the files; what is made while it is read has segments of the window
_IN_FILES = 4  # segments of a document at most
_TASKS, _DISTANCES = 64, (0, 1, 2, 4, 8, 16, 32)
VOCABULARY = {"lines": [rule.LETTERS] * 4, "vocab_size": 259 + len(rule.LETTERS), "few_words": False}  # marks and bytes first
_SPLITS = {"train": 0, "validation": 1, "test": 2}


def write_data(options) -> None:
    """What prepare writes for this task beside the tokenizer, which is there. Training makes its documents itself; the files
    are for other readings."""
    out = pathlib.Path(options.out)
    pieces = tokenizer.Tokenizer(out / "tokenizer.model")
    ids = letter_ids(pieces)
    about = {"task": "segments", "seed": options.seed, "vocab_size": pieces.vocab_size, "tokens": {}}
    for split, number in _SPLITS.items():
        count = options.documents if split == "train" else options.held_out_documents
        random = numpy.random.default_rng([options.seed, number])
        about["tokens"][split] = _write_split(out, split, count, random, ids)
        print(f"{split}: {about['tokens'][split]:,} tokens")
    (out / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in _tasks(options.seed)))
    (out / "data.json").write_text(json.dumps(about, indent=1) + "\n")


def _tasks(seed: int):
    """Questions for `perdure compare` (exact_match by distance): one of a document, about what was told so many segments before."""
    for distance in _DISTANCES:
        random = numpy.random.default_rng([seed, _SPLITS["test"], 2, distance])
        letters, answers = (numpy.concatenate(x, 1) for x in zip(*rule.probe(random, _TASKS, distance, SEGMENT)))
        for text, marks in zip(letters, answers):
            begins = numpy.flatnonzero(marks[1:] & ~marks[:-1]) + 1
            begin = int(random.choice(begins))
            end = begin + int(numpy.argmin(marks[begin:]))
            yield {"prompt": rule.as_text(text[:begin]).lstrip(), "answer": rule.as_text(text[begin:end]), "space": False,
                   "distance": distance}


def _write_split(out: pathlib.Path, split: str, count: int, random, ids) -> int:
    total = 0
    with open(out / f"{split}.bin", "wb") as tokens, open(out / f"{split}.answer", "wb") as marks, \
            open(out / f"{split}.txt", "w", encoding="utf-8") as text:
        for _ in range(count):
            letters, answers = rule.documents(random, 1, int(random.integers(1, _IN_FILES + 1)), SEGMENT)
            tokens.write(ids[letters[0]].astype(tokenizer.token_type(int(ids.max()) + 1)).tobytes())
            marks.write(answers[0].astype(numpy.uint8).tobytes())
            text.write(rule.as_text(letters[0]) + "\n")
            total += letters.size
    return total


def letter_ids(pieces):
    """The token of every letter, and last, where START points to, BOS. Errors: UsageError for another task's vocabulary."""
    tokens = [pieces.encode(letter)[1:] for letter in rule.LETTERS.strip()]  # behind the space that opens every text
    if any(len(t) != 1 for t in tokens):
        raise UsageError("this vocabulary has not a piece for every letter; prepare the data with --task segments")
    space = pieces.encode("a")[0]
    return numpy.array([t[0] for t in tokens] + [space, tokenizer.BOS])


class Documents:
    """Batches as data.Windows gives them, but whole documents: `take` makes one for each row. Each is fixed by the seed and
    its number."""

    def __init__(self, pieces, rows: int, window: int, seed: int, split: str = "train"):
        if rule.facts_of(window) < 2:
            raise UsageError(f"--reading segments needs a window of {5 * rule.SLOT} tokens or more, not {window}")
        self._ids, self._rows, self._window, self._seed = letter_ids(pieces), rows, window, [seed, _SPLITS[split]]
        self._made = 0

    def take(self, count: int) -> list:
        """`count` windows, one after the other those of the next documents."""
        random = numpy.random.default_rng([*self._seed, 1, self._made])
        self._made += 1
        letters, answers = rule.documents(random, self._rows, count, self._window)
        return list(self.windows(self._ids[letters], answers))

    def windows(self, ids, answers):
        """Behind its end a document begins anew."""
        targets, marks = numpy.roll(ids, -1, 1), numpy.roll(answers, -1, 1)
        for begin in range(0, ids.shape[1], self._window):
            here = slice(begin, begin + self._window)
            fresh = torch.full((self._rows,), begin == 0)
            yield (*(torch.from_numpy(x[:, here].copy()) for x in (ids, targets, marks)), fresh, [])

    def state(self) -> dict:
        return {"made": self._made}

    def restore(self, state: dict) -> None:
        self._made = state["made"]


def _right(logits, letters_ids, answers):
    """(right, all) answers per row of a segment: an answer is right if every letter of it has the highest logit."""
    targets, marks = letters_ids[:, 1:], answers[:, 1:]
    wrong = (logits[:, :-1].argmax(-1) != targets) & marks
    first = marks & ~answers[:, :-1]  # where an answer begins
    number = first.cumsum(1) * marks  # which answer of its row a letter belongs to, from 1 on
    count = int(number.max())
    missed = torch.zeros(len(targets), count + 1, dtype=torch.bool, device=targets.device)
    rows = torch.arange(len(targets), device=targets.device)[:, None].expand_as(number)
    missed[rows[wrong], number[wrong]] = True
    return int((~missed[:, 1:]).sum()), missed[:, 1:].numel()


def recall(model, pieces, distance: int, samples: int, device, split: str = "test", reset: bool = False) -> tuple:
    """(answers that are wholly right, all answers) in `samples` documents that ask `distance` segments behind what they tell.
    `reset`: the memory is reset before the question."""
    ids, random = letter_ids(pieces), numpy.random.default_rng([_SPLITS[split], distance, samples])
    memory, training = None, model.training
    model.eval()
    with torch.no_grad():
        for number, (letters, answers) in enumerate(rule.probe(random, samples, distance, model.args.max_seq_len)):
            tokens = torch.from_numpy(ids[letters]).to(device)
            last = number == distance
            logits, memory = model(tokens, None if last and reset else memory)
    model.train(training)
    return _right(logits, tokens, torch.from_numpy(answers).to(device))


def interval(right: int, total: int) -> tuple:
    """Wilson's interval of 95 % of a share."""
    share, z = right / total, 1.96
    middle, half = share + z * z / (2 * total), z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (middle - half) / (1 + z * z / total), (middle + half) / (1 + z * z / total)
