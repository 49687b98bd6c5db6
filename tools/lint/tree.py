# SPDX-License-Identifier: Apache-2.0
"""What the lints share: the files of the tree, comments taken out, and the way violations are reported."""

import os
import pathlib
import re
import sys

SKIPPED_FOLDERS = {".git", "build", "node_modules", "__pycache__"}


def root() -> pathlib.Path:
    """The tree to look at: the first argument, or the one this file lies in."""
    if len(sys.argv) > 1:
        return pathlib.Path(sys.argv[1]).resolve()
    return pathlib.Path(__file__).resolve().parents[2]


def files(top: pathlib.Path, *suffixes: str):
    """Relative paths of all files with one of the suffixes (none given: all), sorted."""
    found = []
    for folder, folders, names in os.walk(top):
        folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS]
        found += [pathlib.Path(folder, n).relative_to(top) for n in names if n != ".git" and (not suffixes or n.endswith(suffixes))]
    return sorted(found)


_TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|R"\((?:.*?)\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.S)


def without_comments(text: str) -> str:
    """C++ source with comments blanked; line numbers stay."""

    def blank(match):
        token = match.group(0)
        return re.sub(r"[^\n]", " ", token) if token.startswith("/") else token

    return _TOKEN.sub(blank, text)


def report(violations, what: str) -> None:
    """Prints `path:line: sentence` for each and ends the lint: 0 if there are none, else 1."""
    for path, line, sentence in violations:
        print(f"{path}:{line}: {sentence}")
    if violations:
        print(f"{what}: {len(violations)} violation(s)")
    sys.exit(1 if violations else 0)
