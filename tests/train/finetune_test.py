# SPDX-License-Identifier: Apache-2.0
"""A plain llama gets a memory; adapters are merged."""

import support
import torch
from perdure_train import checkpoint, llama2c, lora
from perdure_train.architectures import ModelArgs, build
from perdure_train.runs import is_memory_parameter


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

    def test_a_quantised_base_is_refused(self):
        run = self.train("quantised", "--steps", 2)
        support.command("export", "--run-folder", run, "--format", "v2", "--out", self.scratch / "q.bin")
        with self.assertRaisesRegex(Exception, "quantised"):
            llama2c.read(self.scratch / "q.bin")


support.run()
