# SPDX-License-Identifier: Apache-2.0
"""What cannot be is refused: one sentence that names it, exit status 2, before anything is done."""

import contextlib
import io
import json
import struct
import subprocess
import sys

import support
import torch

# What is wrong, and a word of the sentence that says so.
_NUMBERS = {
    "--batch": "0", "--accumulate": "0", "--chain": "0 -1", "--steps": "0 -1 1.5 many", "--warmup": "-1", "--window": "-8",
    "--cooldown": "-5", "--validate-every": "0", "--log-every": "0", "--validation-batches": "0", "--checkpoint-seconds": "-1",
    "--threads": "-1", "--learning-rate": "-1 0 nan inf", "--weight-decay": "-1", "--clip": "0", "--answer-weight": "-1",
    "--seed": "-1", "--ask-every": "-8", "--distance": "-1"}
_MODEL = {
    "dim": "0 -32 33", "n_layers": "0", "n_heads": "0 5", "n_kv_heads": "-1 3", "hidden_dim": "-1", "multiple_of": "0",
    "memseqlen": "0 -8", "max_seq_len": "0", "dropout": "2 1 -0.1", "theta": "0 nan", "norm_eps": "0", "vocab_size": "-1",
    "attention_type": "none", "extend_method": "xpos0 memlayer9 selfExtend"}
_TRAIN = [
    ("--device", ["--device", "gpu"]), ("--device", ["--device", "cpu:x"]), ("--device", ["--device", "cuda:99"]),
    ("--chain", ["--reading", "dialogue", "--chain", 0]), ("--chain", ["--reading", "stream", "--chain", 2]),
    ("rotate must be the whole", ["--extend-method", "rotate_logn"]),
    ("multiple", ["--extend-method", "rotate", "--extend-seq-len", 48]),
    ("multiple", ["--extend-method", "PEClip", "--extend-seq-len", 48]),
    ("NTK-RoPE", ["--extend-method", "NTK-RoPE", "--n-heads", 16]), ("--extend-seq-len", ["--extend-seq-len", 16]),
    ("nowhere", ["--data", "nowhere"])]
_FINETUNE = [("--lora-rank", ["--lora-rank", 0]), ("--lora-rank", ["--lora-rank", -1]), ("--lora-alpha", ["--lora-alpha", 0]),
             ("no-base", ["--base", "no-base"])]
_PREPARE = [
    ("--held-out-documents", ["--held-out-documents", 0]), ("--documents", ["--documents", 0]), ("--seed", ["--seed", -1]),
    ("--sentences", ["--sentences", -1]), ("--distance", ["--distance", -1]), ("--vocab-size", ["--vocab-size", 0]),
    ("--vocab-size", ["--vocab-size", 5]), ("--source", ["--task", "dialogue", "--source", __file__]),
    ("--source", ["--validation", "Tale"]), ("--source", ["--exclude", "Tale"]), ("nowhere", ["--source", "nowhere"]),
    ("Tale", ["--source", __file__, "--test", "Tale"])]
_EVALUATE = [
    ("--samples", ["--samples", 0]), ("--samples", ["--samples", -1]), ("--lengths", ["--lengths", 0]),
    ("nowhere", ["--data", "nowhere"]),
    ("--lengths", ["--lengths", -5]), ("--lengths", ["--lengths", 255]), ("--lengths", ["--lengths", 256, 10**6]),
    ("--distances", ["--distances", -1]), ("--device", ["--device", "tpu"])]
_RECALL = [
    ("nowhere", ["--program", "nowhere"]), ("--svg", ["--svg", "nowhere/recall.svg"]), ("--svg", ["--svg", "."]),
    ("--words", ["--words", 0, "--svg", "recall.svg"]), ("--words", ["--words", -5]), ("--words", ["--words", 50, 20]),
    ("--words", ["--words", 50, 50]), ("--samples", ["--samples", 0])]


class RefusalsTest(support.TrainerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.out = cls.scratch / "no"
        cls.run_folder = cls.scratch / "run"
        support.command("train", *support.TINY, "--data", cls.data, "--out", cls.run_folder, "--steps", 1)

    def assert_refused(self, what: str, *arguments):
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            try:
                code = support.train_main([str(a) for a in arguments])
            except SystemExit as end:
                code = end.code
        self.assert_one_sentence(what, code, told.getvalue(), arguments)

    def assert_one_sentence(self, what: str, code: int, told: str, arguments):
        self.assertEqual(code, 2, f"{arguments}: {told}")
        self.assertIn(what.replace("-", "_"), told.replace("-", "_"), arguments)
        self.assertEqual(told.count("\n"), 1, told)

    def train_with(self, *wrong):
        return ["train", *support.TINY, "--data", self.data, "--out", self.out, "--steps", 1, *wrong]

    def finetune_with(self, *wrong):
        return ["finetune", "--data", self.data, "--out", self.out, "--steps", 1, "--base", self.run_folder, *wrong]

    def copy_of_the_run(self, name: str):
        folder = self.scratch / "copy"
        folder.mkdir(exist_ok=True)
        for file in ("run.json", "checkpoint.pt"):
            (folder / file).write_bytes((self.run_folder / file).read_bytes())
        return folder / name

    def readers(self, folder):
        """Commands that read a run folder."""
        yield "export", "--run-folder", folder, "--format", "v0", "--out", self.out
        yield "evaluate", "--run-folder", folder
        yield from [self.finetune_with("--base", folder), self.train_with("--out", folder)]

    def test_options(self):
        for option, values in _NUMBERS.items():
            for value in values.split():
                self.assert_refused(option, *self.train_with(option, value))
                self.assert_refused(option, *self.finetune_with(option, value))
        for name, values in _MODEL.items():
            for value in values.split():
                self.assert_refused(name, *self.train_with("--" + name.replace("_", "-"), value))
        for what, wrong in _TRAIN:
            self.assert_refused(what, *self.train_with(*wrong))
        for what, wrong in _FINETUNE:
            self.assert_refused(what, *self.finetune_with(*wrong))
        for what, wrong in _PREPARE:
            self.assert_refused(what, "prepare", "--out", self.out, *wrong)
        for what, wrong in _EVALUATE:
            self.assert_refused(what, "evaluate", "--run-folder", self.run_folder, *wrong)
        for size in (0, -3):
            self.assert_refused("--group-size", "export", "--run-folder", self.run_folder, "--format", "v2", "--out", self.out,
                                "--group-size", size)

    def test_what_is_refused_leaves_no_folder(self):
        none = self.scratch / "none"
        self.assert_refused("--device", *self.train_with("--device", "cuda:99", "--out", none))
        self.assert_refused("nowhere", "prepare", "--out", none, "--tokenizer", self.scratch / "nowhere")
        self.assertFalse(none.exists())

    def test_a_book_in_two_splits(self):
        for other in ("--test", "--exclude"):
            self.assert_refused("'refusals_test' is named by two", "prepare", "--out", self.out, "--source", __file__,
                                "--validation", "refusals_test", other, "refusals_test")

    def test_data_folders(self):
        folder = self.scratch / "broken"
        folder.mkdir()
        for name in ("train.bin", "train.answer"):
            (folder / name).write_bytes((self.data / name).read_bytes())
        for text in ("{}", "[]", '{"vocab_size": "many"}', '{"vocab_size": 0}', "junk", ""):
            (folder / "data.json").write_text(text)
            self.assert_refused(str(folder), *self.train_with("--data", folder))

    def test_run_folders(self):
        about = json.loads((self.run_folder / "run.json").read_text())
        for wrong in ([], {}, {"model": about["model"]}, {**about, "training": []}, {**about, "model": {"wheels": 4}},
                      {**about, "model": {**about["model"], "dim": "32"}}):
            self.copy_of_the_run("run.json").write_text(json.dumps(wrong))
            for command in self.readers(self.scratch / "copy"):
                self.assert_refused("run.json", *command)
            self.assert_refused("run.json", "export", "--run-folder", self.scratch / "copy", "--format", "tokenizer", "--out",
                                self.out)
        whole = (self.run_folder / "checkpoint.pt").read_bytes()
        for damaged in (b"", b"junk", whole[:len(whole) // 2]):
            self.copy_of_the_run("checkpoint.pt").write_bytes(damaged)
            for command in self.readers(self.scratch / "copy"):
                self.assert_refused("checkpoint.pt", *command)
        for state in ([], {}, {"model": {}}):
            torch.save(state, self.copy_of_the_run("checkpoint.pt"))
            for command in self.readers(self.scratch / "copy"):
                self.assert_refused("checkpoint.pt", *command)

    def test_tokenizers(self):
        junk = self.scratch / "junk.model"
        junk.write_bytes(b"junk" * 100)
        for wrong in (junk, self.scratch, self.scratch / "nowhere"):
            self.assert_refused(str(wrong), "prepare", "--out", self.out, "--tokenizer", wrong)

    def test_bases(self):
        junk, v0 = self.scratch / "junk.bin", self.scratch / "v0.bin"
        support.command("export", "--run-folder", self.run_folder, "--format", "v0", "--out", v0)
        whole = v0.read_bytes()
        enormous = struct.pack("<7i", *[1 << 30] * 7) + bytes(300)
        for data in (b"", b"junk" * 100, whole[:-4], whole + b"more", bytes(300), enormous):
            junk.write_bytes(data)
            self.assert_refused("junk.bin is neither a llama2.c checkpoint", *self.finetune_with("--base", junk))
        for data in (b"", b"junk" * 100, struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 9) + b'{"a": []}'):
            (self.scratch / "junk.safetensors").write_bytes(data)
            self.assert_refused("no safetensors file", *self.finetune_with("--base", self.scratch / "junk.safetensors"))
        good = self.scratch / "good.safetensors"
        support.command("export", "--run-folder", self.run_folder, "--format", "safetensors", "--out", good)
        for text in ("[]", '{"args": []}', '{"args": {"dim": "many"}}', '{"args": {"dim": 0}}'):
            good.with_suffix(".json").write_text(text)
            self.assert_refused("does not hold the options", *self.finetune_with("--base", good))

    def script(self, name: str, *arguments):
        command = [sys.executable, support.TOP / "apps/train" / name, *arguments]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, cwd=self.scratch)

    def test_recall(self):
        for what, wrong in _RECALL:
            run = self.script("recall.py", "chat.yaml", *wrong)
            self.assert_one_sentence(what, run.returncode, run.stderr, wrong)
            self.assertEqual(run.stdout, "")

    def test_recall_with_another_program(self):
        run = self.script("recall.py", "chat.yaml", "--program", "true", "--words", 20, "--samples", 1)
        self.assertEqual((run.returncode, run.stderr.count("\n")), (1, 1))
        self.assertIn("true does not answer", run.stderr)

    def test_fresh(self):
        tokenizer, junk = self.data / "tokenizer.bin", self.scratch / "junk.bin"
        junk.write_bytes(b"junk" * 100)
        (self.scratch / "empty.bin").write_bytes(b"")
        for what, wrong in (("nowhere", ["nowhere", 5]), ("junk.bin", [junk, 5]), ("empty.bin", ["empty.bin", 5]),
                            (str(self.scratch), [self.scratch, 5]), ("documents", [tokenizer, -1]),
                            ("--sentences", [tokenizer, 5, "--sentences", -1]), ("'['", [tokenizer, 5, "--task", "dialogue"])):
            run = self.script("fresh.py", *wrong)
            self.assert_one_sentence(what, run.returncode, run.stderr, wrong)

    def test_fresh_ends_quietly_when_its_reader_has_enough(self):
        command = [sys.executable, support.TOP / "apps/train/fresh.py", self.data / "tokenizer.bin", 3000]
        with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as fresh:
            self.assertTrue(fresh.stdout.readline())
            fresh.stdout.close()
            self.assertEqual(fresh.stderr.read(), "")
        self.assertEqual(fresh.returncode, 0)


support.run()
