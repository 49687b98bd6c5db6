# SPDX-License-Identifier: Apache-2.0
"""RMT around a llama and the network made for it against the originals (tests/golden/rmt), and gradients that go back through
segments."""

import contextlib
import json
import types
import unittest

import support
import torch
from golden_test import integers
from perdure_train import checkpoint, command_line, huggingface, llama2c, loop, runs, safetensors
from perdure_train.architectures import ModelArgs, build
from perdure_train.curriculum import Curriculum
from perdure_train.data import TokenFile

_GOLDENS = support.TOP / "tests/golden/rmt"
_GOLDEN = _GOLDENS / "hf_wrapper_llama"
_TOLERANCE = 1e-4
_RMT = ["--architecture", "rmt", "--num-mem-tokens", 3]


def _own_weight(name: str, weights: dict, heads: int):
    """What the original's checkpoint has of this parameter."""
    if name == "memory_cell.memory":
        return weights[name]
    weight = weights["memory_cell.model." + huggingface.name_in_folder(name[len("memory_cell."):])]
    return huggingface.by_neighbours(weight, heads) if huggingface.is_rotated(name) else weight


def _golden_model():
    about = json.loads((_GOLDEN / "config.json").read_text())
    heads = about["num_attention_heads"]
    model = build(ModelArgs(
        architecture="rmt", num_mem_tokens=about["rmt"]["num_mem_tokens"], max_seq_len=about["rmt"]["segment_size"],
        dim=about["hidden_size"], hidden_dim=about["intermediate_size"], n_layers=about["num_hidden_layers"], n_heads=heads,
        vocab_size=about["vocab_size"], norm_eps=about["rms_norm_eps"], shared_classifier=about["tie_word_embeddings"]))
    weights = safetensors.read(_GOLDEN / "model.safetensors")
    model.load_state_dict({name: _own_weight(name, weights, heads) for name in model.state_dict()})
    return model.eval()


@contextlib.contextmanager
def _kept_bytes():
    """Counts what is kept for the way back, however often the same tensor is."""
    count = [0]

    def pack(tensor):
        count[0] += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield count


@unittest.skipUnless(_GOLDEN.is_dir(), "tests/golden/rmt/hf_wrapper_llama is not there")
class GoldenTest(unittest.TestCase):
    def assert_run(self, run: str, pieces):
        """`pieces`: the segments of the input ids as the original cuts them."""
        expected = safetensors.read(_GOLDEN / "io.safetensors")
        model, memory, logits = _golden_model(), None, []
        for i, piece in enumerate(pieces):
            with torch.no_grad():
                part, memory = model(piece, memory)
            self.assertLess(float((memory[0] - expected[f"{run}.memory.{i}"]).abs().max()), _TOLERANCE, f"{run}, segment {i}")
            logits.append(part)
        self.assertNotIn(f"{run}.memory.{len(pieces)}", expected)
        self.assertLess(float((torch.cat(logits, 1) - expected[f"{run}.logits"]).abs().max()), _TOLERANCE, run)

    def test_logits_and_memories_are_the_original_s_for_both_alignments(self):
        tokens = integers(_GOLDEN / "io.safetensors", "input_ids")
        size = _golden_model().args.max_seq_len
        rest = tokens.shape[1] % size
        self.assert_run("left", tokens.split(size, 1))
        self.assert_run("right", [tokens[:, :rest], *tokens[:, rest:].split(size, 1)] if rest else tokens.split(size, 1))

    def test_a_long_row_is_read_in_segments(self):
        tokens = integers(_GOLDEN / "io.safetensors", "input_ids")
        with torch.no_grad():
            logits, _ = _golden_model()(tokens)
        expected = safetensors.read(_GOLDEN / "io.safetensors")["left.logits"]
        self.assertLess(float((logits - expected).abs().max()), _TOLERANCE)


@unittest.skipUnless(_GOLDENS.is_dir(), "tests/golden/rmt is not there")
class NetworkGoldenTest(unittest.TestCase):
    def model(self, name: str):
        given = json.loads((_GOLDENS / name / "config.json").read_text())["constructor"]
        model = build(ModelArgs(
            architecture="rmt_network", dim=given["dim"], vocab_size=given["num_tokens"], n_layers=given["depth"],
            num_mem_tokens=given["num_memory_tokens"], max_seq_len=given["seq_len"], n_heads=given["heads"],
            num_residual_streams=given.get("num_residual_streams", 0)))
        model.load_state_dict(safetensors.read(_GOLDENS / name / "model.safetensors"))
        return model.eval()

    def assert_close(self, got, expected, what: str):
        self.assertLess(float((got - expected).abs().max()), _TOLERANCE, what)

    def test_segments_and_memories_are_the_original_s(self):
        model, path, memory = self.model("plain_noxl"), _GOLDENS / "plain_noxl/io.safetensors", None
        expected = safetensors.read(path)
        for i in range(3):
            with torch.no_grad():
                logits, memory = model(integers(path, f"seg{i}.tokens"), memory)
            self.assert_close(logits, expected[f"seg{i}.logits"], f"segment {i}")
            self.assert_close(memory[0], expected[f"seg{i}.memories"], f"memory {i}")

    def test_a_long_row_is_the_wrapper_s(self):
        for name in ("plain_noxl", "defaults_xl"):
            path = _GOLDENS / name / "io.safetensors"
            expected = safetensors.read(path)
            with torch.no_grad():
                logits, memory = self.model(name)(integers(path, "wrapper.tokens"))
            self.assert_close(logits, expected["wrapper.logits"], name)
            self.assert_close(memory[0], expected["wrapper.memories"], name)


class RmtTest(support.TrainerTest):
    def trainer(self, name: str, *options):
        arguments = ["train", *support.TINY, *_RMT, "--data", self.data, "--out", self.scratch / name, "--chain", 8, *options]
        options = command_line._parser().parse_args([str(a) for a in arguments])
        options.out = str(self.scratch / name)
        torch.manual_seed(0)
        model = build(runs._model_args(options, TokenFile(self.data, "train").vocab_size))
        (self.scratch / name).mkdir(exist_ok=True)
        trainer = loop.Trainer(model, torch.device("cpu"), options, self.scratch / name)
        self.addCleanup(trainer.progress.close)
        return trainer

    def gradients(self, count: int, *options):
        """({name: gradient} of an update through `count` windows, bytes kept for the way back)."""
        trainer = self.trainer("gradients", *options)
        windows = [(*tensors, beside) for *tensors, beside in trainer.windows.take(count)]
        with _kept_bytes() as kept:
            loss, _, _ = trainer._read_all(windows, None)
        loss.backward()
        return {name: p.grad for name, p in trainer.model.named_parameters()}, kept[0]

    def test_replay_has_the_gradients_of_plain_back_propagation(self):
        for options in ([], ["--architecture", "rmt_network", "--memseqlen", 32]):
            plain, _ = self.gradients(4, *options)
            replay, _ = self.gradients(4, "--replay", *options)
            for name, gradient in plain.items():
                if not name.endswith(("alpha_scale", "beta_scale", "gamma")):  # which stand before zeros to begin with
                    self.assertGreater(float(gradient.abs().max()), 0, name)
                self.assertLess(float((gradient - replay[name]).abs().max()), 1e-5, name)

    def test_the_network_made_for_it_learns_and_goes_on(self):
        options = ("--architecture", "rmt_network", "--num-mem-tokens", 3, "--memseqlen", 32, "--learning-rate", 0.005)
        run = self.train("network", *options, "--chain", 3, "--segments", 3, "--steps", 12)
        losses = [record["loss"] for record in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if "loss" in record]
        self.assertLess(losses[-1], losses[0])
        tuned = self.scratch / "network tuned"
        support.command("finetune", "--base", run, "--data", self.data, "--out", tuned, "--trained", "all", "--steps", 2,
                        "--batch", 2, "--accumulate", 1, "--warmup", 1, "--validation-batches", 1, "--device", "cpu")

    def test_replay_keeps_next_to_nothing_of_a_segment(self):
        (_, one), (_, eight) = self.gradients(1), self.gradients(8)
        _, replayed = self.gradients(8, "--replay")
        self.assertGreater(eight, 7 * one)
        self.assertLess(replayed, one / 4)

    def test_gradients_go_back_through_all_segments_of_an_update(self):
        """As they do through one long row, whose first tokens nothing but the memory hands on."""
        trainer = self.trainer("whole")
        tokens = torch.randint(0, trainer.model.args.vocab_size, (2, 97))
        inputs, targets, fresh = tokens[:, :-1], tokens[:, 1:], torch.ones(2, dtype=torch.bool)
        logits, _ = trainer.model(inputs)
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        whole = {name: p.grad.clone() for name, p in trainer.model.named_parameters()}
        trainer.model.zero_grad()
        windows = [(inputs[:, at:at + 32], targets[:, at:at + 32], torch.zeros(2, 32), fresh & (at == 0), [])
                   for at in (0, 32, 64)]
        trainer._read_all(windows, None)[0].backward()
        for name, parameter in trainer.model.named_parameters():
            self.assertLess(float((parameter.grad - whole[name]).abs().max()), 1e-5, name)

    def test_it_learns_through_growing_numbers_of_segments_and_is_exported(self):
        run = self.train("learns", *_RMT, "--chain", 4, "--segments", 4, "--segments-grow", 8, "--vary-segments", "--steps", 12)
        log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        losses = [record["loss"] for record in log if "loss" in record]
        self.assertLess(losses[-1], losses[0])
        self.assertGreater(log[-1]["tokens"], 12 * 4 * 32)
        model, about = checkpoint.load_model(run)
        self.assertEqual(about["model"]["num_mem_tokens"], 3)
        out = self.scratch / "rmt.safetensors"
        support.command("export", "--run-folder", run, "--format", "safetensors", "--out", out)
        weights = safetensors.read(out)
        self.assertEqual(tuple(weights["memory_cell.memory"].shape), (3, 32))
        self.assertIn("memory_cell.model.layers.0.attention.wq.weight", weights)
        for name, weight in weights.items():
            self.assertTrue(torch.equal(weight, model.state_dict()[name]), name)
        self.assertEqual(json.loads(out.with_suffix(".json").read_text())["rmt"], {"num_mem_tokens": 3, "segment_size": 32})

    def test_memory_and_llama_are_exported_apart_and_are_the_model_again(self):
        run = self.train("apart", *_RMT, "--chain", 2, "--segments", 2, "--steps", 4)
        for kind, name in (("memory", "memory.safetensors"), ("v1", "llama.bin")):
            support.command("export", "--run-folder", run, "--format", kind, "--out", self.scratch / name)
        args, weights = llama2c.read(self.scratch / "llama.bin")
        self.assertEqual(args.max_seq_len, 32 + 2 * 3)
        model, _ = checkpoint.load_model(run)
        for name, weight in weights.items():
            self.assertTrue(torch.equal(weight, model.state_dict()["memory_cell.model." + name]), name)
        memory = safetensors.read(self.scratch / "memory.safetensors")
        self.assertEqual(list(memory), ["memory_cell.memory"])
        self.assertTrue(torch.equal(memory["memory_cell.memory"], model.memory_cell.memory))

    def test_a_llama_gets_a_memory_and_keeps_its_weights(self):
        base = self.train("plain", "--steps", 4)
        tuned = self.scratch / "tuned"
        support.command("finetune", "--base", base, "--data", self.data, "--out", tuned, *_RMT, "--trained", "memory",
                        "--chain", 2, "--segments", 2, "--steps", 3, "--batch", 2, "--accumulate", 1, "--warmup", 1,
                        "--validation-batches", 1, "--device", "cpu")
        before, after = checkpoint.load(base)["model"], checkpoint.load(tuned)["model"]
        for name, weight in before.items():
            self.assertTrue(torch.equal(weight, after["memory_cell.model." + name]), name)
        again = self.scratch / "again"
        support.command("finetune", "--base", tuned, "--data", self.data, "--out", again, "--trained", "all", "--steps", 2,
                        "--chain", 2, "--segments", 2, "--batch", 2, "--accumulate", 1, "--warmup", 1, "--validation-batches", 1,
                        "--device", "cpu")
        self.assertFalse(torch.equal(checkpoint.load(again)["model"]["memory_cell.memory"], after["memory_cell.memory"]))

    def test_what_it_cannot_be_is_refused(self):
        for options in (["--num-mem-tokens", 0], ["--attention-type", "memory_attention"], ["--extend-method", "nope"],
                        ["--segments", 2], ["--segments-grow", 2], ["--architecture", "llama"], ["--num-residual-streams", 2],
                        ["--architecture", "rmt_network"],
                        ["--architecture", "rmt_network", "--memseqlen", 32, "--num-mem-tokens", 0]):
            code = support.train_main([str(a) for a in ["train", *support.TINY, *_RMT, "--data", self.data, "--out",
                                                        self.scratch / "no", *options]])
            self.assertEqual(code, 2, options)
        plain = self.train("plain memory", "--steps", 2)
        self.assertEqual(support.train_main(["export", "--run-folder", str(plain), "--format", "memory", "--out",
                                             str(self.scratch / "no.safetensors")]), 2)


class CurriculumTest(unittest.TestCase):
    def curriculum(self, **options):
        return Curriculum(types.SimpleNamespace(**{"segments": 4, "segments_grow": 100, "vary_segments": False, "seed": 3,
                                                   **options}))

    def test_stages_are_equally_long(self):
        stages = [self.curriculum().stage(step) for step in range(120)]
        self.assertEqual(stages, sorted(stages))
        self.assertEqual([stages.count(n) for n in (1, 2, 3, 4)], [25, 25, 25, 45])

    def test_what_was_read_is_counted_in_any_order(self):
        for vary in (False, True):
            forwards, other = self.curriculum(vary_segments=vary), self.curriculum(vary_segments=vary)
            sums = [forwards.windows_before(step) for step in range(150)]
            self.assertEqual(sums[140], other.windows_before(140))
            self.assertEqual(sums[7], other.windows_before(7))
            self.assertEqual(sums[140], sum(map(other.windows, range(140))))

    def test_varied_steps_never_exceed_the_stage_and_differ(self):
        varied = self.curriculum(vary_segments=True, segments_grow=0)
        self.assertEqual({varied.windows(step) for step in range(200)}, {1, 2, 3, 4})


if __name__ == "__main__":
    support.run()
