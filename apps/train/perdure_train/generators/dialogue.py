# SPDX-License-Identifier: Apache-2.0
"""Dialogue with facts: a speaker tells things about himself, talks of others, corrects himself, and asks back much later.

Turns are written as `perdure chat` writes them. Every split has phrasings and values of its own (dialogue_words.py)."""

import math

from ..documents import BOS, EOS, Segment
from . import dialogue_words as words

_CORRECTS = 0.25  # share of questions before which something told is put right
_LEAST_TALK = 6  # words between two events


def turn(user: str, *reply: Segment) -> list:
    return [BOS, Segment(f"[INST] {user} [/INST]"), *reply, EOS]


def tell(split: str, kind: str, value: str, random, corrected: bool = False) -> list:
    """The turn in which a fact is told. The reply says it once more, which trains taking it in."""
    statement = random.choice(words.STATEMENTS[kind][split]).format(value)
    if corrected:
        statement = f"{random.choice(words.CORRECTIONS[split])} {statement}"
    return turn(statement, Segment(words.ANSWERS[kind].format(value), answer=True))


def ask(split: str, kind: str, value: str, random) -> list:
    """The turn that asks for a fact; the reply is what a model is judged by."""
    return turn(random.choice(words.QUESTIONS[kind][split]), Segment(words.ANSWERS[kind].format(value), answer=True))


def talk(split: str, count: int, random):
    """Turns about other things, `count` words or a few more."""
    said = 0
    while said < count:
        remark, reply = words.small_talk(split, random)
        said += len(remark.split()) + len(reply.split()) + 2  # the brackets count as well
        yield from turn(remark, Segment(reply))


def dialogue(split: str, count: int, random, distance: int = 256):
    """Conversations with one to four facts; at most about `distance` words lie between a fact and its question."""
    for _ in range(count):
        facts = {kind: words.value(kind, split, random) for kind in random.sample(words.KINDS, random.randint(1, 4))}
        document = []
        for kind, value in facts.items():
            document += tell(split, kind, value, random)
        for _ in range(random.randint(2, 4)):
            document += talk(split, _some_words(distance, random), random)
            kind = random.choice(list(facts))
            if random.random() < _CORRECTS:
                facts[kind] = words.value(kind, split, random)
                document += tell(split, kind, facts[kind], random, corrected=True)
                document += talk(split, _some_words(distance, random), random)
            document += ask(split, kind, facts[kind], random)
        yield document


def _some_words(most: int, random) -> int:
    """Short distances as often as long ones: what is learnt at the short ones carries over."""
    return int(math.exp(random.uniform(math.log(_LEAST_TALK), math.log(max(most, _LEAST_TALK + 1)))))


def probe(split: str, distance: int, random) -> list:
    """One conversation with four facts, `distance` words of other talk, and one question, at the very end."""
    facts = {kind: words.value(kind, split, random) for kind in random.sample(words.KINDS, len(words.KINDS))}
    document = []
    for kind, value in facts.items():
        document += tell(split, kind, value, random)
    document += talk(split, distance, random)
    kind = random.choice(list(facts))
    return document + ask(split, kind, facts[kind], random)
