# SPDX-License-Identifier: Apache-2.0
"""RWKV 7 against logits of the original program (tests/golden/rwkv), and against its own definition token by token."""

import json

import support
import torch
from perdure_train import checkpoint, safetensors
from perdure_train.architectures import ModelArgs, build
from perdure_train.architectures.rwkv7 import recurrence

_GOLDEN = support.TOP / "tests/golden/rwkv/rand_v7"
_TOLERANCE = 2e-4
_RWKV = ["--architecture", "rwkv7", "--memseqlen", "32"]


def _read_integers(path, name):
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    first, end = json.loads(data[8:8 + size])[name]["data_offsets"]
    return torch.frombuffer(bytearray(data[8 + size + first:8 + size + end]), dtype=torch.int32).long()


def _golden_model():
    weights = safetensors.read(_GOLDEN / "model.safetensors")
    about = json.loads((_GOLDEN / "meta.json").read_text())
    vocab, dim = weights["emb.weight"].shape
    layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
    model = build(ModelArgs(architecture="rwkv7", dim=dim, n_layers=layers, n_heads=weights["blocks.0.att.r_k"].shape[0],
                            vocab_size=vocab, hidden_dim=weights["blocks.0.ffn.key.weight"].shape[0]))
    for name, module in model.named_modules():  # its low-rank pairs have ranks of their own
        for leaf in list(module._parameters):
            full = f"{name}.{leaf}"
            if full in weights:
                setattr(module, leaf, torch.nn.Parameter(weights[full]))
    return model.eval()


def _one_by_one(r, log_w, k, v, a, b, state):
    outputs = []
    for t in range(r.shape[1]):
        r_t, w_t, k_t, v_t, a_t, b_t = (x[:, t].view(*state.shape[:2], -1) for x in (r, log_w.exp(), k, v, a, b))
        seen = torch.einsum("bhij,bhj->bhi", state, a_t)
        state = state * w_t[:, :, None] + seen[..., None] * b_t[:, :, None] + v_t[..., None] * k_t[:, :, None]
        outputs.append(torch.einsum("bhij,bhj->bhi", state, r_t).flatten(1))
    return torch.stack(outputs, 1), state


class RwkvTest(support.TrainerTest):
    def test_logits_are_the_original_s_whole_and_in_parts(self):
        model = _golden_model()
        path = _GOLDEN / "golden.safetensors"
        tokens, expected = _read_integers(path, "tokens"), safetensors.read(path)["logits"]
        with torch.no_grad():
            whole, _ = model(tokens[None])
            _, memory = model(tokens[None, :20])
            rest, _ = model(tokens[None, 20:], memory)
        self.assertLess(float((whole[0] - expected).abs().max()), _TOLERANCE)
        self.assertLess(float((rest[0] - expected[20:]).abs().max()), _TOLERANCE)

    def test_chunks_and_single_tokens_give_the_same_outputs_states_and_gradients(self):
        torch.manual_seed(0)
        for rows in (1, 15, 16, 37):
            values = [torch.randn(2, rows, 24, dtype=torch.float64) for _ in range(4)]
            r, k, v, direction = values
            removed = torch.nn.functional.normalize(direction.view(2, rows, 3, 8), dim=-1).flatten(2)
            rate, log_w = torch.rand(2, rows, 24, dtype=torch.float64), -0.6 * torch.rand(2, rows, 24, dtype=torch.float64)
            inputs = [x.requires_grad_() for x in (r, log_w, k, v, -removed, removed * rate)]
            state = torch.randn(2, 3, 8, 8, dtype=torch.float64)
            results = []
            for form in (lambda *x: recurrence(*x, heads=3), _one_by_one):
                y, end = form(*inputs, state)
                results.append((y, end, *torch.autograd.grad((y.sin().sum() + end.sin().sum()), inputs)))
            for chunked, serial in zip(*results):
                self.assertLess(float((chunked - serial).abs().max()), 1e-9, f"{rows} rows")

    def test_it_learns_and_its_weights_are_exported(self):
        run = self.train("whole", *_RWKV, "--steps", 12, "--reading", "stream")
        first = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines() if json.loads(line).get("loss")]
        self.assertLess(first[-1]["loss"], first[0]["loss"])
        model, about = checkpoint.load_model(run)
        self.assertEqual(about["model"]["architecture"], "rwkv7")
        out = self.scratch / "rwkv.safetensors"
        support.command("export", "--run-folder", run, "--format", "safetensors", "--out", out)
        for name, weight in safetensors.read(out).items():
            self.assertTrue(torch.equal(weight, model.state_dict()[name]), name)

    def test_what_it_cannot_be_is_refused(self):
        for options in (["--theta", 500], ["--attention-type", "memory_attention"], ["--extend-method", "nope"]):
            code = support.train_main(["train", *support.TINY, *_RWKV, "--data", str(self.data), "--out", str(self.scratch / "no"),
                                       *map(str, options)])
            self.assertEqual(code, 2, options)
        run = self.train("other format", *_RWKV, "--steps", 2)
        self.assertEqual(support.train_main(["export", "--run-folder", str(run), "--format", "v0", "--out",
                                             str(self.scratch / "no.bin")]), 2)


support.run()
