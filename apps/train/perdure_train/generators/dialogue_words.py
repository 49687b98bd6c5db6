# SPDX-License-Identifier: Apache-2.0
"""What dialogues are made of. Phrasings and values are divided among the splits; the words that they are made of are not,
since no model can read a word it never saw."""

import zlib

KINDS = ("name", "town", "likes", "number")
_SYLLABLES = ("ba be bo da de do fa fi ga go ka ke ki la le li lo ma mi mo na ne ni no pa pe ra re ri ro "
              "sa se so ta te ti to va vi za").split()
_COLOURS = "red green yellow white brown sweet cold hot dry fresh small big".split()
_THINGS = "apples plums beans nuts soup bread fish rice cakes pears eggs tea".split()

# Every phrasing keeps the word by which its kind is known.
STATEMENTS = {
    "name": {"train": ["My name is {}.", "{} is my name.", "Hello, my name is {}.", "They gave me the name {}.",
                       "I go by the name {}.", "The name is {}.", "You should know that my name is {}.",
                       "I have the name {}, you know.", "Let me say that my name is {}."],
             "validation": ["Hello, the name I go by is {}.", "You know, {} is the name they gave me."],
             "test": ["Let me say hello, {} is my name.", "You should know that I go by the name {}."]},
    "town": {"train": ["I live in {}.", "My town is {}.", "{} is the town I live in.", "The town I live in is {}.",
                       "I have a house in the town {}.", "You know, I live in {}.", "Let me say that I live in {}.",
                       "You should know that my town is {}."],
             "validation": ["You know, my town is {}.", "The town that I have a house in is {}."],
             "test": ["Let me say that {} is my town.", "You should know that I live in the town {}."]},
    "likes": {"train": ["I like {}.", "I like to have {}.", "What I like is {}.", "You know, I like {}.", "{} is what I like.",
                        "Let me say that I like {}.", "You should know what I like: {}."],
              "validation": ["Let me say what I like: {}.", "You know, what I like is {}."],
              "test": ["You should know that I like {}.", "I like to have {}, you know."]},
    "number": {"train": ["My number is {}.", "{} is my number.", "The number I have is {}.", "They gave me the number {}.",
                         "You know, my number is {}.", "You should know that my number is {}.",
                         "Let me say that the number is {}."],
               "validation": ["You know, they gave me the number {}.", "You should know that the number I have is {}."],
               "test": ["Let me say that my number is {}.", "You know, {} is my number."]},
}
QUESTIONS = {
    "name": {"train": ["What is my name?", "Do you know my name?", "Tell me my name.", "My name, what is it?",
                       "Can you say what my name is?", "What was my name?"],
             "validation": ["Can you tell me my name?"], "test": ["Do you know what my name is?", "Say my name."]},
    "town": {"train": ["What is my town?", "Do you know my town?", "Tell me my town.", "In what town do I live?",
                       "My town, what is it?", "Can you say where I live?", "Where do I live?"],
             "validation": ["Can you tell me my town?"], "test": ["Do you know where I live?", "Say what my town is."]},
    "likes": {"train": ["What do I like?", "Do you know what I like?", "Tell me what I like.", "What is it that I like?",
                        "What was it I like to have?"],
              "validation": ["Can you tell me what I like?"], "test": ["Can you say what I like?", "Say what I like to have."]},
    "number": {"train": ["What is my number?", "Do you know my number?", "Tell me my number.", "My number, what is it?",
                         "Can you say what my number is?", "What was my number?"],
               "validation": ["Can you tell me my number?"], "test": ["Do you know what my number is?", "Say my number."]},
}
CORRECTIONS = {"train": ["No, that was wrong.", "That is not so now.", "I was wrong.", "It is not so."],
               "validation": ["No, I was wrong."], "test": ["That was not so.", "No, it is not so now."]}
ANSWERS = {"name": "Your name is {}.", "town": "You live in {}.", "likes": "You like {}.", "number": "Your number is {}."}

_SUBJECTS = "the king|the queen|a fox|the old miller|my horse|a bird|the sailor|the wind|one goat|the baker".split("|")
_VERBS = "saw|took|wants|follows|found|left|heard".split("|")
_OBJECTS = "the sea|a ship|the moon|a road|the forest|the rain|a bell|the garden|an old door|the river".split("|")
_WHENS = ["", " today", " at night", " in winter", " all day", " again"]
_OPENINGS = {"train": ["", "I think ", "Today ", "They say that "], "validation": ["I heard that "], "test": ["So "]}
_REPLIES = ["I see.", "That is good.", "Yes.", "Is that so?", "So it is.", "How nice."]


def _share(text: str) -> str:
    """The split that a value belongs to, the same in every run: of ten, one is validation's and two are test's."""
    bucket = zlib.crc32(text.encode()) % 10
    return "validation" if bucket == 0 else "test" if bucket < 3 else "train"


def _candidate(kind: str, random) -> str:
    if kind == "number":
        return str(random.randint(10, 99))
    if kind == "likes":
        return f"{random.choice(_COLOURS)} {random.choice(_THINGS)}"
    return "".join(random.choice(_SYLLABLES) for _ in range(2)).capitalize() + ("n" if kind == "town" else "")


def value(kind: str, split: str, random) -> str:
    """A value that only this split has. Names end in a vowel, towns in 'n'."""
    while True:
        candidate = _candidate(kind, random)
        if _share(candidate) == split:
            return candidate


def small_talk(split: str, random) -> tuple:
    """(remark, reply) about nothing that will be asked for."""
    remark = random.choice(_OPENINGS[split]) + f"{random.choice(_SUBJECTS)} {random.choice(_VERBS)} {random.choice(_OBJECTS)}"
    remark += random.choice(_WHENS)
    return remark[0].upper() + remark[1:] + ".", random.choice(_REPLIES)
