# SPDX-License-Identifier: Apache-2.0
"""Causal MicroRWKV against its definition (tests/golden/microrwkv_causal)."""

import json

import support
import torch
from perdure_train import safetensors
from perdure_train.architectures import ModelArgs, build

_GOLDEN = support.TOP / "tests/golden"
_TOLERANCE = 1e-3
_MICRO = ["--architecture", "microrwkv", "--memseqlen", "32"]


def _read_tokens(path):
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    first, end = json.loads(data[8:8 + size])["tokens"]["data_offsets"]
    return torch.frombuffer(bytearray(data[8 + size + first:8 + size + end]), dtype=torch.int32).long()


def _golden_model():
    weights = safetensors.read(_GOLDEN / "microrwkv/small/model.safetensors")
    about = json.loads((_GOLDEN / "microrwkv/small/meta.json").read_text())
    model = build(ModelArgs(architecture="microrwkv", dim=about["n_embd"], n_layers=about["n_layer"], n_heads=about["n_head"],
                            vocab_size=about["vocab_size"], hidden_dim=about["scaled_expert_dim"],
                            max_seq_len=about["block_size"]))
    lacking, foreign = model.load_state_dict(weights, strict=False)
    assert not foreign and lacking == ["transformer.ln_f.bias"], (lacking, foreign)
    return model.eval()


class MicroRwkvTest(support.TrainerTest):
    def test_logits_are_those_of_the_definition_whole_and_in_parts(self):
        path = _GOLDEN / "microrwkv_causal/golden.safetensors"
        tokens, expected = _read_tokens(path), safetensors.read(path)["logits"]
        model = _golden_model()
        for pieces in ([340], [100, 170, 70], [1, 299, 40]):
            memory, parts = None, []
            with torch.no_grad():
                for piece in tokens[None].split(pieces, 1):
                    logits, memory = model(piece, memory)
                    parts.append(logits)
            self.assertLess(float((torch.cat(parts, 1)[0] - expected).abs().max()), _TOLERANCE, pieces)

    def test_it_learns(self):
        run = self.train("micro", *_MICRO, "--steps", 30, "--reading", "stream")
        logged = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        losses = [line["loss"] for line in logged if line.get("loss")]
        self.assertLess(losses[-1], losses[0])

    def test_what_it_cannot_be_is_refused(self):
        for options in (["--theta", 500], ["--attention-type", "memory_attention"], ["--n-heads", 16]):
            code = support.train_main(["train", *support.TINY, *_MICRO, "--data", str(self.data), "--out",
                                       str(self.scratch / "no"), *map(str, options)])
            self.assertEqual(code, 2, options)


support.run()
