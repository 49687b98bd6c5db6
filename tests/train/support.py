# SPDX-License-Identifier: Apache-2.0
"""What the tests of the trainer share: finding it, leaving by name without PyTorch, tiny data and runs."""

import os
import pathlib
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = TOP / "tests/golden/llama2rnn"
sys.path.insert(0, str(TOP / "apps/train"))
_SKIPPED = 77
try:
    import numpy  # noqa: F401
    import sentencepiece  # noqa: F401
    import torch
except ImportError as missing:
    print(f"skipped: {missing.name} is not installed (Debian: python3-torch python3-numpy python3-sentencepiece)")
    sys.exit(_SKIPPED)

from perdure_train.command_line import main as train_main  # noqa: E402

torch.set_num_threads(1)
TINY = ["--dim", "32", "--n-layers", "2", "--n-heads", "2", "--hidden-dim", "64", "--max-seq-len", "32", "--memseqlen", "8",
        "--batch", "4", "--accumulate", "1", "--threads", "1", "--device", "cpu", "--warmup", "2", "--learning-rate", "0.02",
        "--validation-batches", "1", "--log-every", "2"]
MLM = ["--architecture", "mlm", "--dim", 16, "--hidden-dim", 32, "--n-layers", 1]
MEMORY = ["--attention-type", "memory_attention"]


def command(*arguments) -> None:
    """Runs train.py's command in this process; fails if it does."""
    code = train_main([str(a) for a in arguments])
    if code != 0:
        raise AssertionError(f"train.py {' '.join(map(str, arguments))} ended with {code}")


class TrainerTest(unittest.TestCase):
    """Has a scratch folder, and in it `data`: a little generated text with a vocabulary of its own."""

    @classmethod
    def setUpClass(cls):
        cls._scratch = tempfile.TemporaryDirectory()
        cls.scratch = pathlib.Path(cls._scratch.name)
        cls.data = cls.scratch / "data"
        command("prepare", "--task", "repeat", "--documents", 200, "--held-out-documents", 20, "--vocab-size", 320,
                "--out", cls.data)

    @classmethod
    def tearDownClass(cls):
        cls._scratch.cleanup()

    def train(self, name: str, *options) -> pathlib.Path:
        folder = self.scratch / name
        command("train", *TINY, "--data", self.data, "--out", folder, *options)
        return folder


def program() -> str:
    return os.environ.get("PERDURE_PROGRAM", str(TOP / "build/release/bin/perdure"))


def run() -> None:
    unittest.main(module="__main__")
