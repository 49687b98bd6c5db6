# SPDX-License-Identifier: Apache-2.0
"""Associative recall and copying over segments: keys with values and a string are told, other letters pass, and in the last
segment all of them are asked for. Everything is drawn anew for every document; what is told stands in slots of 8 letters.

`=abcd;` tells the value cd of the key ab and `?abcd;` asks for it, `>abcdef;` tells the string and `!abcdef;` asks for it.
Every letter is one token, and a text is as perdure reads it: BOS, a space, letters."""

import numpy

LETTERS = "abcdefghijklmnopqrstuvwxyz=?;>! "
SLOT = 8
START = -1  # stands for BOS, which is no letter
_TOLD, _ASKED, _END, _STRING, _COPY, _SPACE = range(26, 32)
_KEY, _VALUE, _COPIED = 2, 2, 6


def facts_of(length: int) -> int:
    """How many facts a document of segments of `length` letters has, the string included."""
    return (length // SLOT - 1) // 2


def _filler(random, rows: int, length: int):
    return random.integers(0, 26, (rows, length))


def _places(random, rows: int, count: int, first: int, end):
    """[rows, count] different slots from `first` to below `end` (a number for each row), in random order."""
    order = random.random((rows, int(numpy.max(end))))
    slot = numpy.arange(order.shape[1])
    outside = (slot < first) | (slot >= numpy.reshape(end, (-1, 1)))
    return numpy.argsort(numpy.where(outside, 2, order), 1)[:, :count]


class Facts:
    """The facts of `rows` documents. `tell` and `ask` write them into letters [rows, length] at given slots."""

    def __init__(self, random, rows: int, count: int):
        self._random, self._rows, self._count = random, rows, count
        both = numpy.argsort(random.random((rows, _KEY, 26)), 2)[:, :, :count - 1]  # no two keys begin or end alike
        self._keys = both.transpose(0, 2, 1)
        self._values = random.integers(0, 26, (rows, count - 1, _VALUE))
        self._string = random.integers(0, 26, (rows, _COPIED))

    def _write(self, letters, slots, sign: int, copy_sign: int):
        """Returns which letters are answers."""
        answers = numpy.zeros(letters.shape, bool)
        row = numpy.arange(self._rows)[:, None]
        begins = slots * SLOT + self._random.integers(0, SLOT - _KEY - _VALUE - 1, slots.shape)
        begins[:, 0] = slots[:, 0] * SLOT
        for i in range(_COPIED):
            letters[row, begins[:, :1] + 1 + i] = self._string[:, i:i + 1]
            answers[row, begins[:, :1] + 1 + i] = True
        letters[row, begins[:, :1]], letters[row, begins[:, :1] + 1 + _COPIED] = copy_sign, _END
        begins = begins[:, 1:]
        letters[row, begins], letters[row, begins + 1 + _KEY + _VALUE] = sign, _END
        for i in range(_KEY):
            letters[row, begins + 1 + i] = self._keys[:, :, i]
        for i in range(_VALUE):
            letters[row, begins + _KEY + 1 + i] = self._values[:, :, i]
            answers[row, begins + _KEY + 1 + i] = True
        return answers

    def tell(self, letters, slots) -> None:
        self._write(letters, slots, _TOLD, _STRING)

    def ask(self, letters, slots):
        return self._write(letters, slots, _ASKED, _COPY)


def _begin(letters):
    letters[:, 0], letters[:, 1] = START, _SPACE
    return letters


def documents(random, rows: int, segments: int, length: int) -> tuple:
    """(letters, which are answers) [rows, segments * length]. One segment tells and asks; of more, the last one asks, and all
    facts of a row are told in the first, or in the first few."""
    count, slots = facts_of(length), length // SLOT
    facts, letters = Facts(random, rows, count), _begin(_filler(random, rows, segments * length))
    last = slots * (segments - 1)
    told = numpy.full(rows, 1 + count) if segments == 1 else slots * random.integers(1, segments, rows)
    facts.tell(letters, _places(random, rows, count, 1, told))
    asked = _places(random, rows, count, 1 + count if segments == 1 else 0, slots)
    return letters, facts.ask(letters, last + asked)


def probe(random, rows: int, distance: int, length: int):
    """Yields the segments of a document one by one, as `documents` gives them: all is told in the first one and asked for
    `distance` segments on. However long it is, only one segment is held."""
    if distance == 0:
        yield documents(random, rows, 1, length)
        return
    count, slots = facts_of(length), length // SLOT
    facts = Facts(random, rows, count)
    for segment in range(distance + 1):
        letters, answers = _filler(random, rows, length), numpy.zeros((rows, length), bool)
        if segment == 0:
            facts.tell(_begin(letters), _places(random, rows, count, 1, slots))
        elif segment == distance:
            answers = facts.ask(letters, _places(random, rows, count, 0, slots))
        yield letters, answers


def as_text(letters) -> str:
    return "".join(LETTERS[i] for i in letters if i != START)
