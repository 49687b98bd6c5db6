# SPDX-License-Identifier: Apache-2.0
"""A run is a function of its options and its seed, wherever it was interrupted."""

import json
import os
import signal
import subprocess
import sys
import time

import support
import torch
from perdure_train import checkpoint

_RUN = [*support.MEMORY, "--steps", 30, "--chain", 3, "--dropout", 0.1, "--accumulate", 2, "--validate-every", 10]


class ResumeTest(support.TrainerTest):
    def weights(self, folder):
        return checkpoint.load(folder)["model"]

    def assert_same(self, one, other):
        self.assertEqual(one.keys(), other.keys())
        for name in one:
            self.assertTrue(torch.equal(one[name], other[name]), name)

    def command_line(self, folder):
        options = [*support.TINY, *_RUN, "--data", self.data, "--out", folder]
        return [sys.executable, str(support.TOP / "apps/train/train.py"), "train", *map(str, options)]

    def kill_at(self, folder, step: int, number) -> int:
        """Starts a run, sends it the signal when its log shows `step`; returns the step of its checkpoint."""
        process = subprocess.Popen(self.command_line(folder) + ["--checkpoint-seconds", "0"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        log = folder / "log.jsonl"
        while process.poll() is None and not (log.exists() and f'"step": {step},' in log.read_text()):
            time.sleep(0.01)
        process.send_signal(number)
        process.wait()
        return checkpoint.load(folder)["step"]

    def test_a_run_that_was_killed_twice_ends_as_one_that_was_not(self):
        whole = self.train("whole", *_RUN)
        broken = self.scratch / "broken"
        self.kill_at(broken, 4, signal.SIGKILL)
        stopped = self.kill_at(broken, 10, signal.SIGTERM)
        self.assertLess(stopped, 30)
        self.train("broken", *_RUN)
        self.assert_same(self.weights(whole), self.weights(broken))
        losses = [[(r["step"], r.get("loss"), r.get("validation_loss"))
                   for r in map(json.loads, (folder / "log.jsonl").read_text().splitlines())][-6:] for folder in (whole, broken)]
        self.assertEqual(*losses)
        self.assertIn("<polyline", (broken / "loss.svg").read_text())

    def test_seeds_reproduce_and_matter(self):
        runs = [self.weights(self.train(f"seed{i}", "--steps", 6, "--seed", seed)) for i, seed in enumerate((5, 5, 6))]
        self.assert_same(runs[0], runs[1])
        self.assertFalse(torch.equal(runs[0]["norm.weight"], runs[2]["norm.weight"]))

    def test_a_half_written_checkpoint_is_not_read(self):
        run = self.train("torn", "--steps", 4)
        (run / "checkpoint.pt.new").write_bytes(b"half")
        self.assertEqual(checkpoint.load(run)["step"], 4)

    def test_other_options_are_refused_in_an_old_folder(self):
        run = self.train("old", "--steps", 4)
        options = [*support.TINY, "--data", self.data, "--out", run, "--steps", 4, "--learning-rate", 0.5]
        self.assertEqual(support.train_main(["train", *map(str, options)]), 2)

    def test_carrying_memory_without_neighbouring_windows_is_refused(self):
        options = [*support.TINY, *support.MEMORY, "--data", self.data, "--out", self.scratch / "no", "--update-memory"]
        self.assertEqual(support.train_main(["train", *map(str, options)]), 2)

    def test_a_cool_down_can_be_asked_for(self):
        folder = self.scratch / "cool"
        os.mkdir(folder)
        (folder / "cooldown").write_text("6\n")
        self.train("cool", "--steps", 100, "--schedule", "stable", "--cooldown", 5)
        self.assertEqual(checkpoint.load(folder)["step"], 11)
        last = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        self.assertLess([r["learning_rate"] for r in last if "loss" in r][-1], 0.02 / 4)


support.run()
