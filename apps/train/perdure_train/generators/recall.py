# SPDX-License-Identifier: Apache-2.0
"""Associative recall over distance: pairs are told, other words pass, then some pairs are asked for."""

from ..documents import BOS, EOS, Segment

_SYLLABLES = "ba ke mi no tu la ri so pe da fu ze".split()
_FILLER = "then we walked on and saw the hills and the sea while the wind blew over us".split()
# Every split has keys of its own, told apart by the first syllable.
_FIRST = {"train": _SYLLABLES[:8], "validation": _SYLLABLES[8:10], "test": _SYLLABLES[10:]}


def _filler(random, words: int) -> str:
    return " ".join(random.choice(_FILLER) for _ in range(words))


def recall(split: str, count: int, random, distance: int = 256):
    for _ in range(count):
        keys = [random.choice(_FIRST[split]) + random.choice(_SYLLABLES) + end for end in random.sample(_SYLLABLES, 3)]
        pairs = {key: str(random.randint(0, 9)) for key in keys}
        document = [BOS] + [Segment(f"{key} is {value}.") for key, value in pairs.items()]
        for key in random.sample(keys, 2):
            document.append(Segment(_filler(random, random.randint(4, max(4, distance)))))
            document += [Segment(f"{key}?"), Segment(pairs[key], answer=True), EOS]
        yield document
