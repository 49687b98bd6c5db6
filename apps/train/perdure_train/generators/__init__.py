# SPDX-License-Identifier: Apache-2.0
"""Text made by rule. A generator takes (split, count, random, distance) and yields `count` documents; `distance` words at
most lie between what is told and what is asked. The splits of `dialogue` share no values and no phrasings; those of `recall`
share no words that are asked for, but the digits given for them; those of `lexicon` share words but no worlds; those
of `sentences` differ by chance alone."""

from .dialogue import dialogue
from .lexicon import lexicon
from .recall import recall
from .sentences import sentences

GENERATORS = {"dialogue": dialogue, "lexicon": lexicon, "recall": recall}

__all__ = ["GENERATORS", "sentences"]
