# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of recurrent-memory-transformer-pytorch as safetensors: bytes, arguments, and what is refused."""

import contextlib
import io
import json
import pathlib
import tempfile
import unittest

import support
import torch

_GOLDEN = support.TOP / "tests/golden/rmt"


class ConvertRmtTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)
        self.out = self.scratch / "out.safetensors"

    def save(self, content):
        torch.save(content, self.scratch / "in.pt")
        return self.scratch / "in.pt"

    def refusal(self, content, *options):
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            code = support.train_main(["convert-rmt", str(self.save(content)), str(self.out), *options])
        self.assertEqual(code, 2)
        self.assertFalse(self.out.exists())
        self.assertEqual(told.getvalue().count("\n"), 1)
        return told.getvalue()

    def test_tensors_stay_and_the_arguments_are_those_of_the_original(self):
        from perdure_train import safetensors
        for case, given in (("defaults_xl", []), ("abs_rotary_xl", []), ("rotary_xl_short", ["seq_len=12", "xl_mem_len=7"])):
            golden = safetensors.read(_GOLDEN / case / "model.safetensors")
            wrapped = {"transformer." + name: tensor for name, tensor in golden.items()}
            for weights in (golden, wrapped, {"model": golden, "model_args": {}}):
                options = [word for argument in given for word in ("--argument", argument)]
                support.command("convert-rmt", self.save(weights), self.out, *options)
                written = safetensors.read(self.out)
                expected = weights.get("model", weights)
                self.assertEqual(set(written), set(expected))
                self.assertTrue(all(torch.equal(written[name], tensor) for name, tensor in expected.items()))
                about = json.loads((self.scratch / "out.json").read_text())
                original = json.loads((_GOLDEN / case / "config.json").read_text())["constructor"]
                self.assertEqual({name: about["constructor"][name] for name in original}, original)
                self.assertEqual(about["residual_streams_flavor"], "mixed")

    def test_what_does_not_fit_is_refused_with_a_sentence(self):
        from perdure_train import safetensors
        golden = safetensors.read(_GOLDEN / "rotary_xl_short/model.safetensors")
        self.assertIn("--argument seq_len=NUMBER", self.refusal(golden))
        self.assertIn("has tensors for 32", self.refusal(golden, "--argument", "seq_len=12", "--argument", "dim=33"))
        self.assertIn("NAME=VALUE", self.refusal(golden, "--argument", "seq_len"))
        self.assertIn("NAME=VALUE", self.refusal(golden, "--argument", "causal=no"))
        self.assertIn("is no checkpoint of recurrent-memory", self.refusal({"a.weight": torch.ones(2)}))
        narrow = {**golden, "layers.0.1.branch.4.weight": torch.ones(32, 77)}
        self.assertIn("ff_mult", self.refusal(narrow, "--argument", "seq_len=12"))


support.run()
