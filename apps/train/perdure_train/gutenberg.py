# SPDX-License-Identifier: Apache-2.0
"""From a file of Project Gutenberg to the book alone: one line per paragraph."""

import re

_START = re.compile(r"\*\*\*\s*START OF (?:THE|THIS) PROJECT GUTENBERG EBOOK.*?\*\*\*", re.S | re.I)
_END = re.compile(r"^\s*(?:\*\*\*\s*END OF (?:THE|THIS) PROJECT GUTENBERG|End of (?:the )?Project Gutenberg)",
                  re.M | re.I)
# Paragraphs of those who made the file, not of the book.
_CREDITS = re.compile(r"project gutenberg|^\s*\[?(?:produced by|transcribed (?:by|from)|transcriber|illustration)", re.I)
# Small vocabularies have no room for two ways of writing the same mark.
_PLAIN = str.maketrans({"\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'", "\u2014": "--", "\u2013": "-",
                        "\u00a0": " ", "\ufeff": None, "_": None})


def strip_head_and_foot(text: str) -> str:
    """What stands between the START and the END line; a text without them is returned whole."""
    start = _START.search(text)
    if start:
        text = text[start.end():]
    end = _END.search(text)
    return text[:end.start()] if end else text


def join_lines(text: str) -> str:
    """Hard line breaks become spaces; paragraphs, which blank lines part, become lines."""
    paragraphs = (" ".join(p.split()) for p in re.split(r"\n\s*\n", text.replace("\r\n", "\n")))
    return "\n".join(p for p in paragraphs if p)


def clean_book(text: str) -> str:
    """The whole way: head, foot and credits taken out, lines joined, typographic marks made plain."""
    paragraphs = join_lines(strip_head_and_foot(text).translate(_PLAIN)).split("\n")
    return "\n".join(p for p in paragraphs if not _CREDITS.search(p)) + "\n"
