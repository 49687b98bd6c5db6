# SPDX-License-Identifier: Apache-2.0
"""CEPE and its encoder against the original (tests/golden/cepe): logits, losses, distillation. And the stages of training."""

import contextlib
import io
import json
import types
import unittest

import numpy
import support
import torch
from golden_test import integers
from perdure_train import checkpoint, contexts, huggingface, safetensors
from perdure_train.architectures import ModelArgs, build
from perdure_train.architectures.mlm import mask_token
from perdure_train.data import IGNORED, MaskedTokens, TokenFile
from perdure_train.distillation import divergence, top
from perdure_train.rotary import Positions

_GOLDEN = support.TOP / "tests/golden/cepe"
_TOLERANCE = 1e-4
_CEPE = ["--architecture", "cepe", "--trained", "memory"]


def _sizes(about: dict) -> dict:
    return {"dim": about["hidden_size"], "hidden_dim": about["intermediate_size"], "n_layers": about["num_hidden_layers"],
            "n_heads": about["num_attention_heads"], "n_kv_heads": about["num_key_value_heads"]}


def _encoder_sizes(about: dict) -> dict:
    names = {"dim": "dim", "hidden_dim": "hidden_dim", "n_layers": "layers", "n_heads": "heads", "n_kv_heads": "kv_heads"}
    return {f"encoder_{names[name]}": value for name, value in _sizes(about).items()}


class Golden:
    """A case as a model of the trainer."""

    def __init__(self, name: str, chunk: int = 7):
        self.path, self.about = _GOLDEN / name / "io.safetensors", json.loads((_GOLDEN / name / "config.json").read_text())
        self.expected = safetensors.read(self.path)
        self.model = self._masked() if name == "mlm_encoder" else self._with_contexts(chunk)
        weights, own = safetensors.read(_GOLDEN / name / "model.safetensors"), self.model.state_dict()
        for key, value in own.items():
            own[key] = self._own(key, weights.get(huggingface.name_in_folder(key)), value)
        self.model.load_state_dict(own)
        self.model.eval()

    def _masked(self):
        vocab_size = self.about["vocab_size"] - 1  # the last piece is the mask
        return build(ModelArgs(architecture="mlm", **_sizes(self.about), vocab_size=vocab_size, max_seq_len=64))

    def _with_contexts(self, chunk: int):
        args = ModelArgs(architecture="cepe", **_sizes(self.about), **_encoder_sizes(self.about["encoder_config"]),
                         vocab_size=self.about["vocab_size"], shared_classifier=False, theta=self.about["rope_theta"],
                         norm_eps=self.about["rms_norm_eps"], max_seq_len=2 * chunk, chunk=chunk, contexts=3,
                         cross_layers=self.about["num_cross_attn_layers"])
        model, scaling = build(args), self.about["rope_scaling"]
        if scaling:  # which the trainer knows of llamas alone
            scaled = ModelArgs(dim=args.dim, n_heads=args.n_heads, theta=args.theta, max_seq_len=2 * chunk,
                               extend_method="interpolation", extend_seq_len=int(scaling["factor"]) * 2 * chunk)
            for block in model.model.layers:
                block.attention.positions = Positions(scaled, 2 * chunk)
        return model

    def _own(self, name: str, weight, own):
        if weight is None:
            raise AssertionError(f"the golden case has no {name}")
        if huggingface.is_rotated(name):
            weight = huggingface.by_neighbours(weight, weight.shape[0] // huggingface.head_size(self.model, name))
        return torch.cat((weight, own[len(weight):])) if name == "encoder.tok_embeddings.weight" else weight

    def tokens(self, name: str = "input_ids"):
        return integers(self.path, name)

    def logits(self, with_contexts: bool = True):
        chunks = self.tokens("encoder_input_ids").flatten(1)
        with torch.no_grad():
            return self.model.decode(self.tokens(), self.model.encode(chunks if with_contexts else chunks[:, :0]))


@unittest.skipUnless(_GOLDEN.is_dir(), "tests/golden/cepe is not there")
class GoldenTest(unittest.TestCase):
    def assert_close(self, got, expected, what: str):
        self.assertLess(float((got - expected).abs().max()), _TOLERANCE, what)

    def test_logits_are_the_original_s_with_contexts_and_without(self):
        for name in ("cepe_base", "cepe_gqa_partial"):
            golden = Golden(name, integers(_GOLDEN / name / "io.safetensors", "encoder_input_ids").shape[2])
            self.assert_close(golden.logits(), golden.expected["ctx.logits"], name)
            self.assert_close(golden.logits(with_contexts=False), golden.expected["noctx.logits"], name)

    def test_the_encoder_says_what_the_original_says_of_a_text(self):
        golden = Golden("mlm_encoder")
        there = integers(golden.path, "attention_mask").bool()
        for row, mask in enumerate(there):
            with torch.no_grad():
                logits, _ = golden.model(golden.tokens()[row][mask][None])
            self.assert_close(logits[0], golden.expected["logits"][row][mask], f"row {row}")

    def test_losses_are_the_original_s(self):
        golden = Golden("cepe_base")
        logits, labels = golden.logits(), golden.tokens("loss.labels")
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)
        self.assert_close(loss, golden.expected["loss.value"], "mean loss")
        weight = next(run["kl_loss_cof"] for run in golden.about["golden"]["runs"] if run["run"] == "distill")
        for kind, mode in (("smooth", "smooth_1e-6"), ("drop", "drop")):
            taught = divergence(logits, golden.expected["distill.prob"], golden.tokens("distill.index"), mode)
            self.assert_close(loss + weight * taught, golden.expected[f"distill.loss_{kind}"], mode)


class DistillationTest(unittest.TestCase):
    def test_a_student_that_is_its_teacher_has_nothing_to_learn(self):
        logits = torch.randn(2, 9, 20, generator=torch.Generator().manual_seed(1), requires_grad=True)
        probabilities, tokens = top(logits.detach(), 5)
        self.assertAlmostEqual(float(probabilities.sum()), 18, places=4)
        for mode in ("smooth_1e-6", "drop"):
            loss = divergence(logits, probabilities, tokens, mode)
            self.assertAlmostEqual(float(loss), 0, places=5)
        other = divergence(logits.flip(1), probabilities, tokens, "smooth_1e-6")
        self.assertGreater(float(other), 0.1)
        other.backward()
        self.assertTrue(torch.isfinite(logits.grad).all())


def _small(**changes):
    torch.manual_seed(3)
    return build(ModelArgs(**{**dict(
        architecture="cepe", dim=32, hidden_dim=48, n_layers=3, n_heads=4, vocab_size=50, max_seq_len=8, encoder_dim=16,
        encoder_layers=1, encoder_heads=2, encoder_hidden_dim=24, chunk=4, contexts=3), **changes}))


class ModelTest(unittest.TestCase):
    def tokens(self, rows: int):
        return torch.randint(0, 50, (2, rows), generator=torch.Generator().manual_seed(rows))

    def test_a_window_attends_to_the_last_chunks_before_it(self):
        model, tokens = _small(), self.tokens(29)
        with torch.no_grad():
            whole, _ = model(tokens)
            for begin in (0, 8, 16, 24):
                seen = tokens[:, max(0, begin - 12):begin]
                alone = model.decode(tokens[:, begin:begin + 8], model.encode(seen))
                self.assertLess(float((whole[:, begin:begin + 8] - alone).abs().max()), 1e-5, f"window at {begin}")

    def test_a_duplicated_window_attends_to_its_own_chunks(self):
        model, tokens = _small(duplicate=True), self.tokens(14)
        with torch.no_grad():
            whole, _ = model(tokens)
            parts = [model.decode(part, model.encode(part)) for part in tokens.split(8, 1)]
        self.assertLess(float((whole - torch.cat(parts, 1)).abs().max()), 1e-5)

    def test_contexts_have_no_order_and_the_last_may_be_short(self):
        model, text, chunks = _small(), self.tokens(8), self.tokens(10)
        with torch.no_grad():
            given = model.decode(text, model.encode(chunks))
            turned = model.decode(text, torch.cat((model.encode(chunks[:, 8:]), model.encode(chunks[:, 4:8]),
                                                   model.encode(chunks[:, :4])), 1))
            without = model.decode(text, model.encode(chunks[:, :0]))
        self.assertLess(float((given - turned).abs().max()), 1e-5)
        self.assertGreater(float((given - without).abs().max()), 1e-3)

    def test_cross_attention_begins_as_self_attention_and_the_encoder_as_it_was_trained(self):
        model = _small(cross_layers=2)
        encoder = build(ModelArgs(architecture="mlm", dim=16, hidden_dim=24, n_layers=1, n_heads=2, vocab_size=50,
                                  max_seq_len=8))
        model.begin(encoder.state_dict())
        self.assertFalse(hasattr(model.model.layers[0], "cross_attn"))
        for block in model.model.layers[1:]:
            cross, own = block.cross_attn, block.attention
            for one, other in ((cross.q_proj, own.wq), (cross.o_proj, own.wo), (cross.layernorm, block.ffn_norm)):
                self.assertTrue(torch.equal(one.weight, other.weight))
            for one, other in ((cross.k_proj, own.wk), (cross.v_proj, own.wv)):
                self.assertTrue(torch.equal(one.weight, other.weight[:, :16]))
        for name, weight in model.encoder.state_dict().items():
            self.assertTrue(torch.equal(weight, encoder.state_dict()[f"model.{name}"]), name)

    def test_silent_cross_attention_changes_nothing_at_first(self):
        model, tokens = _small(), self.tokens(8)
        model.begin(silent=True)
        with torch.no_grad():
            states = model.encode(self.tokens(12))
            self.assertTrue(torch.equal(model.decode(tokens, states), model.decode(tokens, states[:, :0])))


class StagesTest(support.TrainerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.base = cls.scratch / "base"
        support.command("train", *support.TINY, "--data", cls.data, "--out", cls.base, "--steps", 20)
        cls.encoder = cls.scratch / "encoder"
        support.command("train", *support.TINY, *support.MLM, "--data", cls.data, "--out", cls.encoder, "--steps", 20)

    def finetune(self, name: str, base, *options):
        folder = self.scratch / name
        support.command("finetune", *support.TINY, "--data", self.data, "--base", base, "--out", folder, *options)
        return folder

    def warm_up(self, name: str, *options):
        return self.finetune(name, self.base, *_CEPE, "--encoder", self.encoder, "--duplicate", "--chunk", 8, "--steps", 6,
                             *options)

    def losses(self, run) -> list:
        return [r["loss"] for r in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if "loss" in r]

    def test_the_encoder_learns_what_stands_behind_masks(self):
        losses = self.losses(self.encoder)
        self.assertLess(losses[-1], losses[0])

    def test_masks_hide_three_tokens_of_ten_and_these_alone_are_judged(self):
        args = checkpoint.load_model(self.encoder)[0].args
        file, plain = MaskedTokens(self.data, "train", mask_token(args)), TokenFile(self.data, "train")
        masked = []
        for begin in range(0, 6400, 64):
            inputs, targets, _ = file.window(begin, 64)
            hidden = inputs == args.vocab_size
            self.assertTrue(numpy.array_equal(numpy.where(hidden, targets, inputs), plain.ids[begin:begin + 64]))
            self.assertTrue(numpy.array_equal(hidden, targets != IGNORED))
            masked.append(hidden.mean())
        self.assertAlmostEqual(float(numpy.mean(masked)), 0.3, delta=0.02)

    def test_from_a_frozen_llama_to_one_that_reads_contexts(self):
        warm = self.warm_up("warm")
        main = self.finetune("main", warm, "--no-duplicate", "--chunk", 16, "--contexts", 4, "--window", 96, "--steps", 6)
        first = checkpoint.load_model(self.base)[0].state_dict()
        before, after = (checkpoint.load_model(run)[0].state_dict() for run in (warm, main))
        for name, weight in first.items():
            for run in (before, after):
                self.assertTrue(torch.equal(weight, run[f"model.{name}"]), name)
        for name in set(after) - {f"model.{n}" for n in first}:
            self.assertFalse(torch.equal(before[name], after[name]), name)
        last = json.loads((main / "log.jsonl").read_text().splitlines()[-1])
        self.assertTrue({"given_0", "given_4", "shuffled_4", "foreign_4"} < set(last), last)
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            support.command("evaluate", "--run-folder", main, "--contexts", 0, 2, 4, "--samples", 3)
        self.assertEqual(len(told.getvalue().splitlines()), 1 + 3 + 3, told.getvalue())

    def test_a_teacher_adds_what_it_knows(self):
        alone = self.losses(self.warm_up("alone"))
        taught = self.warm_up("taught", "--teacher", self.base, "--kl-weight", 50, "--kl-top", 5)
        self.assertEqual(len(alone), len(self.losses(taught)))
        weights = [checkpoint.load_model(self.scratch / name)[0].state_dict() for name in ("alone", "taught")]
        self.assertFalse(torch.equal(*(w["encoder.norm.weight"] for w in weights)))

    def test_what_cannot_be_is_refused(self):
        main = ["--contexts", 2, "--window", 96, "--encoder", self.encoder]
        for sentence, options in (
                ("set encoder_dim", ["--duplicate"]), ("no contexts", ["--encoder", self.encoder]),
                ("--window", main[:2] + main[4:]),
                ("--chain", [*main, "--chain", 2]), ("--reading", [*main, "--reading", "stream"]),
                ("must divide", [*main, "--chunk", 7]), ("cross_layers", [*main, "--cross-layers", 3]),
                ("--kl-mode", [*main, "--kl-mode", "smooth_x"]), ("mlm", [*main[:4], "--encoder", self.base]),
                ("--ask-every", [*main, "--teacher", self.base, "--ask-every", 8]),
                ("need a split", ["--contexts", 10**6, *main[2:]]),
                ("option of architecture cepe", ["--architecture", "llama", *main[:4]]),
                ("extend_method", [*main, "--extend-method", "xpos"])):
            told = io.StringIO()
            with contextlib.redirect_stderr(told):
                code = support.train_main([str(a) for a in (
                    "finetune", *support.TINY, "--data", self.data, "--base", self.base, "--out", self.scratch / "no", *_CEPE,
                    *options)])
            self.assertEqual(code, 2, f"{options}: {told.getvalue()}")
            self.assertIn(sentence, told.getvalue())
            self.assertFalse((self.scratch / "no").exists(), options)
        for arguments in (["export", "--run-folder", self.encoder, "--format", "safetensors", "--out", self.scratch / "no"],
                          ["export", "--run-folder", self.base, "--format", "folder", "--out", self.scratch / "no"],
                          ["evaluate", "--run-folder", self.encoder], ["evaluate", "--run-folder", self.base, "--contexts", 1]):
            self.assertEqual(support.train_main([str(a) for a in arguments]), 2, arguments)


class ControlsTest(unittest.TestCase):
    """Of a model that gets a token right if its contexts hold it."""

    WINDOW = 8

    def model(self):
        model = types.SimpleNamespace(args=types.SimpleNamespace(chunk=4, max_seq_len=self.WINDOW), training=False,
                                      encode=lambda tokens: tokens, train=lambda _: None, eval=lambda: None)

        def decode(tokens, states):
            known = torch.zeros(1, len(tokens[0]), 1000)
            known[:, :, states[0]] = 10
            return known

        model.decode = decode
        return model

    def file(self, ids, answers=None):
        answers = numpy.zeros(len(ids), numpy.uint8) if answers is None else answers

        def window(begin, length):
            return ids[begin:begin + length], ids[begin + 1:begin + length + 1], answers[begin + 1:begin + length + 1]
        return types.SimpleNamespace(ids=ids, window=window, answers=answers)

    def test_what_is_known_from_contexts_is_known_shuffled_and_not_from_another_book(self):
        ids = numpy.concatenate((numpy.arange(400) % 5, 500 + numpy.arange(400) % 5))
        found = contexts.losses(self.model(), self.file(ids), (0, 3), 6, torch.device("cpu"))
        mean = {key: sum(values) / len(values) for key, values in found.items()}
        self.assertEqual(set(mean), {(0, "given"), (3, "given"), (3, "shuffled"), (3, "foreign")})
        self.assertLess(mean[3, "given"], 2)
        self.assertAlmostEqual(mean[3, "given"], mean[3, "shuffled"], delta=1e-5)
        self.assertGreater(mean[3, "foreign"], mean[0, "given"])

    def test_where_answers_are_marked_they_alone_are_judged(self):
        ids, answers = numpy.arange(800) % 5, (numpy.arange(800) % 40 == 3).astype(numpy.uint8)
        ids[answers == 1] = 900  # which no other token foretells but an answer before it
        found = contexts.losses(self.model(), self.file(ids, answers), (0, 12), 30, torch.device("cpu"))
        self.assertLess(len(found[12, "given"]), 15)
        self.assertGreater(len(found[12, "given"]), 2)
        self.assertLess(max(found[12, "given"]), 2)
        without = contexts.losses(self.model(), self.file(ids, answers), (2,), 30, torch.device("cpu"))
        self.assertGreater(min(without[2, "given"]), 6)

    def test_contexts_end_where_the_window_begins_and_shuffled_ones_are_in_another_order(self):
        file = self.file(numpy.arange(800))
        given, shuffled, foreign = (contexts._contexts(file, 100, 12, control)[0] for control in contexts.CONTROLS)
        self.assertEqual(given.tolist(), list(range(88, 100)))
        self.assertEqual(sorted(shuffled.tolist()), given.tolist())
        self.assertNotEqual(shuffled.tolist(), given.tolist())
        self.assertEqual(len(foreign), 12)
        self.assertGreater(int((foreign - given).abs().min()), 300)


if __name__ == "__main__":
    support.run()
