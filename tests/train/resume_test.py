# SPDX-License-Identifier: Apache-2.0
"""A run is a function of its options and its seed, wherever it was interrupted."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from unittest import mock

import support
import torch
from perdure_train import checkpoint, loop, progress

_RUN = [*support.MEMORY, "--steps", 30, "--chain", 3, "--dropout", 0.1, "--accumulate", 2, "--validate-every", 10]
_SEGMENTS = ["--architecture", "rmt", "--num-mem-tokens", 3, "--steps", 30, "--chain", 4, "--segments", 4, "--segments-grow", 16,
             "--vary-segments", "--replay", "--dropout", 0.1, "--accumulate", 2, "--validate-every", 10]
_MASKED = ["--architecture", "mlm", "--steps", 30, "--dropout", 0.1, "--accumulate", 2, "--validate-every", 10]
_CONTEXTS = ["--architecture", "cepe", "--encoder-dim", 16, "--encoder-layers", 1, "--encoder-heads", 2, "--contexts", 2,
             "--window", 96, *_MASKED[2:]]
_CONVERSATIONS = [*_RUN, "--reading", "dialogue", "--distance", 10, "--ask-every", 16]
# Raises a signal in its own process as soon as a step is done: arguments are where the trainer lies, the step, the signal,
# and the trainer's own.
_KILLED = """
import os, sys
folder, step, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sys.path.insert(0, folder)
from perdure_train import command_line, progress
log = progress.Progress.step
def step_and_kill(self, done, *rest):
    log(self, done, *rest)
    if done == step:
        os.kill(os.getpid(), number)
progress.Progress.step = step_and_kill
sys.exit(command_line.main(sys.argv[4:]))
"""


class ResumeTest(support.TrainerTest):
    def weights(self, folder):
        return checkpoint.load(folder)["model"]

    def assert_same(self, one, other):
        self.assertEqual(one.keys(), other.keys())
        for name in one:
            self.assertTrue(torch.equal(one[name], other[name]), name)

    def kill_at(self, folder, run, step: int, number) -> int:
        """A run in a process of its own that gets the signal behind `step`; returns the step of its checkpoint."""
        options = [*support.TINY, *run, "--data", self.data, "--out", folder, "--checkpoint-seconds", 0]
        subprocess.run([sys.executable, "-c", _KILLED, str(support.TOP / "apps/train"), str(step), str(int(number)),
                        "train", *map(str, options)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return checkpoint.load(folder)["step"]

    def assert_killed_twice_it_ends_the_same(self, run):
        whole, broken = self.scratch / "whole", self.scratch / "broken"
        shutil.rmtree(whole, ignore_errors=True)
        shutil.rmtree(broken, ignore_errors=True)
        self.train("whole", *run)
        self.assertEqual(self.kill_at(broken, run, 4, signal.SIGKILL), 3)
        self.assertEqual(self.kill_at(broken, run, 11, signal.SIGTERM), 11)  # between two lines of the log
        self.train("broken", *run)
        self.assert_same(self.weights(whole), self.weights(broken))
        losses = [[(r["step"], r.get("loss"), r.get("validation_loss"))
                   for r in map(json.loads, (folder / "log.jsonl").read_text().splitlines())] for folder in (whole, broken)]
        self.assertEqual(*losses)
        self.assertIn("<polyline", (broken / "loss.svg").read_text())

    def test_a_run_that_was_killed_twice_ends_as_one_that_was_not(self):
        self.assert_killed_twice_it_ends_the_same(_RUN)

    def test_conversations_go_on_likewise(self):
        self.assert_killed_twice_it_ends_the_same(_CONVERSATIONS)

    def test_segments_that_grow_go_on_likewise(self):
        self.assert_killed_twice_it_ends_the_same(_SEGMENTS)

    def test_encoders_and_models_with_contexts_go_on_likewise(self):
        for run in (_MASKED, _CONTEXTS):
            self.assert_killed_twice_it_ends_the_same(run)

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

    def test_a_resumed_run_tells_the_speed_of_its_own_steps(self):
        clock = iter(range(100))
        with mock.patch.object(progress.time, "monotonic", lambda: next(clock)):
            told = progress.Progress(self.scratch, 7, lambda step: 100 * step, 4, (9.0, 3))  # three steps of another process are not logged yet
            told.step(8, 100, 1.0, 0.02)
            told.close()
        record = json.loads((self.scratch / "log.jsonl").read_text())
        self.assertEqual((record["loss"], record["tokens_per_second"], record["seconds"]), (2.5, 100, 1))

    def test_a_cool_down_can_be_asked_for(self):
        folder = self.scratch / "cool"
        os.mkdir(folder)
        (folder / "cooldown").write_text("6\n")
        self.train("cool", "--steps", 100, "--schedule", "stable", "--cooldown", 5)
        self.assertEqual(checkpoint.load(folder)["step"], 11)
        last = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        self.assertLess([r["learning_rate"] for r in last if "loss" in r][-1], 0.02 / 4)

    def cooled_down(self, name: str, text: str, *options):
        """The log of a run that finds a file `cooldown` behind step 8, and what is in the file at the end."""
        folder, step = self.scratch / name, loop.Trainer.step

        def step_and_ask(trainer):
            result = step(trainer)
            if trainer.steps_done == 8:
                (folder / "cooldown").write_text(text)
            return result

        with mock.patch.object(loop.Trainer, "step", step_and_ask):
            self.train(name, "--schedule", "stable", "--log-every", 1, *options)
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        return log, (folder / "cooldown").read_text()

    def test_a_cool_down_from_a_step_that_has_passed_begins_now(self):
        for i, text in enumerate(("2", "", "8")):
            log, left = self.cooled_down(f"passed{i}", text, "--steps", 100, "--cooldown", 4)
            rates = [r["learning_rate"] for r in log if "loss" in r]
            self.assertEqual(len(rates), 12)
            self.assertEqual(rates[7:], [0.02 * share for share in (1, 1, 0.75, 0.5, 0.25)])
            self.assertEqual(left.strip(), "8")
            self.assertEqual((log[-1]["step"], "validation_loss" in log[-1]), (12, True))

    def test_a_cool_down_that_nobody_understands_is_told_once_and_ignored(self):
        for i, text in enumerate(("-5", "soon", "1.5")):
            told = io.StringIO()
            with contextlib.redirect_stderr(told):
                log, left = self.cooled_down(f"odd{i}", text, "--steps", 12, "--cooldown", 2)
            self.assertEqual((log[-1]["step"], left), (12, text))
            self.assertEqual(told.getvalue().count("is ignored"), 1)

    def test_the_shortest_runs_have_a_cool_down(self):
        self.train("short", "--steps", 2, "--schedule", "stable")


support.run()
