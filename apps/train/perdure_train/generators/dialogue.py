# SPDX-License-Identifier: Apache-2.0
"""Dialogue with facts: a speaker tells things about himself, talks of others, corrects himself, and asks back much later.

Turns are written as `perdure chat` writes them. Every split has phrasings and values of its own (dialogue_words.py)."""

import math

from ..documents import BOS, EOS, Segment
from . import dialogue_words as words

_TALKS = 0.3  # share of questions before which other things are talked about
_CORRECTS = 0.15  # share of questions in whose place something told is put right
_OPENED = 0.5  # share of other remarks that have an opening as facts and questions have
_LEAST_TALK = 6  # words between two events


def turn(user: str, *reply: Segment) -> list:
    return [BOS, Segment(f"[INST] {user} [/INST]"), *reply, EOS]


def _opened(phrase: str, random) -> str:
    """The phrase, mostly with some words before it."""
    opening = random.choice(words.OPENINGS)
    if opening.endswith(",") and not phrase.startswith("I "):
        phrase = phrase[0].lower() + phrase[1:]
    return f"{opening} {phrase}" if opening else phrase


def told(kind: str, value: str) -> Segment:
    return Segment(words.ANSWERS[kind].format(value), answer=True)


def tell(split: str, kind: str, value: str, random, corrected: bool = False) -> list:
    """The turn in which a fact is told. The reply says it once more, which trains taking it in."""
    statement = words.phrase(words.STATEMENTS[kind][split], random)
    if corrected:
        statement = f"{words.phrase(words.CORRECTIONS[split], random)} {statement}"
    return turn(_opened(statement, random).format(value), told(kind, value))


def ask(split: str, kind: str, value: str, random) -> list:
    """The turn that asks for a fact; the reply is what a model is judged by."""
    return turn(_opened(words.phrase(words.QUESTIONS[kind][split], random), random), told(kind, value))


def talk(split: str, count: int, random, replies=words.REPLIES):
    """Turns about other things, `count` words or a few more."""
    said = 0
    while said < count:
        remark, reply = words.small_talk(split, random, replies)
        if random.random() < _OPENED:  # otherwise an opening alone would tell that a fact follows
            remark = _opened(remark, random)
        said += len(remark.split()) + len(reply.split()) + 2  # the brackets count as well
        yield from turn(remark, Segment(reply))


def conversation(split: str, random, distance: int):
    """The turns of one conversation with two to four facts, asked for in turn; other talk of at most about `distance` words
    lies before some questions. Yields (segments, the facts as they are known behind them).

    Each conversation has some of the replies only: a model that talks says what is likeliest again and again, and what it
    has been told must outlive that too."""
    facts = {}
    replies = random.sample(words.REPLIES, random.randint(1, len(words.REPLIES)))
    for kind in random.sample(words.KINDS, random.randint(2, 4)):
        facts[kind] = words.value(kind, split, random)
        yield tell(split, kind, facts[kind], random), dict(facts)
    waiting = []
    for _ in range(random.randint(4, 4 * len(facts))):
        if random.random() < _TALKS:
            yield list(talk(split, _some_words(distance, random), random, replies)), dict(facts)
        waiting = waiting or random.sample(list(facts), len(facts))
        kind = waiting.pop()
        if random.random() < _CORRECTS:
            facts[kind] = words.value(kind, split, random, other_than=facts[kind])
            yield tell(split, kind, facts[kind], random, corrected=True), dict(facts)
        else:
            yield ask(split, kind, facts[kind], random), dict(facts)


def dialogue(split: str, count: int, random, distance: int = 256):
    """`count` conversations, each a document."""
    for _ in range(count):
        yield [segment for segments, _ in conversation(split, random, distance) for segment in segments]


def _some_words(most: int, random) -> int:
    """Half of the distances of any size, since what is learnt at short ones carries over; half up to `most` alike, since only
    over long ones can a memory learn to last. None if `most` is very small."""
    if most <= _LEAST_TALK:
        return 0
    if random.random() < 0.5:
        return int(math.exp(random.uniform(math.log(_LEAST_TALK), math.log(most))))
    return random.randint(_LEAST_TALK, most)


def probe(split: str, distance: int, random) -> list:
    """One conversation with four facts, `distance` words of other talk, and one question, at the very end."""
    facts = {kind: words.value(kind, split, random) for kind in random.sample(words.KINDS, len(words.KINDS))}
    document = []
    for kind, value in facts.items():
        document += tell(split, kind, value, random)
    document += talk(split, distance, random)
    kind = random.choice(list(facts))
    return document + ask(split, kind, facts[kind], random)
