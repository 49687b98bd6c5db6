# SPDX-License-Identifier: Apache-2.0
"""recall.py with the model that ships: what one process was told another one knows, and a reset memory does not."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

TOP = pathlib.Path(__file__).resolve().parents[2]
SEGMENT = 192
PROGRAM = os.environ.get("PERDURE_PROGRAM", str(TOP / "build/release/bin/perdure"))


def recall(*arguments):
    command = [sys.executable, TOP / "apps/train/recall.py", "--program", PROGRAM, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def shares(run) -> list:
    """[(tokens, % right, % right after a reset)], a distance each."""
    return [tuple(map(float, row)) for row in
            re.findall(r"^ +(\d+) tokens .*: ([\d.]+)% \S+ to \S+ right, ([\d.]+)% ", run.stdout, re.MULTILINE)]


class RecallTest(unittest.TestCase):
    def test_facts_outlive_the_process_and_not_a_reset(self):
        with tempfile.TemporaryDirectory() as scratch:
            picture = pathlib.Path(scratch, "recall.svg")
            run = recall(TOP / "configs/chat.yaml", "--words", 100, 600, "--samples", 16, "--svg", picture)
            self.assertEqual(run.returncode, 0, run.stderr)
            near, far = shares(run)
            self.assertLess(near[0], far[0])
            self.assertGreater(far[0], 4 * SEGMENT)
            for _, right, control in (near, far):
                self.assertGreaterEqual(right, 80, run.stdout)
                self.assertLessEqual(control, 20, run.stdout)
            self.assertTrue(xml.etree.ElementTree.parse(picture).getroot().tag.endswith("svg"))

    def test_it_is_the_memory_that_knows(self):
        run = recall(TOP / "configs/chat.yaml", "--words", 600, "--samples", 8, "--set", "attention.update=never")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertLessEqual(shares(run)[0][1], 20, run.stdout)

    def test_what_perdure_complains_of_is_handed_on(self):
        run = recall(TOP / "configs/nowhere.yaml", "--samples", 1)
        self.assertEqual(run.returncode, 1)
        self.assertIn("nowhere.yaml", run.stderr)


unittest.main()
