# SPDX-License-Identifier: Apache-2.0
"""The models of the trainer against logits of the original programs (tests/golden/llama2rnn)."""

import dataclasses
import json
import struct
import unittest

import numpy
import support
import torch
from perdure_train import rotary, safetensors
from perdure_train.architectures import ModelArgs, build

_TOLERANCE = 2e-4
_MEMORY_CASES = """base plain wm wm_ffn_norm noreuse keynorm logn logn_train xpos32 interpolation""".split()
_HYBRIDS = ["pt_hybrid_memlayer0_swahalf", "pt_hybrid_memlayer1"]
_PLAIN_CASES = """empty extrapolation interpolation interpolation_logn keynorm logn logn_train nope bca swa swahalf swaquater
                  theta xpos xpos1024 ntkrope ntk radix rotate peclip freqsabs theta_ntkrope ntk_swahalf_logn""".split()


def integers(path, name):
    """An I32 tensor of a safetensors file."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    about = json.loads(data[8:8 + size])[name]
    first, end = (8 + size + offset for offset in about["data_offsets"])
    return torch.from_numpy(numpy.frombuffer(data[first:end], "<i4").reshape(about["shape"]).astype(numpy.int64))


class Case:
    def __init__(self, name: str):
        folder = support.GOLDEN / "cases" / name
        self.about = json.loads((folder / "case.json").read_text())
        self.path = folder / "golden.safetensors"
        self.tensors = safetensors.read(self.path)
        weights = support.GOLDEN / self.about["model"]
        self.weights = safetensors.read(weights)
        self.args = {**json.loads(weights.with_suffix(".json").read_text())["args"], **self.about.get("args", {})}

    def tokens(self, name="tokens"):
        return integers(self.path, name)

    def model(self, **changes):
        known = {f.name for f in dataclasses.fields(ModelArgs)}
        model = build(ModelArgs(**{k: v for k, v in {**self.args, **changes}.items() if k in known}))
        model.load_state_dict({name: self.weights[name] for name in model.state_dict()})
        return model.eval()


class GoldenTest(unittest.TestCase):
    def assert_close(self, got, expected, what):
        self.assertLess(float((got - expected).detach().abs().max()), _TOLERANCE, what)

    def test_memory_attention_and_hybrids(self):
        for name in [f"pt_mem_{n}" for n in _MEMORY_CASES] + _HYBRIDS:
            case = Case(name)
            self.assert_close(case.model()(case.tokens())[0], case.tensors["logits"], name)

    def test_what_has_no_effect_in_memory_attention(self):
        case = Case("pt_mem_ignored_options")
        self.assert_close(case.model(extend_method="nope_SWA")(case.tokens())[0], case.tensors["logits"], "nope_SWA")

    def test_memory_attention_has_the_tables_of_plain_attention(self):
        """Which have goldens; the original makes one table for both."""
        for method in (*rotary._TABLES, "freqsAbs", "ntk_freqsAbs"):
            args = ModelArgs(dim=32, n_heads=2, vocab_size=8, max_seq_len=32, extend_seq_len=128, extend_method=method)
            plain, beside_memory = rotary.Positions(args, 128), rotary.Positions(args, 64, beside_memory=True)
            self.assertTrue(torch.equal(plain.turn[:64], beside_memory.turn), method)

    def test_memory_that_is_carried_from_window_to_window(self):
        for name in ("pt_mem_update", "pt_mem_update_ema"):
            case = Case(name)
            model, tokens = case.model(), case.tokens()
            zero = torch.zeros(len(tokens), model.args.memseqlen, model.args.dim)
            logits, memory = model(tokens, [zero] * model.args.n_layers)
            self.assert_close(logits, case.tensors["logits_first"], name)
            for layer, rows in enumerate(memory):
                self.assert_close(rows, case.tensors[f"memory_first.{layer}"], name)
            self.assert_close(model(case.tokens("tokens_second"), memory)[0], case.tensors["logits_second"], name)

    def test_plain_attention(self):
        for name in [f"att_{n}" for n in _PLAIN_CASES]:
            case = Case(name)
            tokens = case.tokens()
            for run in case.about["runs"]:
                model = case.model(extend_method=case.args.get("extend_method", ""), extend_seq_len=run["extend_seq_len"])
                logits = model(tokens[None, :run["seq_len"]])[0][0]
                self.assert_close(logits, case.tensors["logits_" + run["tag"]], f"{name}, {run['tag']}")


if __name__ == "__main__":
    support.run()
