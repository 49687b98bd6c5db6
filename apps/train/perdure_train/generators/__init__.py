# SPDX-License-Identifier: Apache-2.0
"""Text made by rule. A generator takes (split, count, random, distance) and yields `count` documents; `distance` words at
most lie between what is told and what is asked. Splits share no answers."""

from .dialogue import dialogue
from .recall import recall
from .sentences import sentences

GENERATORS = {"dialogue": dialogue, "recall": recall}

__all__ = ["GENERATORS", "sentences"]
