# SPDX-License-Identifier: Apache-2.0
"""The task `segments`: documents hold what they ask for, and recall counts answers that are wholly right."""

import json
import pathlib
import tempfile
import types
import unittest

import numpy
import support
import torch
from perdure_train import segments
from perdure_train.generators import segments as rule
from perdure_train.tokenizer import Tokenizer
from perdure_train.tokenizer import train as train_tokenizer


class SegmentsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls._scratch = tempfile.TemporaryDirectory()
        cls.scratch = pathlib.Path(cls._scratch.name)
        cls.data = cls.scratch / "data"
        support.command("prepare", "--task", "segments", "--documents", 60, "--held-out-documents", 20, "--out", cls.data)
        cls.pieces = Tokenizer(cls.data / "tokenizer.model")

    @classmethod
    def tearDownClass(cls):
        cls._scratch.cleanup()

    def assert_asks_what_was_told(self, letters, answers, segments_before: int):
        text = rule.as_text(letters)
        asked = "".join(c for c, a in zip(text, answers[1:]) if a)
        told = text[:segments_before]
        for i, sign in enumerate(text):
            if sign == "?":
                self.assertIn(f"={text[i + 1:i + 6]}", told)
            if sign == "!":
                self.assertIn(f">{text[i + 1:i + 8]}", told)
        self.assertEqual(len(asked), 2 * text.count("?") + 6)
        self.assertEqual(text.count("?"), rule.facts_of(64) - 1)

    def test_documents_ask_in_the_last_segment_for_all_that_was_told_before(self):
        random = numpy.random.default_rng(1)
        for count in (1, 2, 5):
            letters, answers = rule.documents(random, 20, count, 64)
            for row in range(20):
                self.assert_asks_what_was_told(letters[row], answers[row], max(32, 64 * (count - 1)))
            self.assertFalse(answers[:, :64 * (count - 1)].any())

    def test_no_two_keys_of_a_document_begin_or_end_alike(self):
        letters, _ = rule.documents(numpy.random.default_rng(4), 50, 2, 128)
        for row in letters:
            keys = [part[:2] for part in rule.as_text(row).split("=")[1:]]
            self.assertEqual(len(keys), rule.facts_of(128) - 1)
            for letter in range(2):
                self.assertEqual(len({key[letter] for key in keys}), len(keys))

    def test_a_probe_tells_in_its_first_segment_and_asks_in_its_last(self):
        for distance in (0, 1, 4):
            parts = list(rule.probe(numpy.random.default_rng(2), 5, distance, 64))
            self.assertEqual(len(parts), distance + 1)
            letters, answers = (numpy.concatenate(x, 1) for x in zip(*parts))
            for row in range(5):
                self.assert_asks_what_was_told(letters[row], answers[row], 64)

    def test_texts_are_read_as_the_letters_they_were_made_of(self):
        ids = segments.letter_ids(self.pieces)
        letters, _ = rule.documents(numpy.random.default_rng(3), 1, 2, 64)
        self.assertEqual(self.pieces.encode(rule.as_text(letters[0]).lstrip()), ids[letters[0]].tolist()[1:])

    def test_a_tokenizer_with_more_letters_gives_the_same_documents(self):
        more = self.scratch / "more"
        more.mkdir()
        train_tokenizer(["ABC" + rule.LETTERS] * 4, segments.VOCABULARY["vocab_size"] + 3, more)
        command = ("prepare", "--task", "segments", "--documents", 2, "--held-out-documents", 2, "--out", self.scratch / "data-of")
        support.command(*command, "--tokenizer", more / "tokenizer.model")
        texts = (self.scratch / "data-of/test.txt").read_text()
        support.command(*command[:-1], self.scratch / "data-own")
        self.assertEqual(texts, (self.scratch / "data-own/test.txt").read_text())
        self.assertNotEqual((self.scratch / "data-of/test.bin").read_bytes(), (self.scratch / "data-own/test.bin").read_bytes())

    def test_tasks_ask_what_their_prompt_told_and_are_read_as_documents_are(self):
        tasks = [json.loads(line) for line in (self.data / "tasks.jsonl").read_text().splitlines()]
        self.assertEqual({task["distance"] for task in tasks}, {0, 1, 2, 4, 8, 16, 32})
        for task in tasks:
            prompt, answer = task["prompt"], task["answer"]
            of_key = prompt[-3] == "?"
            told = "=" + prompt[-2:] if of_key else ">"
            self.assertIn(told + answer + ";", prompt)
            self.assertEqual(len(answer), 2 if of_key else 6)
            self.assertFalse(task["space"])
            # BOS and the space before a text are letters of the first segment
            self.assertEqual((len(prompt) + 2) // 64, task["distance"])
            self.assertLess(prompt.index(told) + 2, 64)

    def test_recall_counts_whole_answers(self):
        seen = []

        def model(tokens, memory):
            """Knows all that follows, but the last letter of each string."""
            targets = torch.cat((tokens[:, 1:], tokens[:, :1]), 1).clone()
            for row, column in (tokens == self.pieces.encode("!")[-1]).nonzero().tolist():
                targets[row, column + 5] = 0
            seen.append(memory)
            return torch.nn.functional.one_hot(targets, self.pieces.vocab_size).float(), [0]

        model.args, model.training = types.SimpleNamespace(max_seq_len=64), False
        model.eval, model.train = (lambda: None), (lambda _: None)
        right, total = segments.recall(model, self.pieces, 2, 10, torch.device("cpu"))
        self.assertEqual((right, total), (10 * (rule.facts_of(64) - 1), 10 * rule.facts_of(64)))
        self.assertEqual(seen, [None, [0], [0]])
        segments.recall(model, self.pieces, 2, 10, torch.device("cpu"), reset=True)
        self.assertEqual(seen[3:], [None, [0], None])

    def test_training_goes_through_whole_documents(self):
        run = self.scratch / "run"
        support.command("train", *support.TINY, "--data", self.data, "--out", run, "--architecture", "rmt", "--num-mem-tokens", 3,
                        "--max-seq-len", 64, "--reading", "segments", "--segments", 3, "--segments-grow", 4, "--steps", 6,
                        "--answer-weight", 20)
        self.assertIn('"recalled"', (run / "log.jsonl").read_text())
        support.command("evaluate", "--run-folder", run, "--distances", 0, 2, "--samples", 4)

    def test_intervals_are_wilson_s(self):
        low, high = segments.interval(8, 10)
        self.assertAlmostEqual(low, 0.490, places=3)
        self.assertAlmostEqual(high, 0.943, places=3)


support.run()
