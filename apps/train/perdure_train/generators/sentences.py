# SPDX-License-Identifier: Apache-2.0
"""Short texts of a small vocabulary and much surprise: what comes next can hardly be guessed, only copied."""

_ADJECTIVES = "red old small quiet golden broken hungry gentle wild silver brave tired clever lonely green round".split()
_NOUNS = ("fox king river mill boat queen baker tower garden wolf lantern sailor bridge crow forest drum miller goat ship "
          "castle horse spoon door mountain").split()
_VERBS = "saw followed found carried watched left called painted heard sold hid washed".split()
_PLACES = "near behind under above beside inside beyond before".split()
_ENDINGS = ["at dawn", "in winter", "every day", "for nothing", "all night", "once more", "with care", "in the rain"]


def _thing(random) -> str:
    adjective = random.choice(_ADJECTIVES) + " " if random.random() < 0.7 else ""
    return f"{random.choice(['the', 'a', 'one', 'my'])} {adjective}{random.choice(_NOUNS)}"


def _sentence(random) -> str:
    parts = [_thing(random), random.choice(_VERBS), _thing(random)]
    if random.random() < 0.5:
        parts += [random.choice(_PLACES), _thing(random)]
    if random.random() < 0.3:
        parts.append(random.choice(_ENDINGS))
    return " ".join(parts) + "."


def _list(random) -> str:
    """Words without grammar, of which nothing can be guessed: copying is learnt on them first."""
    return " ".join(random.choice(_NOUNS + _VERBS + _ADJECTIVES) for _ in range(random.randint(4, 16))) + "."


def sentences(_split: str, count: int, random, most: int = 6):
    """`count` texts, each a line: a quarter are lists of words, the others one to `most` sentences; lists only if 0."""
    for _ in range(count):
        if most == 0 or random.random() < 0.25:
            yield _list(random)
        else:
            yield " ".join(_sentence(random) for _ in range(random.randint(1, most)))
