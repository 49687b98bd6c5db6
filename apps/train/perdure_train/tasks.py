# SPDX-License-Identifier: Apache-2.0
"""The tasks that texts are made into. A task takes the texts of one split and yields documents (documents.py)."""

import re

from .documents import BOS, EOS, Segment

# The most sentences of a paragraph that become one text to repeat.
_SENTENCES_PER_TEXT = 6


def running_text(texts):
    """Every text, a book say, is one document."""
    for text in texts:
        yield [BOS, Segment(text)]


def _short_texts(texts):
    """Paragraph by paragraph, a few sentences at a time: what can be repeated within reach of a small model."""
    for text in texts:
        for paragraph in text.split("\n"):
            sentences = re.findall(r"[^.!?]+[.!?]+[\"']*\s*", paragraph) or [paragraph]
            for i in range(0, len(sentences), _SENTENCES_PER_TEXT):
                short = "".join(sentences[i:i + _SENTENCES_PER_TEXT]).strip()
                if short:
                    yield short


def repeat(texts):
    """llama2Rnn's: a text, 'Repeat above.', the text again."""
    for short in _short_texts(texts):
        yield [BOS, Segment(short), EOS, Segment("Repeat above."), BOS, Segment(short, answer=True), EOS]


def reverse(texts):
    """llama2Rnn's: as repeat, but the tokens come back in the opposite order."""
    for short in _short_texts(texts):
        yield [BOS, Segment(short), EOS, Segment("Reverse above."), BOS, Segment(short, mark="reversed", answer=True), EOS]


TEXT_TASKS = {"text": running_text, "repeat": repeat, "reverse": reverse}
