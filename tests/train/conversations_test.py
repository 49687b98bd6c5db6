# SPDX-License-Identifier: Apache-2.0
"""Conversations made while they are read, and what is asked beside them."""

import argparse
import re

import support
import torch
from perdure_train import checkpoint
from perdure_train.conversations import Conversations
from perdure_train.generators import dialogue_words as words
from perdure_train.tokenizer import BOS, Tokenizer

_TOLD = {kind: re.escape(answer).replace(r"\{\}", "([^.]+)") for kind, answer in words.ANSWERS.items()}


class ConversationsTest(support.TrainerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pieces = Tokenizer(cls.data / "tokenizer.model")

    def conversations(self, rows=3, window=64, **changed):
        options = {"seed": 1, "distance": 20, "chain": 4, "ask_every": 16, **changed}
        return Conversations(self.pieces, rows, argparse.Namespace(**options), window)

    def test_windows_follow_each_other_until_a_row_begins_anew(self):
        windows, before, begun = self.conversations(), None, 0
        for _ in range(12):
            inputs, targets, answers, fresh, _ = windows.next()
            self.assertEqual(inputs.shape, (3, 64))
            self.assertTrue(torch.equal(inputs[:, 1:], targets[:, :-1]))
            self.assertEqual(answers.shape, inputs.shape)
            for row in range(3):
                if fresh[row]:
                    begun += 1
                    self.assertEqual(inputs[row, 0], BOS)
                else:
                    self.assertEqual(inputs[row, 0], before[row])
            before = targets[:, -1].tolist()
        self.assertEqual(begun, 3 + 3 * 2 + 2)  # at first, then every 4 windows, of which two rows had read some before

    def test_a_restored_reader_goes_on_as_the_first_one(self):
        one = self.conversations()
        for _ in range(5):
            one.next()
        other = self.conversations()
        other.restore(one.state())
        for _ in range(5):
            (*batch, asked), (*same, asked_too) = one.next(), other.next()
            for tensor, its_twin in zip(batch + [t for q in asked for t in q], same + [t for q in asked_too for t in q]):
                self.assertTrue(torch.equal(tensor, its_twin))

    def test_what_is_asked_is_what_was_told_last(self):
        windows, count = self.conversations(rows=1, window=4096, ask_every=32, chain=1, distance=40), 0
        inputs, _, _, _, beside = windows.next()
        for part, questions in enumerate(beside):
            text = self.pieces.decode(inputs[0, :32 * (part + 1)].tolist())
            told = {kind: re.findall(r"\[/INST\] " + pattern, text) for kind, pattern in _TOLD.items()}
            for ids, counts in zip(questions.targets, questions.answers):
                answer = self.pieces.decode(ids[counts.bool()].tolist())
                kind, value = next((k, m.group(1)) for k, p in _TOLD.items() if (m := re.match(p, answer)))
                self.assertIn(value, told[kind][-1:])
                count += 1
        self.assertGreater(count, 100)

    def test_rows_of_a_micro_batch_get_their_own_questions(self):
        questions = self.conversations(rows=4).next()[4][-1]
        parts = [questions.of(slice(0, 2)), questions.of(slice(2, 4))]
        self.assertEqual(sum(len(p.rows) for p in parts), len(questions.rows))
        self.assertEqual((parts[1].rows + 2).tolist(), questions.rows[questions.rows >= 2].tolist())

    def test_a_run_asks(self):
        options = [*support.MEMORY, "--reading", "dialogue", "--distance", 10, "--chain", 2, "--accumulate", 2]
        plain = self.train("plain", *options, "--steps", 3)
        asking = self.train("asking", *options, "--steps", 3, "--ask-every", 16)
        weights = [checkpoint.load(run)["model"]["norm.weight"] for run in (plain, asking)]
        self.assertFalse(torch.equal(*weights))
        self.assertEqual(checkpoint.load(asking)["step"], 3)

    def test_questions_need_conversations_and_whole_segments(self):
        dialogue = ["--reading", "dialogue", "--ask-every"]
        for wrong in (["--ask-every", 16], [*dialogue, 12], [*dialogue, 16, "--extend-method", "memlayer0"],
                      [*dialogue, 16, "--extend-method", "emamem"]):
            options = [*support.TINY, *support.MEMORY, "--data", self.data, "--out", self.scratch / "wrong", *wrong]
            self.assertEqual(support.train_main(["train", *map(str, options)]), 2)


support.run()
