# SPDX-License-Identifier: Apache-2.0
"""A plain llama gets a memory; adapters are merged."""

import contextlib
import dataclasses
import io

import support
import torch
from perdure_train import checkpoint, llama2c, lora, safetensors
from perdure_train.architectures import ModelArgs, build
from perdure_train.runs import is_memory_parameter


_FEW = ["--steps", 2, "--batch", 2, "--accumulate", 1, "--threads", 1, "--device", "cpu"]  # nothing of the model


class FinetuneTest(support.TrainerTest):
    def finetune(self, name, base, *options):
        folder = self.scratch / name
        support.command("finetune", *support.TINY, "--data", self.data, "--base", base, "--out", folder, "--steps", 4, *options)
        return checkpoint.load_model(folder)[0]

    def test_only_the_memory_of_a_plain_llama_is_trained(self):
        run = self.train("plain", "--steps", 6)
        files = {}
        for kind, name in (("v0", "base.v0.bin"), ("v1", "base.v1.bin"), ("safetensors", "base.safetensors")):
            files[kind] = self.scratch / name
            support.command("export", "--run-folder", run, "--format", kind, "--out", files[kind])
        base = checkpoint.load_model(run)[0].state_dict()
        for kind, source in {"run": run, **files}.items():
            tuned = self.finetune(f"from-{kind}", source, *support.MEMORY, "--no-reuse-kv").state_dict()
            for name, value in tuned.items():
                if is_memory_parameter(name):
                    fresh = base.get(name.replace("wkm", "wk").replace("wvm", "wv"))
                    self.assertTrue(fresh is None or not torch.equal(value, fresh), name)
                else:
                    self.assertTrue(torch.equal(value, base[name]), f"{name} from {kind}")

    def test_a_memory_of_another_length_begins_with_the_rows_there_are(self):
        run = self.train("rows", *support.MEMORY, "--steps", 6)
        before = checkpoint.load_model(run)[0].state_dict()["layers.0.attention.origin_mem"]
        for rows in (4, 16):
            after = self.finetune(f"{rows} rows", run, *support.MEMORY, "--memseqlen", rows, "--trained", "lora")
            after = after.state_dict()["layers.0.attention.origin_mem"]
            self.assertTrue(torch.equal(after, torch.cat((before, before), 1)[:, :rows]))

    def assert_refused(self, base, sentence, *options):
        told = io.StringIO()
        arguments = ["finetune", *_FEW, "--data", self.data, "--base", base, "--out", self.scratch / "no", *options]
        with contextlib.redirect_stderr(told):
            self.assertEqual(support.train_main([str(a) for a in arguments]), 2)
        self.assertRegex(told.getvalue(), sentence)
        self.assertFalse((self.scratch / "no").exists())

    def test_what_is_not_given_is_as_in_the_base(self):
        run = self.train("all", *support.MEMORY, "--steps", 2, "--key-norm", "--do-wm", "--no-reuse-kv", "--theta", 500,
                         "--no-memory-norm", "--extend-method", "xpos64_logn", "--update-memory", "--chain", 2,
                         "--no-train-orimem")
        base = checkpoint.load_model(run)[0]
        options = [*_FEW, "--data", self.data, "--base", run, "--chain", 2, "--trained"]
        for trained in ("memory", "lora"):
            support.command("finetune", *options, trained, "--out", self.scratch / f"by {trained}", "--max-seq-len", 64)
            tuned = checkpoint.load_model(self.scratch / f"by {trained}")[0]
            self.assertEqual(tuned.args, dataclasses.replace(base.args, max_seq_len=64, extend_seq_len=64))
        support.command("finetune", *options, "all", "--out", self.scratch / "theta", "--theta", 700)
        self.assertEqual(checkpoint.load_model(self.scratch / "theta")[0].args, dataclasses.replace(base.args, theta=700.0))
        self.assert_refused(run, "--update-memory means")

    def test_what_the_weights_do_not_allow_is_refused(self):
        run = self.train("fixed", *support.MEMORY, "--steps", 2, "--do-wm", "--no-reuse-kv")
        for option, value in (("dim", 64), ("n-layers", 3), ("n-heads", 4), ("n-kv-heads", 1), ("hidden-dim", 32)):
            self.assert_refused(run, f"^train.py: --{option}: .*fixed has .*cannot change to {value}", f"--{option}", value)
        for option, weight in (("--no-do-wm", "wm"), ("--reuse-kv", "wkm"), ("--no-memory-norm", "memory_norm"),
                               ("--no-do-memory-ffn", "ffn_norm"), ("--no-train-orimem", "origin_mem")):
            self.assert_refused(run, rf"fixed has the weight layers.0.attention.{weight}", option)
        self.assert_refused(run, "layers.1.attention.*leave no place", "--extend-method", "memlayer0")

    def test_a_memory_that_is_left_out_is_told(self):
        run, told = self.train("with", *support.MEMORY, "--steps", 2), io.StringIO()
        with contextlib.redirect_stdout(told):
            tuned = self.finetune("without", run, "--attention-type", "attention", "--trained", "all")
        self.assertFalse([name for name in tuned.state_dict() if is_memory_parameter(name)])
        self.assertRegex(told.getvalue(), "the memory of .*with is left out: 12 weights")

    def test_adapters_beside_a_new_memory_are_refused(self):
        run = self.train("bare", "--steps", 2)
        self.assert_refused(run, "--trained lora would leave", *support.MEMORY, "--trained", "lora")

    def test_weights_that_do_not_fit_their_options_are_refused(self):
        run, base = self.train("whole", *support.MEMORY, "--steps", 2), self.scratch / "part.safetensors"
        support.command("export", "--run-folder", run, "--format", "safetensors", "--out", base)
        weights, name = safetensors.read(base), "layers.1.attention.feed_forward.w2.weight"
        safetensors.write(base, {n: w for n, w in weights.items() if n != name})
        self.assert_refused(base, f"lacks the weight {name}")
        safetensors.write(base, {**weights, name: weights[name][:16]})
        self.assert_refused(base, f"{name} in another size")
        safetensors.write(base, {**weights, "layers.0.attention.wqm.weight": weights[name]})
        self.finetune("harmless", base)
        zero = {n: torch.zeros_like(w) if n.endswith("origin_mem") else w for n, w in weights.items()}
        safetensors.write(base, zero)
        self.finetune("zero", base, "--no-train-orimem")
        safetensors.write(base, {**weights, "layers.0.attention.wq.bias": weights[name]})
        self.assert_refused(base, "wq.bias, for which")

    def test_adapters_train_and_are_merged(self):
        run = self.train("memory", *support.MEMORY, "--steps", 6)
        base = checkpoint.load_model(run)[0].state_dict()
        tuned = self.finetune("adapted", run, *support.MEMORY, "--trained", "lora", "--lora-rank", 2).state_dict()
        self.assertEqual(base.keys(), tuned.keys())
        self.assertFalse(torch.equal(base["layers.0.attention.wq.weight"], tuned["layers.0.attention.wq.weight"]))
        self.assertTrue(torch.equal(base["norm.weight"], tuned["norm.weight"]))

    def test_merging_adapters_does_not_change_what_is_computed(self):
        torch.manual_seed(0)
        model = build(ModelArgs(dim=32, n_layers=2, n_heads=2, vocab_size=40, max_seq_len=32, memseqlen=8,
                                attention_type="memory_attention")).eval()
        lora.add_adapters(model, 4, 8.0)
        for name, parameter in model.named_parameters():
            if name.endswith(".b"):
                torch.nn.init.normal_(parameter, std=0.1)
        tokens = torch.randint(0, 40, (2, 20))
        with torch.no_grad():
            before = model(tokens)[0]
            lora.merge_adapters(model)
            self.assertLess(float((model(tokens)[0] - before).abs().max()), 1e-5)
        self.assertFalse(any(isinstance(m, lora.AdaptedLinear) for m in model.modules()))

    def test_a_quantised_base_is_read_as_its_readers_do(self):
        run = self.train("quantised", "--steps", 2)
        support.command("export", "--run-folder", run, "--format", "v2", "--out", self.scratch / "q.bin")
        model, _ = checkpoint.load_model(run)
        args, weights = llama2c.read(self.scratch / "q.bin")
        self.assertEqual(args, dataclasses.replace(model.args, memseqlen=args.memseqlen))
        self.assertEqual(weights.keys(), model.state_dict().keys())
        for name, weight in llama2c.dequantised(model.args, model.state_dict(), "v2").items():
            self.assertTrue(torch.equal(weight, weights[name]), name)

    def test_a_quantised_base_with_a_memory_is_refused(self):
        run = self.train("quantised memory", *support.MEMORY, "--steps", 2)
        support.command("export", "--run-folder", run, "--format", "v2-mem", "--out", self.scratch / "q.bin")
        with self.assertRaisesRegex(Exception, "quantised"):
            llama2c.read(self.scratch / "q.bin")


support.run()
