# SPDX-License-Identifier: Apache-2.0
"""What tasks hand to `prepare`: documents as lists of segments."""

import dataclasses

BOS_MARK, EOS_MARK = "bos", "eos"


@dataclasses.dataclass(frozen=True)
class Segment:
    """A piece of text that is tokenised by itself, or a mark. `answer`: its tokens are what the document asks for."""

    text: str = ""
    mark: str = ""
    answer: bool = False


BOS, EOS = Segment(mark=BOS_MARK), Segment(mark=EOS_MARK)


def as_text(document) -> str:
    """What a person reads: marks left out."""
    return " ".join(s.text for s in document if s.text)
