# SPDX-License-Identifier: Apache-2.0
"""Conversations of the task `dialogue`, made while they are read, and questions beside them.

What a memory holds over a long distance is seldom asked for in a text, and asking tells it again. So questions are asked
beside the text: from the memory as it is at the end of every part of a window, of what is known there, without becoming
part of what is read."""

import random
from typing import NamedTuple

import numpy
import torch

from .generators.dialogue import ask, conversation, talk
from .prepare import encode_document

_MOST_TALK = 30  # words before a question beside the text, so that it may stand anywhere in a segment


class Questions(NamedTuple):
    """Asked beside a batch: of which row [questions], inputs, targets, and which of these count [questions, longest]."""

    rows: torch.Tensor
    inputs: torch.Tensor
    targets: torch.Tensor
    answers: torch.Tensor

    def of(self, rows: slice):
        """Those of some neighbouring rows, which are counted from 0."""
        chosen = (self.rows >= rows.start) & (self.rows < rows.stop)
        return Questions(self.rows[chosen] - rows.start, *(t[chosen] for t in self[1:]))


class _Row:
    """One row's text: conversation after conversation, each fixed by the seed, the row and its number."""

    def __init__(self, name: str, pieces, distance: int, number: int = 0, place: int = 0):
        self._name, self._pieces, self._distance = name, pieces, distance
        self.number, self.place = number, place
        self._load()

    def _load(self) -> None:
        chance = random.Random(f"{self._name} {self.number}")
        self._ids, self._answers, self._known = [], [], []
        for segments, facts in conversation("train", chance, self._distance):
            ids, answers = encode_document(segments, self._pieces)
            self._ids += ids
            self._answers += answers
            self._known.append((len(self._ids), facts))

    def new_conversation(self) -> None:
        self.number, self.place = self.number + 1, 0
        self._load()

    def read(self, count: int) -> tuple:
        """The next `count` tokens, and the one behind them: (ids [count + 1], which are answers)."""
        ids, answers = [], []
        while len(ids) < count:
            if self.place == len(self._ids):
                self.new_conversation()
            end = min(len(self._ids), self.place + count - len(ids))
            ids += self._ids[self.place:end]
            answers += self._answers[self.place:end]
            self.place = end
        if self.place == len(self._ids):
            self.new_conversation()
        return ids + self._ids[self.place:self.place + 1], answers + self._answers[self.place:self.place + 1]

    def known(self) -> dict:
        """The facts that were told in whole turns of this conversation so far."""
        return next((facts for end, facts in reversed(self._known) if end <= self.place), {})


class Conversations:
    """Batches of windows as data.Windows gives them. Every `chain` windows a row begins a conversation without a memory."""

    def __init__(self, pieces, rows: int, options, window: int):
        self._pieces, self._window, self._options = pieces, window, options
        self._rows = [_Row(f"{options.seed} {row}", pieces, options.distance) for row in range(rows)]
        self._left = [options.chain - row * options.chain // rows for row in range(rows)]
        self._fresh = numpy.ones(rows, bool)
        self._asked = 0

    def next(self) -> tuple:
        """(inputs, targets, answers [rows, window], fresh [rows], Questions for each part of the window)."""
        fresh, part = self._fresh, self._options.ask_every or self._window
        columns, beside = [[] for _ in self._rows], []
        for begin in range(0, self._window, part):
            for row, column in zip(self._rows, columns):
                column.append(row.read(min(part, self._window - begin)))
            if self._options.ask_every:
                beside.append(self._questions())
        # The token behind a part is the first one of the next part; only the last part's is kept.
        ids = numpy.array([sum((ids[:-1] for ids, _ in c), []) + c[-1][0][-1:] for c in columns])
        answers = numpy.array([sum((a[:-1] for _, a in c), []) + c[-1][1][-1:] for c in columns], numpy.uint8)
        self._fresh = numpy.zeros(len(self._rows), bool)
        for i, row in enumerate(self._rows):
            self._left[i] -= 1
            if self._left[i] == 0:
                row.new_conversation()
                self._left[i], self._fresh[i] = self._options.chain, True
        inputs, targets, answers = (torch.from_numpy(x.copy()) for x in (ids[:, :-1], ids[:, 1:], answers[:, 1:]))
        return inputs, targets, answers, torch.from_numpy(fresh), beside

    def _questions(self) -> Questions:
        """Each fact that is known, some other talk before."""
        chance = random.Random(f"{self._options.seed} questions {self._asked}")
        self._asked += 1
        rows, asked = [], []
        for number, row in enumerate(self._rows):
            for kind, value in row.known().items():
                document = list(talk("train", chance.randint(0, _MOST_TALK), chance)) + ask("train", kind, value, chance)
                rows.append(number)
                asked.append(encode_document(document, self._pieces))
        longest = max((len(ids) for ids, _ in asked), default=1)
        ids, answers = numpy.zeros((len(asked), longest), numpy.int64), numpy.zeros((len(asked), longest), numpy.uint8)
        for i, (these, are) in enumerate(asked):
            ids[i, :len(these)], answers[i, :len(are)] = these, are
        return Questions(*map(torch.from_numpy, (numpy.array(rows, numpy.int64), ids[:, :-1], ids[:, 1:], answers[:, 1:])))

    def take(self, count: int) -> list:
        """`count` batches that follow each other."""
        return [self.next() for _ in range(count)]

    def state(self) -> dict:
        return {"rows": [(r.number, r.place) for r in self._rows], "left": list(self._left), "fresh": self._fresh.tolist(),
                "asked": self._asked}

    def restore(self, state: dict) -> None:
        self._rows = [_Row(f"{self._options.seed} {i}", self._pieces, self._options.distance, *place)
                      for i, place in enumerate(state["rows"])]
        self._left, self._fresh, self._asked = state["left"], numpy.array(state["fresh"]), state["asked"]
