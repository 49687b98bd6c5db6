# SPDX-License-Identifier: Apache-2.0
"""Windows of a token file, in an order that the seed fixes and a checkpoint remembers."""

import json
import pathlib

import numpy
import torch

from .errors import UsageError
from .tokenizer import token_type

IGNORED = -100  # the target of a token that is not judged
_MASKED = 0.3


class TokenFile:
    """One split of a data folder, mapped into memory."""

    def __init__(self, folder, split: str):
        folder = pathlib.Path(folder)
        try:
            self.about = json.loads((folder / "data.json").read_text())
            if self.about["vocab_size"] < 1:
                raise KeyError("vocab_size")
            self.ids = numpy.memmap(folder / f"{split}.bin", token_type(self.vocab_size), "r")
            self.answers = numpy.memmap(folder / f"{split}.answer", numpy.uint8, "r")
        except (OSError, ValueError) as error:
            raise UsageError(f"{folder} has no tokens of the split '{split}' ({error}); make them with prepare") from None
        except (KeyError, TypeError):
            raise UsageError(f"{folder}/data.json does not tell vocab_size; make the folder anew with prepare") from None
        self._check_ids(folder / f"{split}.bin")

    def _check_ids(self, path):
        block = 1 << 24
        for begin in range(0, len(self.ids), block):
            worst = int(self.ids[begin:begin + block].max())
            if worst >= self.vocab_size:
                raise UsageError(f"{path} has the token id {worst}, but data.json says vocab_size {self.vocab_size}; "
                                 "make the folder again with prepare")

    @property
    def vocab_size(self) -> int:
        return self.about["vocab_size"]

    def window(self, begin: int, length: int):
        """(inputs, targets, answers), each [length], from token `begin` on."""
        ids = self.ids[begin:begin + length + 1].astype(numpy.int64)
        return ids[:-1], ids[1:], self.answers[begin + 1:begin + length + 1]


class MaskedTokens(TokenFile):
    """A split in which 30 of 100 tokens stand behind `mask`; these are to be told, the others have the target IGNORED."""

    def __init__(self, folder, split: str, mask: int):
        super().__init__(folder, split)
        self._mask = mask

    def window(self, begin: int, length: int):
        """As of TokenFile, but targets are of the same rows; what is masked depends on `begin` alone."""
        ids = self.ids[begin:begin + length].astype(numpy.int64)
        masked = numpy.random.default_rng([begin]).random(length) < _MASKED
        return numpy.where(masked, self._mask, ids), numpy.where(masked, ids, IGNORED), numpy.zeros(length, numpy.uint8)


class Windows:
    """Batches of windows. Every row reads `chain` neighbouring windows, then starts elsewhere.

    reading: 'shuffled' (sequences of `chain` windows in random order, cut anew every epoch), 'order' (in the order of the
    text) or 'stream' (row b reads its part of the text without end)."""

    def __init__(self, file: TokenFile, rows: int, window: int, chain: int = 1, reading: str = "shuffled", seed: int = 0):
        self._file, self._window, self._chain, self._reading, self._seed = file, window, chain, reading, seed
        self._span = window * chain
        self._count = (len(file.ids) - 1) // self._span - 1  # the last one is the room for the random cut
        if self._count < max(1, rows if reading == "stream" else 1):
            raise UsageError(f"{len(file.ids)} tokens are too few for {rows} rows of {self._span}; prepare more text")
        self.epoch, self._next = 0, 0
        self._order = self._new_order()
        self._places = numpy.zeros(rows, numpy.int64)
        self._left = numpy.zeros(rows, numpy.int64)  # windows left of each row's sequence
        if reading == "stream":
            self._places = numpy.arange(rows) * (len(file.ids) // rows)
            self._left[:] = -1
        else:
            for row in range(rows):
                self._take_sequence(row)
                skipped = row * chain // rows  # so that rows do not all start anew in the same batch
                self._places[row] += skipped * window
                self._left[row] -= skipped
        self._fresh = numpy.ones(rows, bool)

    def _new_order(self):
        random = numpy.random.default_rng([self._seed, self.epoch])
        cut = int(random.integers(self._span))
        order = numpy.arange(self._count) if self._reading == "order" else random.permutation(self._count)
        return order * self._span + cut

    def _take_sequence(self, row: int) -> None:
        if self._next == len(self._order):
            self.epoch, self._next = self.epoch + 1, 0
            self._order = self._new_order()
        self._places[row], self._left[row] = self._order[self._next], self._chain
        self._next += 1

    def next(self):
        """(inputs, targets, answers [rows, window], fresh [rows], no questions): fresh rows continue no batch before."""
        fresh = self._fresh
        parts = [self._file.window(int(place), self._window) for place in self._places]
        self._places += self._window
        self._left -= 1
        self._fresh = numpy.zeros(len(self._places), bool)
        for row in range(len(self._places)):
            if self._reading == "stream":
                if self._places[row] + self._window >= len(self._file.ids):
                    self._places[row], self._fresh[row] = 0, True
            elif self._left[row] == 0:
                self._take_sequence(row)
                self._fresh[row] = True
        inputs, targets, answers = (torch.from_numpy(numpy.stack(column)) for column in zip(*parts))
        return inputs, targets, answers, torch.from_numpy(fresh), []

    def take(self, count: int) -> list:
        """`count` batches that follow each other."""
        return [self.next() for _ in range(count)]

    def state(self) -> dict:
        return {"epoch": self.epoch, "next": self._next, "places": self._places.tolist(), "left": self._left.tolist(),
                "fresh": self._fresh.tolist()}

    def restore(self, state: dict) -> None:
        self.epoch, self._next = state["epoch"], state["next"]
        self._order = self._new_order()
        self._places, self._left = numpy.array(state["places"]), numpy.array(state["left"])
        self._fresh = numpy.array(state["fresh"])
