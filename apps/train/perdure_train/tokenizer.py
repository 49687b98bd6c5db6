# SPDX-License-Identifier: Apache-2.0
"""The sentencepiece vocabulary: trained as llama2.c does, written as tokenizer.bin, and text to ids."""

import io
import pathlib
import struct

import numpy
import sentencepiece

from .errors import UsageError
from .files import write_atomically

BOS, EOS = 1, 2
_NEVER_MERGED = -1e9  # a score
SPACE = "\u2581"
# Characters rarer than 1 in 5,000 are written in bytes; a vocabulary of 1,024 pieces has better use for its places.
_COVERAGE = 0.9998


def train(lines, vocab_size: int, folder: pathlib.Path, few_words: bool = False) -> None:
    """Learns byte pairs from `lines` and writes tokenizer.model and tokenizer.bin into `folder`.

    `few_words`: the text may have too few for the vocabulary, which is then smaller."""
    model = io.BytesIO()  # not a path, which the model would name for ever
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=model, model_type="bpe",
            vocab_size=vocab_size, character_coverage=_COVERAGE, byte_fallback=True, split_digits=True,
            allow_whitespace_only_pieces=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
            hard_vocab_limit=not few_words, num_threads=1, max_sentence_length=1 << 20,
            input_sentence_size=200_000, shuffle_input_sentence=True, minloglevel=2)
    except RuntimeError as error:
        raise UsageError(f"no tokenizer of {vocab_size} pieces can be learnt from this text ({error}); "
                         "choose another --vocab-size") from None
    write_atomically(folder / "tokenizer.model", lambda file: file.write(model.getvalue()))
    write_tokenizer_bin(folder / "tokenizer.model", folder / "tokenizer.bin")


def _open(model: pathlib.Path):
    try:
        if model.is_file():  # of a folder sentencepiece makes an abort
            return sentencepiece.SentencePieceProcessor(model_file=str(model))
    except (OSError, RuntimeError):
        pass
    raise UsageError(f"{model} is no tokenizer of sentencepiece; name a tokenizer.model that prepare wrote")


def write_tokenizer_bin(model: pathlib.Path, out: pathlib.Path) -> None:
    """llama2.c's file: u32 longest piece, then per piece f32 score, i32 length, bytes."""
    pieces = _open(model)
    records = []
    for i in range(pieces.vocab_size()):
        text = {BOS: "\n<s>\n", EOS: "\n</s>\n"}.get(i, pieces.id_to_piece(i)).replace(SPACE, " ")
        records.append((pieces.get_score(i), text.encode()))

    def write_pieces(file):
        file.write(struct.pack("<I", max(len(text) for _, text in records)))
        for score, text in records:
            file.write(struct.pack("<fi", score, len(text)) + text)

    write_atomically(out, write_pieces)


def add_piece(source: pathlib.Path, out: pathlib.Path, text: str) -> None:
    """A tokenizer.bin with a piece more, the last one, that no text is made into."""
    data, piece = source.read_bytes(), text.encode()
    longest = max(struct.unpack_from("<I", data)[0], len(piece))
    record = struct.pack("<fi", _NEVER_MERGED, len(piece)) + piece
    write_atomically(out, lambda file: file.write(struct.pack("<I", longest) + data[4:] + record))


class Tokenizer:
    """Text to the ids that perdure makes of it."""

    def __init__(self, model: pathlib.Path):
        self._pieces = _open(model)
        self._newline = self._pieces.piece_to_id("<0x0A>")

    @property
    def vocab_size(self) -> int:
        return self._pieces.vocab_size()

    def encode(self, text: str) -> list:
        """Without BOS and EOS. Line by line, since sentencepiece is slow on long ones: no piece holds a line break."""
        first, *rest = text.split("\n")
        ids = self._pieces.encode(first)
        for line in self._pieces.encode(["\n" + line for line in rest]):
            ids += line[line.index(self._newline):]  # without the space that opens every text
        return ids

    def decode(self, ids) -> str:
        return self._pieces.decode([int(i) for i in ids])


def token_type(vocab_size: int):
    """The type of the ids in token files."""
    return numpy.uint16 if vocab_size <= 1 << 16 else numpy.int32
