# SPDX-License-Identifier: Apache-2.0
"""The measures of `evaluate`, on models whose answers are known."""

import contextlib
import io
import math
import random

import support
import torch
from perdure_train.data import TokenFile
from perdure_train.errors import UsageError
from perdure_train.evaluate import check_lengths, loss_by_length, recall
from perdure_train.generators.dialogue import probe
from perdure_train.prepare import encode_document
from perdure_train.tokenizer import Tokenizer


class EvaluateTest(support.TrainerTest):
    def test_who_knows_nothing_has_the_loss_of_a_uniform_guess_at_every_length(self):
        losses = loss_by_length(lambda tokens: (torch.zeros(*tokens.shape, 320), None), TokenFile(self.data, "test"),
                                [256, 300], 3, torch.device("cpu"))
        for length in (256, 300):
            self.assertEqual(len(losses[length]), 3)
            self.assertAlmostEqual(losses[length][0], math.log(320), places=4)

    def test_longer_contexts_end_in_the_same_targets(self):
        ends = []

        def model(tokens):
            ends.append(tokens[0, -100:].tolist())
            return torch.zeros(*tokens.shape, 320), None

        loss_by_length(model, TokenFile(self.data, "test"), [256, 300], 2, torch.device("cpu"))
        self.assertEqual(ends[:2], ends[2:])
        self.assertNotEqual(ends[0], ends[1])

    def test_lengths_that_cannot_be_judged_are_refused(self):
        file = TokenFile(self.data, "test")
        whole = len(file.ids) - 1
        for lengths in ([255], [256, whole + 1]):
            with self.assertRaisesRegex(UsageError, f"256 tokens.* to {whole}"):
                check_lengths(file, lengths)
        check_lengths(file, [256, whole])
        losses = loss_by_length(lambda tokens: (torch.zeros(*tokens.shape, 320), None), file, [whole], 2, torch.device("cpu"))
        self.assertAlmostEqual(losses[whole][1], math.log(320), places=4)

    def test_the_command_tells_a_loss_for_each_length(self):
        run, told = self.train("told", *support.MEMORY, "--steps", 2), io.StringIO()
        with contextlib.redirect_stdout(told):
            support.command("evaluate", "--run-folder", run, "--lengths", 256, 300, "--samples", 2, "--split", "test")
        self.assertRegex(told.getvalue(), r"^ +256  \d\.\d+ \+- \d\.\d+\n +300  ")

    def test_recall_counts_answers_that_are_wholly_right(self):
        pieces = Tokenizer(self.data / "tokenizer.model")
        known = {}
        for sample in range(3):
            ids, _ = encode_document(probe("test", 30, random.Random(f"test 30 {sample}")), pieces)
            known[tuple(ids[:-1])] = ids[1:]

        def knows_whole_conversations(tokens):
            answer = known.get(tuple(tokens[0].tolist()), [0] * tokens.shape[1])
            return torch.nn.functional.one_hot(torch.tensor(answer), pieces.vocab_size)[None].float(), None

        tokens, right, control = recall(knows_whole_conversations, pieces, "test", 30, 3, torch.device("cpu"))
        self.assertGreater(tokens, 30)
        self.assertEqual((right, control), (1.0, 0.0))


support.run()
