# SPDX-License-Identifier: Apache-2.0
"""What dialogues are made of. Phrasings and values are divided among the splits; the words that they are made of are not,
since no model can read a word it never saw.

A value is a beginning and an end out of two lists of its kind, so that a model can say one that it never met."""

import zlib

KINDS = ("name", "town", "likes", "number")
_PARTS = {
    "name": ("Ber Bar Car Cor Dor Fal Fer Gar Hal Hen Hol Len Lor Mar Mel Nor Per Rol Tam Tor Val Vor Wil Zel".split(),
             "bert bin cas fred gard ka kin mas min mira mon nica sa so tan tin ton vin win za".split()),
    "town": ("Ash Birch Black Brook Clear Deep Fair Green High Lake Mill New North Oak Rock South Summer Well West "
             "Winter".split(),
             "bank bury castle field ford gate land mouth stead wick wood worth".split()),
    "likes": ("red green yellow white brown black sweet cold hot dry fresh small big wet old new soft thick thin fine".split(),
              "apples plums beans nuts soup bread fish rice cakes pears eggs tea milk cheese figs books boats songs shoes "
              "hats".split()),
    "number": ("1 2 3 4 5 6 7 8 9".split(), "0 1 2 3 4 5 6 7 8 9".split()),
}
_JOINT = {"likes": " "}

# Every phrasing keeps the word by which its kind is known.
STATEMENTS = {
    "name": {"train": ["My name is {}.", "{} is my name.", "My name, that is {}.", "They gave me the name {}.",
                       "I go by the name {}.", "The name is {}.", "You should know that my name is {}.", "Call me {}.",
                       "I have the name {}, you know.", "My friends call me {}.", "I am {}.", "I was given the name {}."],
             "validation": ["The name I go by is {}.", "{} is the name they gave me."],
             "test": ["You should know that I go by the name {}.", "{} is the name I have.", "My friends gave me the name {}."]},
    "town": {"train": ["I live in {}.", "My town is {}.", "{} is the town I live in.", "The town I live in is {}.",
                       "I have a house in {}.", "I come from {}.", "My house is in {}.", "We all live in {}.",
                       "You should know that my town is {}.", "{} is where I live.", "My home is {}."],
             "validation": ["My town, that is {}.", "The town that I have a house in is {}."],
             "test": ["{} is my town.", "You should know that I live in the town {}.", "My home is in {}."]},
    "likes": {"train": ["I like {}.", "I like to have {}.", "What I like is {}.", "I do like {}.", "{} is what I like.",
                        "You should know what I like: {}.", "I am fond of {}.", "Give me {}, that is what I like.",
                        "I always want {}."],
              "validation": ["There is one thing I like: {}.", "I want {}, that is what I like."],
              "test": ["You should know that I like {}.", "{} is what I always want.", "I am always fond of {}."]},
    "number": {"train": ["My number is {}.", "{} is my number.", "The number I have is {}.", "They gave me the number {}.",
                         "You should know that my number is {}.", "My number, that is {}.", "I have number {}.",
                         "I was given the number {}."],
               "validation": ["The number they gave me is {}.", "You should know that the number I have is {}."],
               "test": ["{} is the number I have.", "You should know that I have number {}.", "The number is {}."]},
}
QUESTIONS = {
    "name": {"train": ["What is my name?", "Do you know my name?", "Tell me my name.", "My name, what is it?",
                       "Can you say what my name is?", "What was my name?", "Who am I?", "What do my friends call me?",
                       "By what name do I go?"],
             "validation": ["Can you tell me my name?"],
             "test": ["Do you know what my name is?", "Say my name.", "What name do I have?"]},
    "town": {"train": ["What is my town?", "Do you know my town?", "Tell me my town.", "In what town do I live?",
                       "My town, what is it?", "Can you say where I live?", "Where do I live?", "Where is my house?",
                       "Where do I come from?", "Where is my home?"],
             "validation": ["Can you tell me my town?"],
             "test": ["Do you know where I live?", "Say what my town is.", "What town do I live in?"]},
    "likes": {"train": ["What do I like?", "Do you know what I like?", "Tell me what I like.", "What is it that I like?",
                        "What was it I like to have?", "What am I fond of?", "What do I want?"],
              "validation": ["Can you tell me what I like?"],
              "test": ["Can you say what I like?", "Say what I like to have.", "Do you know what I am fond of?"]},
    "number": {"train": ["What is my number?", "Do you know my number?", "Tell me my number.", "My number, what is it?",
                         "Can you say what my number is?", "What was my number?", "What number was I given?"],
               "validation": ["Can you tell me my number?"],
               "test": ["Do you know what my number is?", "Say my number.", "What number do I have?"]},
}
CORRECTIONS = {"train": ["No, that was wrong.", "That is not so now.", "I was wrong.", "It is not so.", "No, no."],
               "validation": ["No, I was wrong."], "test": ["That was not so.", "No, it is not so now."]}
# What may stand before any of these.
OPENINGS = ("", "", "", "", "Hello.", "Well.", "You know,", "Listen.", "By the way,", "One more thing.", "So,", "Now,")
ANSWERS = {"name": "Your name is {}.", "town": "You live in {}.", "likes": "You like {}.", "number": "Your number is {}."}

_SUBJECTS = ("the king|the queen|a fox|the miller|my horse|a bird|the sailor|the wind|one goat|the baker|my brother|"
             "a soldier|the teacher|your dog|the doctor|her mother").split("|")
_VERBS = "saw|took|wants|follows|found|left|heard|needs|lost|knows|painted|sold".split("|")
_OBJECTS = ("the sea|a ship|the moon|a road|the forest|the rain|a bell|the garden|a door|the river|the mountain|a letter|"
            "the snow|a table|the sun|a lamp").split("|")
_WHENS = ["", " today", " at night", " all day", " again", " this morning", " last year", " in the evening"]
_REMARKS = {"train": ["", "", "I think ", "They say that ", "I heard that ", "Did you know that "],
            "validation": ["I was told that "], "test": ["I know that "]}
_REPLIES = ["I see.", "That is good.", "Yes, {object}.", "Is that so?", "So it is.", "How nice.", "{subject}? Well, well.",
            "{object}? How nice.", "Tell me more of {subject}.", "I like {object}."]
_COURTESIES = {
    "train": [("How are you?", "I am well."), ("Good morning.", "Good morning to you."), ("Thank you.", "You are welcome."),
              ("Good evening.", "Good evening to you."), ("Are you there?", "Yes, I am here."), ("Hello.", "Hello."),
              ("What do you think?", "I think that all is well."), ("Good night.", "Good night, until the morning.")],
    "validation": [("Are you well?", "I am well.")],
    "test": [("Hello, how are you?", "I am well.")]}


def share(text: str) -> str:
    """The split that a value belongs to, the same in every run: of ten, one is validation's and two are test's."""
    bucket = zlib.crc32(text.encode()) % 10
    return "validation" if bucket == 0 else "test" if bucket < 3 else "train"


def value(kind: str, split: str, random) -> str:
    """A value that only this split has."""
    while True:
        candidate = _JOINT.get(kind, "").join(random.choice(part) for part in _PARTS[kind])
        if share(candidate) == split:
            return candidate


def small_talk(split: str, random) -> tuple:
    """(remark, reply) about nothing that will be asked for."""
    if random.random() < 0.1:
        return random.choice(_COURTESIES[split])
    subject, thing = random.choice(_SUBJECTS), random.choice(_OBJECTS)
    remark = f"{random.choice(_REMARKS[split])}{subject} {random.choice(_VERBS)} {thing}{random.choice(_WHENS)}"
    end = "?" if remark.startswith("Did") else "."
    reply = random.choice(_REPLIES).format(subject=subject, object=thing)
    return remark[0].upper() + remark[1:] + end, reply[0].upper() + reply[1:]
