# SPDX-License-Identifier: Apache-2.0
"""Trains tiny models for seconds, exports them, and compares `perdure logits` with PyTorch."""

import json
import os
import subprocess

import support
import torch
from perdure_train import checkpoint, llama2c, safetensors

_TOLERANCE = 2e-4
_TOKENS = 70  # eight chunks of memory and an incomplete one
_MEMORY_CONFIG = "attention: {strategy: memory}\n"


class ExportTest(support.TrainerTest):
    def perdure_logits(self, model, tokens, attention: str, *more):
        config, ids, out = (self.scratch / n for n in ("config.yaml", "ids.txt", "logits.safetensors"))
        config.write_text(f"model: {{path: {model}}}\n{attention}kernels: {{activations: f32}}\nthreads: {{count: 1}}\n")
        ids.write_text(" ".join(str(int(t)) for t in tokens))
        subprocess.run([support.program(), "logits", "-q", "-c", config, "--tokens", ids, "--out", out, "--force",
                        *more], check=True)
        return safetensors.read(out)["logits"]

    def compare(self, run, kind: str, attention: str):
        model, _ = checkpoint.load_model(run)
        suffix = ".safetensors" if kind == "safetensors" else ".bin"
        out = self.scratch / f"{run.name}-{kind}{suffix}"
        support.command("export", "--run-folder", run, "--format", kind, "--group-size", 16, "--out", out)
        if kind.startswith("v2"):
            model.load_state_dict(llama2c.dequantised(model.args, model.state_dict(), kind, 16))
        length = min(_TOKENS, model.args.extend_seq_len)
        if model.args.attention_type == "memory_attention" or model.args.architecture in ("rmt", "rmt_network"):
            length = _TOKENS
        tokens = torch.randint(3, model.args.vocab_size, (length,), generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = model(tokens[None])[0][0]
        got = self.perdure_logits(out, tokens, attention)
        self.assertEqual(got.shape, expected.shape)
        self.assertLess(float((got - expected).abs().max()), _TOLERANCE, f"{run.name} as {kind}")
        return model, tokens, expected

    def test_a_llama_in_every_format(self):
        run = self.train("llama", "--steps", 12)
        for kind in ("v0", "v1", "v2", "safetensors"):
            self.compare(run, kind, "attention: {strategy: full}\n")

    def test_a_llama_with_grouped_heads_and_a_classifier_of_its_own(self):
        run = self.train("grouped", "--steps", 12, "--n-heads", 4, "--n-kv-heads", 2, "--no-shared-classifier")
        for kind in ("v0", "v1", "v2", "safetensors"):
            self.compare(run, kind, "attention: {strategy: full}\n")

    def test_recurrent_models(self):
        for architecture in ("rwkv7", "microrwkv"):
            run = self.train(architecture, "--architecture", architecture, "--memseqlen", 32, "--steps", 12)
            self.compare(run, "safetensors", "attention: {strategy: rwkv}\n")

    def test_a_llama_with_memory_tokens(self):
        run = self.train("rmt", "--architecture", "rmt", "--num-mem-tokens", 3, "--steps", 12)
        model, tokens, expected = self.compare(run, "safetensors", "")
        with torch.no_grad():  # the comparison means something only if the memory does
            forgetful, _ = model(tokens[None, model.args.max_seq_len:])
        self.assertGreater(float((forgetful[0] - expected[model.args.max_seq_len:]).abs().max()), 20 * _TOLERANCE)
        llama, memory = self.scratch / "llama.bin", self.scratch / "memory.safetensors"
        for kind, out in (("v1", llama), ("memory", memory)):
            support.command("export", "--run-folder", run, "--format", kind, "--out", out)
        about = json.loads(memory.with_suffix(".json").read_text())
        about["rmt"]["model"] = llama.name
        memory.with_suffix(".json").write_text(json.dumps(about))
        apart = self.perdure_logits(memory, tokens, "")
        self.assertLess(float((apart - expected).abs().max()), _TOLERANCE)

    def test_a_llama_that_reads_contexts_and_its_encoder(self):
        base, encoder = self.train("base", "--steps", 12), self.train("encoder", *support.MLM, "--steps", 12)
        cepe = self.scratch / "cepe"
        support.command("finetune", *support.TINY, "--data", self.data, "--base", base, "--encoder", encoder, "--out", cepe,
                        "--architecture", "cepe", "--contexts", 4, "--chunk", 16, "--window", 96, "--steps", 12)
        for run in (encoder, cepe):
            support.command("export", "--run-folder", run, "--format", "folder", "--out", self.scratch / f"{run.name}-folder")
        tokens = torch.randint(3, 300, (82,), generator=torch.Generator().manual_seed(1))
        text, contexts = tokens[:30], tokens[30:]  # three chunks and an incomplete one
        with torch.no_grad():
            filled_in = checkpoint.load_model(encoder)[0](text[None])[0][0]
            model = checkpoint.load_model(cepe)[0]
            expected, without = (model.decode(text[None], model.encode(c[None]))[0] for c in (contexts, contexts[:0]))
        self.assertLess(float((self.perdure_logits(f"{encoder}-folder", text, "") - filled_in).abs().max()), _TOLERANCE)
        (self.scratch / "contexts.txt").write_text(" ".join(map(str, contexts.tolist())))
        got = self.perdure_logits(f"{cepe}-folder", text, "attention: {chunk: 16}\n", "--context",
                                  self.scratch / "contexts.txt")
        self.assertLess(float((got - expected).abs().max()), _TOLERANCE)
        self.assertGreater(float((without - expected).abs().max()), 20 * _TOLERANCE)
        alone = self.perdure_logits(f"{cepe}-folder", text, "")
        self.assertLess(float((alone - without).abs().max()), _TOLERANCE)

    def test_networks_made_for_a_memory(self):
        for streams, hidden in ((4, 64), (1, 70)):
            run = self.train(f"network {streams}", "--architecture", "rmt_network", "--num-mem-tokens", 3, "--memseqlen", 32,
                             "--num-residual-streams", streams, "--hidden-dim", hidden, "--chain", 2, "--segments", 2, "--steps", 12)
            model, tokens, expected = self.compare(run, "safetensors", "")
            with torch.no_grad():
                forgetful, _ = model(tokens[None, model.args.max_seq_len:])
            self.assertGreater(float((forgetful[0] - expected[model.args.max_seq_len:]).abs().max()), 20 * _TOLERANCE)

    def test_a_memory_model_in_every_format(self):
        run = self.train("memory", *support.MEMORY, "--steps", 12, "--chain", 2)
        for kind in ("v2-mem", "safetensors"):
            model, tokens, expected = self.compare(run, kind, _MEMORY_CONFIG)
            with torch.no_grad():  # the comparison means something only if the memory does
                forgetful = model(tokens[None, 8:])[0][0]
            self.assertGreater(float((forgetful - expected[8:]).abs().max()), 20 * _TOLERANCE)

    def test_a_memory_model_without_a_trained_beginning(self):
        run = self.train("untrained", *support.MEMORY, "--steps", 12, "--reading", "stream", "--update-memory",
                         "--no-train-orimem")
        for kind in ("v2-mem", "safetensors"):
            self.compare(run, kind, _MEMORY_CONFIG)

    def test_options_that_only_safetensors_can_hold(self):
        run = self.train("options", *support.MEMORY, "--steps", 12, "--do-wm", "--no-reuse-kv", "--key-norm", "--theta", 500)
        self.compare(run, "safetensors", "attention: {strategy: memory}\n")
        self.assertNotEqual(support.train_main(["export", "--run-folder", str(run), "--format", "v2-mem", "--out",
                                                str(self.scratch / "no.bin")]), 0)

    def test_tables_of_frequencies_beside_a_memory(self):
        tables = {}
        for method, scaling in (("interpolation", "linear"), ("NTK-RoPE", "ntk"), ("radix", "radix"), ("ntk", "ntk_mixed"),
                                ("nope", "none"), ("extrapolation", "none")):
            run = self.train(f"table {method}", *support.MEMORY, "--steps", 12, "--extend-method", method,
                             "--extend-seq-len", 128)
            model, _, _ = self.compare(run, "safetensors",
                                       f"attention: {{strategy: memory, rope_scaling: {scaling}, eval_length: 128}}\n")
            tables[method] = model.layers[0].attention.positions.turn
        for method, table in tables.items():
            self.assertEqual(torch.equal(table, tables["extrapolation"]), method in ("nope", "extrapolation"), method)

    def test_a_hybrid(self):
        run = self.train("hybrid", *support.MEMORY, "--steps", 12, "--extend-method", "memlayer0")
        model, _ = checkpoint.load_model(run)
        self.assertTrue(hasattr(model.layers[0].attention, "refresh") and not hasattr(model.layers[1].attention, "refresh"))
        out = self.scratch / "hybrid.safetensors"
        support.command("export", "--run-folder", run, "--format", "safetensors", "--out", out)
        tokens = torch.arange(3, 3 + model.args.max_seq_len)
        got = self.perdure_logits(out, tokens, "attention: {strategy: memory, layers: {'1': {strategy: full}}}\n")
        with torch.no_grad():
            self.assertLess(float((got - model(tokens[None])[0][0]).abs().max()), _TOLERANCE)

    def test_the_data_of_a_run_are_found_from_anywhere(self):
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.scratch)
        support.command("train", *support.TINY, "--data", "data", "--out", "relative", "--steps", 2)
        os.chdir("/")
        out = self.scratch / "found.bin"
        support.command("export", "--run-folder", self.scratch / "relative", "--format", "tokenizer", "--out", out)
        self.assertEqual(out.read_bytes(), (self.data / "tokenizer.bin").read_bytes())

    def test_the_tokenizer_gives_the_ids_that_were_trained_on(self):
        run = self.train("tokens", "--steps", 2)
        support.command("export", "--run-folder", run, "--format", "v0", "--out", self.scratch / "t.bin")
        support.command("export", "--run-folder", run, "--format", "tokenizer", "--out", self.scratch / "tok.bin")
        from perdure_train.tokenizer import Tokenizer
        text = "the old king saw a red boat.\nOne crow\n\nhid; \u00e9 17"
        (self.scratch / "t.yaml").write_text(f"model: {{path: {self.scratch}/t.bin, tokenizer: {self.scratch}/tok.bin}}\n")
        got = subprocess.run([support.program(), "tokenize", "-q", "-c", self.scratch / "t.yaml", text], check=True,
                             capture_output=True, text=True).stdout.split()
        self.assertEqual([int(t) for t in got if int(t) != 1], Tokenizer(self.data / "tokenizer.model").encode(text))


support.run()
