# SPDX-License-Identifier: Apache-2.0
"""Texts that become easier the more of them has been read: every document is the dictionary of a world of its own.

A world gives each thing one quality, at random, for good; the text is things, each with its quality behind it. Things are
told again and again, some often and some rarely (the n-th of a world with weight n^-0.7), so that after 150 words half of
what comes next was told before, after 1,400 words nineteen parts of twenty, and what was told far back is worth remembering.
The splits share words but no worlds. Every other world of `train` is smaller: what can be remembered is learnt there first."""

from ..documents import BOS, Segment

_THINGS = """anchor apple arch arrow axe baker barn basin basket beam bear bell bench bird blade boat bone book bottle bowl box
branch bread bridge broom brush bucket bull button cabin cage candle cap carpet cart castle cat cave chain chair cheese chest
church clock cloth cloud coat coin comb cork corn cow crab cradle crane crow crown cup curtain deer desk dish dog donkey door
dove dragon dress drum duck eagle egg elm engine fan farm feather fence fiddle field fig fire fish flag flame flower flute
forest fork fox frog gate giant glass glove goat goose grape hammer harp hat hawk hedge hen hill hook horn horse house inn
iron island ivy jar jewel jug kettle key king kite kitten knife ladder lake lamb lamp lantern leaf lemon letter lid lion lock
loom maid map mask mast melon mill miller mirror moon mouse needle nest net nut oak oar onion oven owl ox paddle page path
pear pearl pen pig pillow pine pipe plate plum pond pony pot prince purse queen quill rabbit raft rain ring river road robe
""".split()
_QUALITIES = """amber bitter black blue bold brave bright broken brown calm clean cold crooked dark dear deep dry dull faint fat
gentle glad gold green grey heavy hollow hungry kind large lazy light long lost loud mild narrow new old pale plain poor proud
quick quiet red rich""".split()
_RARITY = 0.7
_WORDS_PER_THING = 2
_SMALLEST = 6


def _size(split: str, random) -> int:
    if split != "train" or random.random() < 0.5:
        return len(_THINGS)
    return round(_SMALLEST * (len(_THINGS) / _SMALLEST) ** random.random())


def _world(size: int, random):
    """({thing: quality} of `size` things, their cumulative weights)."""
    things = random.sample(_THINGS, size)
    weights, total = [], 0.0
    for place in range(1, len(things) + 1):
        total += place ** -_RARITY
        weights.append(total)
    return {thing: random.choice(_QUALITIES) for thing in things}, weights


def lexicon(split: str, count: int, random, distance: int = 256):
    """`count` documents of `distance` words."""
    for _ in range(count):
        world, weights = _world(_size(split, random), random)
        told = random.choices(list(world), cum_weights=weights, k=max(1, distance // _WORDS_PER_THING))
        yield [BOS] + [part for thing in told
                       for part in (Segment(thing), Segment(world[thing], answer=True))]
