# SPDX-License-Identifier: Apache-2.0
"""What dialogues are made of. Phrasings and values are divided among the splits; the words that they are made of are not,
since no model can read a word it never saw.

A value is a beginning and an end out of two lists of its kind, so that a model can say one that it never met. Training has
some hundred phrasings of each fact and each question: with ten, a model learns the ten."""

import itertools
import re
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
# Numbers of three digits are told in training too: of the few with two digits it would learn which ones there are.
_LONG_NUMBERS = 0.3

# Phrasings: one of the words in brackets is taken. What is asked or told is put where @ is.
_TOLD = ["@.", "@.", "(You should know|I tell you|I say|You see|They know|It is so|Did you know) that @."]
_ASKED = ["(Tell me|Tell me again|Say|Say again|Let me hear|I want to know|I want to hear|You should tell me) @.",
          "(Do you know|Do you know now|Can you say|Can you tell me|Can you tell|Did you hear|Did I tell you) @?"]
_CHOICE = re.compile(r"\(([^)]*)\)")


def _phrases(pattern: str) -> set:
    """All that a pattern says."""
    choices = [part.split("|") if i % 2 else [part] for i, part in enumerate(_CHOICE.split(pattern))]
    return {phrase[0].upper() + phrase[1:] for phrase in map("".join, itertools.product(*choices))}


def _table(frames, framed, others, validation, test) -> dict:
    """The phrasings of each split, in groups that are chosen equally often. Training lacks what is held out."""
    held_out = {"validation": [[phrase] for phrase in validation], "test": [[phrase] for phrase in test]}
    groups = [_phrases(frame.replace("@", phrase)) for phrase in framed for frame in frames] + list(map(_phrases, others))
    return {"train": [sorted(group - {*validation, *test}) for group in groups], **held_out}


STATEMENTS = {
    "name": _table(
        _TOLD,
        ["{} is (my name|me|what they call me|what my friends call me|the name I was given|who I am|the name I go by)",
         "my name(| now|, you know,) is {}", "the name (|I was given |my mother gave me |they call me by )is {}",
         "my name, (that|it) is {}", "(they|my mother|my brother|the doctor) gave me the name {}",
         "I (go by|have|took|was given) the name {}", "I am (|the one they call ){}",
         "(my friends|they|all|my mother|the king|my brother|the teacher) call me {}", "they know me (as|by the name) {}"],
        ["Call me {}.", "You (can|should) call me {}.", "Say {}, that is (me|my name).", "I have the name {}, you know."],
        validation=["The name I go by is {}.", "{} is the name they gave me."],
        test=["You should know that I go by the name {}.", "{} is the name I have.", "My friends gave me the name {}."]),
    "town": _table(
        _TOLD,
        ["(my town|my home|my home town|the town I live in|the town where I live) is {}",
         "my house (is|was always|stands) in {}", "I (live|always lived|now live|live today|have lived all year) in {}",
         "I (come|am) from {}", "I have (my house|a house|a home|my home|my garden) in {}", "I am at home in {}",
         "{} is where (I live|my house is|I come from|my home is|I am at home)",
         "{} is (the town I live in|the town where I live|home|my home|my home town|the town I come from)",
         "(we|we all|my friends and I|my mother and I) live in {}", "you find (me|my house|my home) in {}",
         "there is (my house|a house I have|my home) in {}"],
        ["(Tell|You can tell) them that I live in {}.", "{} is a good town, I live there.", "In {} I have (my|a) house."],
        validation=["My town, that is {}.", "The town that I have a house in is {}."],
        test=["{} is my town.", "You should know that I live in the town {}.", "My home is in {}."]),
    "likes": _table(
        _TOLD,
        ["I (like|do like|always like|like to have|like my|like most of all|want) {}", "I am (fond|so fond) of {}",
         "what I (like|want|always want|do like|like most|like to have|like today) is {}",
         "the thing I (like|like most|want) is {}", "one thing that I (like|want) is {}",
         "I always (want|take|like to have) {}",
         "{} is (what I like|what I like to have|the thing I like|what I want|what I like most|all I want)",
         "there is nothing I like as I like {}", "(today|in the evening|at night) I like {}", "I like nothing more than {}"],
        ["Give me {}, (that is what I like|I like that|I am fond of it).", "{}, that is what I (like|want).",
         "You can give me {}, I like (it|that).", "How nice {} is, I like (that|it).", "You should know what I like: {}."],
        validation=["There is one thing I like: {}.", "I want {}, that is what I like."],
        test=["You should know that I like {}.", "{} is what I always want.", "I am always fond of {}."]),
    "number": _table(
        _TOLD,
        ["my number(| now|, you know,) is {}", "{} is (my number|the number I was given|my number now|the number for me)",
         "the number (I have|I was given|of my house|on my door|I go by|for me) is {}", "my number, (that|it) is {}",
         "(they|we|the doctor|my mother|the teacher) gave me (|the )number {}",
         "I (have|was given|took|go by) (|the )number {}",
         "number {} is (me|my number|what I have|what they gave me|my house)", "on my (door|house) is the number {}",
         "the number {} is (my number|for me|on my door)"],
        ["Call number {}, that is (me|my number).", "By my door is the number {}.", "Take my number: {}."],
        validation=["The number they gave me is {}.", "You should know that the number I have is {}."],
        test=["{} is the number I have.", "You should know that I have number {}.", "The number is {}."]),
}
# Twice: what is asked at once is about as frequent as what is asked in a frame.
QUESTIONS = {
    "name": _table(
        _ASKED,
        ["my name", "what my name (is|was)", "who I am", "what (they|my friends|you|we) call me", "by what name I go",
         "the name (I have|I go by|I was given|they gave me)", "what name (I was given|is my name)"],
        ["What (is|was) my name?", "My name, (what is it|what was it|do you know it)?", "Who am I?",
         "What do (my friends|they|you|we) call me?", "By what name do (I go|you know me|they call me)?",
         "What name (was I given|did they give me|is my name|do I go by)?"] * 2,
        validation=["Can you tell me my name?"],
        test=["Do you know what my name is?", "Say my name.", "What name do I have?"]),
    "town": _table(
        _ASKED,
        ["my (|home )town", "what my town (is|was)", "where I live", "where my (house|home) is", "where I come from",
         "in what town I live", "the town (I live in|I come from|where I live)", "where (you find me|I am at home)"],
        ["What (is|was) my (|home )town?", "My town, (what is it|what was it|do you know it)?",
         "Where (do|did) I (live|come from)?",
         "Where is my (house|home)?", "In what town (do I live|is my house|am I at home)?", "What town is my (home|town)?",
         "Where (am I at home|do you find me)?"] * 2,
        validation=["Can you tell me my town?"],
        test=["Do you know where I live?", "Say what my town is.", "What town do I live in?"]),
    "likes": _table(
        _ASKED,
        ["what I (like|do like|always like)", "what I like (most|to have|most of all)", "what I am (|so )fond of",
         "what I (|always )want", "what it is (|that )I like", "the thing I like", "what thing I (like|want)"],
        ["What (do|did) I (like|want|like to have|like most|always like)?", "What is it (|that )I (like|want)?",
         "What was it I (like|like to have|want)?", "What am I (|so )fond of?", "What is the thing I (like|want)?",
         "What (can|should) you give me?", "What thing do I (like|want)?"] * 2,
        validation=["Can you tell me what I like?"],
        test=["Can you say what I like?", "Say what I like to have.", "Do you know what I am fond of?"]),
    "number": _table(
        _ASKED,
        ["my number", "what my number (is|was)", "what number I (have|was given|go by)", "by what number I go",
         "the number (I have|I was given|on my door|they gave me)", "what number is my number", "the number of my house"],
        ["What (is|was) my number?", "My number, (what is it|what was it|do you know it)?",
         "What number (was I given|is my number|did they give me|do I go by)?", "By what number do I go?",
         "What is the number (I have|of my house|on my door)?"] * 2,
        validation=["Can you tell me my number?"],
        test=["Do you know what my number is?", "Say my number.", "What number do I have?"]),
}
CORRECTIONS = _table([], [], ["No, that was wrong.", "That is not so now.", "I was wrong.", "It is not so.", "No, no."],
                     validation=["No, I was wrong."], test=["That was not so.", "No, it is not so now."])
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
REPLIES = ["I see.", "That is good.", "Yes, {object}.", "Is that so?", "So it is.", "How nice.", "{subject}? Well, well.",
           "{object}? How nice.", "Tell me more of {subject}.", "I like {object}."]
_COURTESIES = {
    "train": [("How are you?", "I am well."), ("Good morning.", "Good morning to you."), ("Thank you.", "You are welcome."),
              ("Good evening.", "Good evening to you."), ("Are you there?", "Yes, I am here."), ("Hello.", "Hello."),
              ("What do you think?", "I think that all is well."), ("Good night.", "Good night, until the morning.")],
    "validation": [("Are you well?", "I am well.")],
    "test": [("Hello, how are you?", "I am well.")]}


def phrase(groups, random) -> str:
    """One of a split's phrasings."""
    return random.choice(random.choice(groups))


def share(text: str) -> str:
    """The split that a value belongs to, the same in every run: of ten, one is validation's and two are test's."""
    bucket = zlib.crc32(text.encode()) % 10
    return "validation" if bucket == 0 else "test" if bucket < 3 else "train"


def value(kind: str, split: str, random, other_than: str = "") -> str:
    """A value that only this split has."""
    if kind == "number" and split == "train" and random.random() < _LONG_NUMBERS:
        return str(random.randint(100, 999))
    while True:
        candidate = _JOINT.get(kind, "").join(random.choice(part) for part in _PARTS[kind])
        if share(candidate) == split and candidate != other_than:
            return candidate


def small_talk(split: str, random, replies=REPLIES) -> tuple:
    """(remark, one of the replies) about nothing that will be asked for."""
    if random.random() < 0.1:
        return random.choice(_COURTESIES[split])
    subject, thing = random.choice(_SUBJECTS), random.choice(_OBJECTS)
    remark = f"{random.choice(_REMARKS[split])}{subject} {random.choice(_VERBS)} {thing}{random.choice(_WHENS)}"
    end = "?" if remark.startswith("Did") else "."
    reply = random.choice(replies).format(subject=subject, object=thing)
    return remark[0].upper() + remark[1:] + end, reply[0].upper() + reply[1:]
