# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of RWKV, nanoRWKV and MicroRWKV as safetensors: names, types, bytes, and what is refused."""

import contextlib
import io
import json
import os
import pathlib
import struct
import tempfile
import unittest

import support
import torch

_GOLDEN = support.TOP / "tests/golden/rwkv/rand_v7/model.safetensors"


def _contents(path):
    """(header without metadata, metadata, name to bytes)."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    metadata = header.pop("__metadata__", {})
    return header, metadata, {n: data[8 + size + a["data_offsets"][0]:8 + size + a["data_offsets"][1]] for n, a in header.items()}


class _Harmful:
    def __reduce__(self):
        return os.mkdir, (_Harmful.folder,)


class ConvertTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)
        self.out = self.scratch / "out.safetensors"

    def convert(self, content, *options):
        source = self.scratch / "in.pth"
        torch.save(content, source)
        support.command("convert-rwkv", source, self.out, *options)
        return _contents(self.out)

    def refusal(self, content, *options):
        source = self.scratch / "in.pth"
        if isinstance(content, bytes):
            source.write_bytes(content)
        else:
            torch.save(content, source)
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            code = support.train_main(["convert-rwkv", str(source), str(self.out), *options])
        self.assertEqual(code, 2)
        self.assertFalse(self.out.exists())
        self.assertEqual(told.getvalue().count("\n"), 1)
        return told.getvalue()

    def test_a_checkpoint_of_rwkv_keeps_names_shapes_types_and_bits(self):
        from perdure_train import safetensors
        golden = safetensors.read(_GOLDEN)
        header, _, values = self.convert(golden)
        original, _, expected = _contents(_GOLDEN)
        self.assertEqual({n: (a["dtype"], a["shape"]) for n, a in header.items()},
                         {n: (a["dtype"], a["shape"]) for n, a in original.items()})
        self.assertEqual(values, expected)
        halves = {n: t.to(torch.bfloat16) for n, t in golden.items()}
        header, _, values = self.convert(halves)
        self.assertEqual({a["dtype"] for a in header.values()}, {"BF16"})
        for name, tensor in halves.items():
            self.assertEqual(values[name], tensor.contiguous().view(torch.int16).numpy().tobytes(), name)
        header, _, values = self.convert(halves, "--types", "f32")
        self.assertEqual({a["dtype"] for a in header.values()}, {"F32"})
        name = "blocks.1.att.key.weight"
        self.assertEqual(values[name], halves[name].float().numpy().tobytes())
        header, _, _ = self.convert({**golden, "ln_out.bias": golden["ln_out.bias"].double()})
        self.assertEqual(header["ln_out.bias"]["dtype"], "F32")

    def test_a_view_of_a_tensor_is_written_as_it_reads(self):
        turned = torch.arange(6.0).view(2, 3).t()
        _, _, values = self.convert({"blocks.0.att.w1": turned.to(torch.float16)})
        self.assertEqual(values["blocks.0.att.w1"], turned.contiguous().half().numpy().tobytes())

    def test_a_tuned_state_says_for_which_version_it_is(self):
        state = {f"blocks.{i}.att.time_state": torch.full((2, 4, 4), float(i)) for i in (0, 1)}
        _, metadata, values = self.convert(state)
        self.assertEqual(values["blocks.1.att.time_state"], state["blocks.1.att.time_state"].numpy().tobytes())
        self.assertNotIn("rwkv_version", metadata)
        _, metadata, _ = self.convert(state, "--state-of", "7")
        self.assertEqual(metadata["rwkv_version"], "7")
        self.out.unlink()
        told = self.refusal({**state, "blocks.0.att.r_k": torch.ones(2, 4)}, "--state-of", "7")
        self.assertIn("has blocks.0.att.r_k", told)

    def test_nano_rwkv_gets_the_names_of_rwkv(self):
        names = {"rwkv.wte.weight": "emb.weight", "rwkv.ln_p.weight": "blocks.0.ln0.weight", "rwkv.ln_f.weight": "ln_out.weight",
                 "lm_head.weight": "head.weight", "rwkv.h.1.ln_1.weight": "blocks.1.ln1.weight",
                 "rwkv.h.1.ln_2.bias": "blocks.1.ln2.bias", "rwkv.h.1.ln_2.weight": "blocks.1.ln2.weight",
                 "rwkv.h.1.attn.time_decay": "blocks.1.att.time_decay", "rwkv.h.1.attn.time_first": "blocks.1.att.time_first",
                 "rwkv.h.1.attn.time_mix_key": "blocks.1.att.time_mix_k",
                 "rwkv.h.1.attn.time_mix_value": "blocks.1.att.time_mix_v",
                 "rwkv.h.1.attn.time_mix_receptance": "blocks.1.att.time_mix_r",
                 "rwkv.h.1.attn.output_proj.weight": "blocks.1.att.output.weight",
                 "rwkv.h.1.attn.key_proj.weight": "blocks.1.att.key.weight",
                 "rwkv.h.1.ffn.time_mix_key": "blocks.1.ffn.time_mix_k",
                 "rwkv.h.1.ffn.value_proj.weight": "blocks.1.ffn.value.weight",
                 "rwkv.h.12.ffn.receptance_proj.weight": "blocks.12.ffn.receptance.weight"}
        tensors = {name: torch.full((3,), float(i + 1)) for i, name in enumerate(names)}
        compiled = {"_orig_mod." + n: t for n, t in tensors.items()}
        for content in ({"model": tensors, "model_args": {"n_layer": 2}, "iter_num": 5}, {"model": compiled}):
            _, _, values = self.convert(content)
            for name, new in names.items():
                self.assertEqual(values.pop(new), tensors[name].numpy().tobytes(), name)
            self.assertEqual({n: v for n, v in values.items()},  # norms without biases
                             {n: bytes(12) for n in ("blocks.0.ln0.bias", "ln_out.bias", "blocks.1.ln1.bias")})

    def test_transformers_names_become_those_of_rwkv(self):
        names = {"rwkv.embeddings.weight": "emb.weight", "rwkv.blocks.0.pre_ln.bias": "blocks.0.ln0.bias",
                 "rwkv.blocks.0.attention.time_mix_gate": "blocks.0.att.time_mix_g", "rwkv.ln_out.bias": "ln_out.bias",
                 "rwkv.blocks.0.attention.time_maa_w1": "blocks.0.att.time_maa_w1", "head.weight": "head.weight",
                 "rwkv.blocks.3.feed_forward.time_mix_receptance": "blocks.3.ffn.time_mix_r"}
        _, _, values = self.convert({name: torch.ones(2) for name in names})
        self.assertEqual(set(values), set(names.values()))

    def test_names_of_flash_linear_attention_become_those_of_rwkv(self):
        from perdure_train import safetensors
        parts = {"receptance.weight": "r_proj.weight", "key.weight": "k_proj.weight", "value.weight": "v_proj.weight",
                 "output.weight": "o_proj.weight", "ln_x.weight": "g_norm.weight", "ln_x.bias": "g_norm.bias"}
        parts |= {f"{c}{i}": f"{c}_lora.lora.{n}" for c in "wavg" for i, n in enumerate(("2.bias", "0.weight", "2.weight"))}
        whole = {"emb.": "model.embeddings.", "ln_out.": "model.norm.", "head.": "lm_head.", "ln0.": "pre_norm.", "ln1.": "attn_norm.",
                 "ln2.": "ffn_norm."}
        golden = {n: t for n, t in safetensors.read(_GOLDEN).items() if not n.startswith("blocks.0.att.v") or "value" in n}
        theirs = {}
        for name, tensor in golden.items():
            begin, _, part = name.partition(".att.")
            for own, new in whole.items():
                begin = begin.replace(own, new)
            turned = part[:1] in "wavg" and part[1:] in ("1", "2")
            new = begin.replace("blocks.", "model.layers.") + (f".attn.{parts.get(part, part)}" if part else "")
            theirs[new] = tensor.t().clone() if turned else tensor
        joined = {n: t for n, t in theirs.items() if ".attn.x_" not in n}
        for layer in (0, 1):
            joined[f"model.layers.{layer}.attn.x_x"] = torch.cat([golden[f"blocks.{layer}.att.x_{c}"][0] for c in "rwkvag"])
        for content in (theirs, joined):
            _, metadata, values = self.convert(content)
            self.assertEqual(values, {n: t.contiguous().numpy().tobytes() for n, t in golden.items()})
            self.assertAlmostEqual(float(metadata["gn_eps"]), 16e-5)

    def test_micro_rwkv_keeps_its_names_and_says_what_it_is(self):
        table = torch.randn(7, 4)
        model = {"transformer.wte.weight": table, "lm_head.weight": table, "transformer.h.0.tmix.time_decay": torch.ones(2, 1)}
        about = {"n_layer": 1, "num_experts": 4, "bias": False, "dropout": 0.0}
        model["transformer.wpe.weight"] = torch.nn.Parameter(torch.randn(4, 6).t()[1:].half())
        _, metadata, values = self.convert({"model": model, "model_args": about, "config": {"device": "cpu"}})
        self.assertEqual(values, {name: model[name].detach().contiguous().numpy().tobytes() for name in
                                  ("transformer.wte.weight", "transformer.h.0.tmix.time_decay", "transformer.wpe.weight")})
        self.assertEqual({k: metadata[k] for k in ("arch", *about)},
                         {"arch": "microrwkv", "n_layer": "1", "num_experts": "4", "bias": "False", "dropout": "0.0"})

    def test_nothing_but_tensors_is_unpickled(self):
        _Harmful.folder = str(self.scratch / "made by the file")
        for extra in ({}, {"with a number": 0.5}):
            told = self.refusal({"blocks.0.att.key.weight": torch.ones(2), **extra, "extra": _Harmful()})
            self.assertIn("nothing else is unpickled", told)
            self.assertFalse(pathlib.Path(_Harmful.folder).exists())

    def test_what_is_no_such_checkpoint_is_refused(self):
        self.assertIn("its first tensors are tok_embeddings.weight", self.refusal({"tok_embeddings.weight": torch.ones(2)}))
        self.assertIn("does not hold the tensors", self.refusal({"step": 5}))
        self.assertIn("does not hold the tensors", self.refusal([torch.ones(2)]))
        self.assertIn("its first tensors are none", self.refusal({}))
        self.assertIn("is no checkpoint of tensors", self.refusal(b""))
        self.assertIn("is no checkpoint of tensors", self.refusal(b"PK\x03\x04 no archive"))
        self.assertIn("two tensors that would be called emb.weight",
                      self.refusal({"rwkv.embeddings.weight": torch.ones(1), "emb.weight": torch.ones(1),
                                    "rwkv.blocks.0.attention.key.weight": torch.ones(1)}))
        self.assertIn("lm_head.weight", self.refusal({"transformer.wte.weight": torch.ones(1), "lm_head.weight": torch.zeros(1),
                                                      "transformer.h.0.tmix.time_decay": torch.ones(1)}))
        self.assertEqual(support.train_main(["convert-rwkv", str(self.scratch / "nowhere"), str(self.out)]), 1)


support.run()
