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
PROGRAM = os.environ.get("PERDURE_PROGRAM", str(TOP / "build/release/bin/perdure"))


def recall(*arguments):
    command = [sys.executable, TOP / "apps/train/recall.py", "--program", PROGRAM, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


class RecallTest(unittest.TestCase):
    def test_facts_outlive_the_process_and_not_a_reset(self):
        with tempfile.TemporaryDirectory() as scratch:
            picture = pathlib.Path(scratch, "recall.svg")
            run = recall(TOP / "configs/chat.yaml", "--words", 20, 100, "--samples", 12, "--svg", picture)
            self.assertEqual(run.returncode, 0, run.stderr)
            rows = re.findall(r"^ +(\d+) tokens .*: ([\d.]+)% \S+ to \S+ right, ([\d.]+)% ", run.stdout, re.MULTILINE)
            self.assertEqual(len(rows), 2, run.stdout)
            self.assertLess(int(rows[0][0]), int(rows[1][0]))
            for _, right, control in rows:
                self.assertGreaterEqual(float(right), 80, run.stdout)
                self.assertLessEqual(float(control), 20, run.stdout)
            self.assertTrue(xml.etree.ElementTree.parse(picture).getroot().tag.endswith("svg"))

    def test_what_perdure_complains_of_is_handed_on(self):
        run = recall(TOP / "configs/nowhere.yaml", "--samples", 1)
        self.assertEqual(run.returncode, 1)
        self.assertIn("nowhere.yaml", run.stderr)


unittest.main()
