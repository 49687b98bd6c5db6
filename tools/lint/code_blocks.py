#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Executes the ```bash blocks of Markdown files, each in a folder of its own that looks like a clone: code_blocks.py FILE...
Blocks in other languages (text, yaml, c) are not executed. HOME is a scratch folder, and the program's folder is in PATH."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.M | re.S)
# What blocks may read; everything they write stays in the scratch folder.
SHOWN = ["apps", "build", "configs", "core", "docs", "examples", "models", "plugins", "run", "sdk", "tests", "tools"]
TIMEOUT_SECONDS = 300


def run_block(script: str, where: str) -> bool:
    with tempfile.TemporaryDirectory() as scratch:
        for name in SHOWN:
            if (TOP / name).exists():
                os.symlink(TOP / name, pathlib.Path(scratch, name))
        environment = dict(os.environ, HOME=scratch, PATH=f"{TOP}/build/release/bin:{os.environ['PATH']}")
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=scratch, env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=TIMEOUT_SECONDS, errors="replace")
    print(f"{where}: {'ok' if done.returncode == 0 else f'FAILED with exit code {done.returncode}'}")
    if done.returncode != 0:
        print(script + "--- its output:\n" + done.stdout)
    return done.returncode == 0


def main() -> int:
    results = []
    for path in sys.argv[1:]:
        text = pathlib.Path(path).read_text()
        for match in BLOCK.finditer(text):
            where = f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
            results.append(run_block(match.group(1), where))
    print(f"{sum(results)} of {len(results)} code blocks ran")
    return 0 if all(results) else 1


sys.exit(main())
