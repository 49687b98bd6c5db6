#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of every text file: sources open with their licence, headers with their purpose, nobody writes an absolute path
of his own machine, no merge is left half done, README stays short enough to be read, and what api_hash.py generates is up
to date."""

import re

import api_hash
import tree

SOURCES = (".cpp", ".hpp", ".h", ".c", ".py", ".sh", ".cmake", ".yaml")
HEADERS = (".hpp", ".h")
SPDX = "SPDX-License-Identifier: Apache-2.0"
HOME_PATH = re.compile(r"""(?:^|["'(\s=:])/(?:home|root|tmp|work|Users|mnt)/""")
CONFLICT = re.compile(r"^(?:<{7}|>{7}|\|{7})(?: |$)")
README_LINES = 130


def first_lines_problem(name: str, lines) -> str:
    first = 1 if lines and lines[0].startswith("#!") else 0
    if len(lines) <= first or SPDX not in lines[first]:
        return f"the first line must be the licence: {SPDX}"
    if name.endswith(HEADERS) and (len(lines) < 3 or lines[1] != "" or not lines[2].startswith("//")):
        return "after the licence and an empty line a header says its purpose in a comment"
    return ""


def text_lines(file):
    """The lines of a text file; None for other files, which have zeros at their begin or no UTF-8."""
    with open(file, "rb") as opened:
        if b"\0" in opened.read(4096):
            return None
    try:
        return file.read_text().split("\n")
    except UnicodeDecodeError:
        return None


def violations(top):
    for relative in tree.files(top):
        path, name = str(relative), relative.name
        lines = text_lines(top / relative)
        if lines is None:
            continue
        for number, line in enumerate(lines, 1):
            if CONFLICT.match(line):
                yield path, number, "a conflict of a merge is left unresolved"
        if path.startswith(("tests/golden/", "tests/fuzz/corpus/", "models/")) or name == "LICENSE":
            continue
        if name.endswith(SOURCES) or name in ("CMakeLists.txt", "run"):
            problem = first_lines_problem(name, lines)
            if problem:
                yield path, 1, problem
        if not path.startswith("tests/"):
            for number, line in enumerate(lines, 1):
                if HOME_PATH.search(line):
                    yield path, number, "an absolute path of somebody's machine"
        if path == "README.md" and len(lines) > README_LINES + 1:
            yield path, len(lines), f"README.md has more than {README_LINES} lines"
    yield from api_hash.violations(top)


tree.report(list(violations(tree.root())), "source rules")
