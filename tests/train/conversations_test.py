# SPDX-License-Identifier: Apache-2.0
"""Conversations made while they are read, and what is asked beside them."""

import argparse
import re
from unittest import mock

import support
import torch
from perdure_train import checkpoint, command_line
from perdure_train.architectures import ModelArgs, build
from perdure_train.conversations import Conversations, Questions
from perdure_train.generators import dialogue_words as words
from perdure_train.loop import Trainer
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
        options = [*support.MEMORY, "--reading", "dialogue", "--distance", 10, "--chain", 4, "--accumulate", 2, "--steps", 4]
        plain = self.train("plain", *options)
        with mock.patch.object(Trainer, "_ask", lambda *_: (0.0, 0.0)):
            silent = self.train("silent", *options, "--ask-every", 16)
        asking = self.train("asking", *options, "--ask-every", 16)
        plain, silent, asking = (checkpoint.load(run)["model"]["norm.weight"] for run in (plain, silent, asking))
        self.assertLess(float((plain - silent).abs().max()), 1e-4)  # read in parts, which rounds otherwise
        self.assertGreater(float((plain - asking).abs().max()), 1e-3)

    def trainer(self):
        """(a trainer of conversations, a batch of its own as _read takes it, with questions)."""
        options = ["train", *support.TINY, *support.MEMORY, "--data", self.data, "--out", self.scratch, "--reading",
                   "dialogue", "--distance", 10, "--chain", 4, "--window", 128, "--max-seq-len", 128, "--ask-every", 32]
        options = command_line._parser().parse_args([str(o) for o in options])
        torch.manual_seed(1)
        args = ModelArgs(dim=32, n_layers=2, n_heads=2, vocab_size=320, memseqlen=8, attention_type="memory_attention")
        trainer = Trainer(build(args), torch.device("cpu"), options, self.scratch)
        trainer.progress.close()
        inputs, targets, answers, fresh, beside = trainer.windows.next()
        return trainer, (inputs, targets, answers, fresh), beside

    def test_asking_leaves_the_memory_as_it_is(self):
        trainer, batch, beside = self.trainer()
        nothing = [q.of(slice(0, 0)) for q in beside]
        self.assertGreater(sum(len(q.rows) for q in beside), 5)
        (asked, weight, plain, memory), (unasked, less, same, untouched) = (
            trainer._read(*batch, questions, None) for questions in (beside, nothing))
        self.assertEqual(float(plain), float(same))
        self.assertGreater(float(weight), float(less))
        self.assertNotEqual(float(asked / weight), float(unasked / less))
        for rows, twin in zip(memory, untouched):
            self.assertTrue(torch.equal(rows, twin))

    def test_shorter_questions_count_as_if_they_were_asked_alone(self):
        trainer, (*_, fresh), beside = self.trainer()
        questions = beside[-1]
        memory = [rows + torch.randn(rows.shape) for rows in trainer.model.start(None, fresh)]
        loss, weight = trainer._ask(questions, memory)
        lengths = [int(counts.nonzero().max()) + 1 for counts in questions.answers]
        self.assertLess(min(lengths), max(lengths))
        alone = [trainer._ask(Questions(questions.rows[i:i + 1], *(t[i:i + 1, :length] for t in questions[1:])), memory)
                 for i, length in enumerate(lengths)]
        self.assertAlmostEqual(float(loss), float(sum(a for a, _ in alone)), places=2)
        self.assertEqual(float(weight), float(sum(w for _, w in alone)))

    def test_questions_need_conversations_and_whole_segments(self):
        dialogue = ["--reading", "dialogue", "--ask-every"]
        for wrong in (["--ask-every", 16], [*dialogue, 12], [*dialogue, 16, "--extend-method", "memlayer0"],
                      [*dialogue, 16, "--extend-method", "emamem"], [*dialogue, 16, "--attention-type", "attention"]):
            options = [*support.TINY, *support.MEMORY, "--data", self.data, "--out", self.scratch / "wrong", *wrong]
            self.assertEqual(support.train_main(["train", *map(str, options)]), 2)


support.run()
