# SPDX-License-Identifier: Apache-2.0
"""Generated conversations: what may be asked was told, and the splits share nothing that is to be recalled."""

import itertools
import random
import re
import unittest

import support  # noqa: F401 (finds the trainer)
from perdure_train.documents import as_text
from perdure_train.generators import GENERATORS, dialogue_words as words
from perdure_train.generators.dialogue import ask, dialogue, probe, tell

SPLITS = ("train", "validation", "test")


def answers(split):
    return {s.text for d in dialogue(split, 400, random.Random(1)) for s in d if s.answer}


def phrases(groups):
    return {phrase for group in groups for phrase in group}


class DialogueTest(unittest.TestCase):
    def test_splits_share_no_phrasing(self):
        for table in [*words.STATEMENTS.values(), *words.QUESTIONS.values(), words.CORRECTIONS]:
            for one, other in itertools.combinations(SPLITS, 2):
                self.assertFalse(phrases(table[one]) & phrases(table[other]), f"{one} and {other}")

    def test_no_turn_of_training_is_a_held_out_one_in_other_letters(self):
        """Openings and corrections included; values, capitals and stops left out."""
        def turns(split, kind):
            value = words.value(kind, split, chance)
            turns = (tell(split, kind, value, chance), tell(split, kind, value, chance, corrected=True),
                     ask(split, kind, value, chance))
            said = (as_text(turn).replace(value, "") for turn in turns)
            return {re.sub(r"[^a-z ]", "", text.lower()) for text in said}
        chance = random.Random(5)
        for kind in words.KINDS:
            held_out, training = (set.union(*(turns(s, kind) for s in splits for _ in range(3000)))
                                  for splits in (("validation", "test"), ("train",)))
            self.assertFalse(held_out & training)

    def test_training_has_many_phrasings(self):
        for table in [*words.STATEMENTS.values(), *words.QUESTIONS.values()]:
            self.assertGreater(len(phrases(table["train"])), 50)
            self.assertTrue(all(table["train"]))

    def test_splits_share_no_value(self):
        told = {split: answers(split) for split in SPLITS}
        for one, other in itertools.combinations(SPLITS, 2):
            self.assertFalse(told[one] & told[other])

    def test_held_out_phrasings_use_words_that_training_uses(self):
        used = set(re.findall(r"\w+", " ".join(as_text(d) for d in dialogue("train", 2000, random.Random(1))).lower()))
        for table in [*words.STATEMENTS.values(), *words.QUESTIONS.values(), words.CORRECTIONS]:
            for phrase in phrases(table["validation"]) | phrases(table["test"]):
                self.assertLessEqual(set(re.findall(r"[a-z]+", phrase.lower())), used, phrase)

    def test_every_answer_is_the_latest_that_was_told(self):
        asked = 0
        for document in dialogue("train", 300, random.Random(2)):
            text = as_text(document)
            for kind, answer in words.ANSWERS.items():
                known = None
                pattern = re.escape(answer).replace(r"\{\}", "(.+?)")
                for user, reply in re.findall(r"\[INST\] (.*?) \[/INST\] (.*?[.?])(?= \[|$)", text):
                    match = re.fullmatch(pattern, reply)
                    if match and match.group(1) in user:
                        known = match.group(1)
                    elif match:
                        self.assertEqual(match.group(1), known, text)
                        asked += 1
        self.assertGreater(asked, 1000)

    def test_a_probe_has_its_distance(self):
        for distance in (50, 500):
            text = as_text(probe("test", distance, random.Random(3)))
            self.assertGreaterEqual(len(text.split()), distance)
            self.assertLess(len(text.split()), distance + 100)

    def test_the_same_seed_gives_the_same_documents(self):
        for make in GENERATORS.values():
            one, other = (list(make("test", 20, random.Random(4), 30)) for _ in range(2))
            self.assertEqual(one, other)


support.run()
