# SPDX-License-Identifier: Apache-2.0
"""Files that the trainer writes: a reader of the old one never sees the new one's bytes, nor half a file."""

import os
import pathlib
import tempfile
import unittest

import support  # noqa: F401  finds perdure_train
import torch
from perdure_train import safetensors
from perdure_train.files import write_atomically


class FilesTest(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.path = pathlib.Path(self._folder.name) / "model.safetensors"

    def test_an_export_over_a_model_that_is_in_use_leaves_it_as_it_was(self):
        safetensors.write(self.path, {"a": torch.zeros(4)})
        with open(self.path, "rb") as in_use:
            before = os.fstat(in_use.fileno())
            safetensors.write(self.path, {"a": torch.ones(8)})
            after = os.fstat(in_use.fileno())
            self.assertEqual((before.st_size, before.st_mtime_ns), (after.st_size, after.st_mtime_ns))
        self.assertEqual(safetensors.read(self.path)["a"].tolist(), [1.0] * 8)

    def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(self):
        self.path.write_bytes(b"old")

        def fail(file):
            file.write(b"half")
            raise RuntimeError("no")

        self.assertRaises(RuntimeError, write_atomically, self.path, fail)
        self.assertEqual(self.path.read_bytes(), b"old")
        self.assertEqual([p.name for p in self.path.parent.iterdir()], [self.path.name])

    def test_files_are_readable_as_the_umask_allows(self):
        before = os.umask(0o022)
        try:
            write_atomically(self.path, lambda file: None)
        finally:
            os.umask(before)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o644)


if __name__ == "__main__":
    unittest.main()
