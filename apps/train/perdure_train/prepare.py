# SPDX-License-Identifier: Apache-2.0
"""`prepare`: texts or generators -> splits -> vocabulary -> token files.

A data folder holds tokenizer.model, tokenizer.bin, data.json and for each split SPLIT.txt (what a person reads),
SPLIT.bin (token ids) and SPLIT.answer (one byte per token: 1 where the document wants an answer)."""

import itertools
import json
import pathlib
import random
from collections import Counter

import numpy

from . import segments, tokenizer
from .documents import BOS_MARK, EOS_MARK, as_text
from .errors import UsageError
from .generators import GENERATORS, sentences
from .gutenberg import clean_book
from .tasks import TEXT_TASKS

SPLITS = ("train", "validation", "test")
# Documents the vocabulary is learnt from; more of a generated text says nothing new.
_VOCABULARY_DOCUMENTS = 20_000


def prepare(options) -> None:
    """`options`: the parsed command line of `prepare`."""
    out = pathlib.Path(options.out)
    if options.task == "segments":
        _refuse_books(options)
        _make_tokenizer(options, out, **segments.VOCABULARY)
        segments.write_data(options)
        return
    splits = _split_documents(options)
    lines = (line for document in itertools.islice(splits["train"](), _VOCABULARY_DOCUMENTS)
             for segment in document for line in segment.text.split("\n") if line)
    _make_tokenizer(options, out, lines, options.vocab_size, few_words=not options.source)
    pieces = tokenizer.Tokenizer(out / "tokenizer.model")
    about = {"task": options.task, "seed": options.seed, "vocab_size": pieces.vocab_size, "tokens": {}}
    for split in SPLITS:
        about["tokens"][split] = _write_split(out, split, splits[split](), pieces)
        print(f"{split}: {about['tokens'][split]:,} tokens")
    (out / "data.json").write_text(json.dumps(about, indent=1) + "\n")


def _make_tokenizer(options, out: pathlib.Path, lines, vocab_size: int, few_words: bool) -> None:
    """The one that is named, or one learnt from `lines`."""
    if options.tokenizer:
        _copy_tokenizer(pathlib.Path(options.tokenizer), out)
        return
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.train(lines, vocab_size, out, few_words=few_words)


def _refuse_books(options) -> None:
    if options.source:
        raise UsageError(f"--task {options.task} is made by rule and reads no --source; leave one of the two out")


def _split_documents(options) -> dict:
    """For each split a function that yields its documents, the same ones every time."""
    if options.task in GENERATORS:
        _refuse_books(options)
    if not options.source and (options.validation or options.test or options.exclude):
        raise UsageError("--validation, --test and --exclude name books; name their folder with --source")
    counts = {s: options.documents if s == "train" else options.held_out_documents for s in SPLITS}

    def generated(make, *more):
        return {s: lambda s=s: make(s, counts[s], random.Random(f"{options.seed} {s}"), *more) for s in SPLITS}

    if options.task in GENERATORS:
        return generated(GENERATORS[options.task], options.distance)
    if options.source:
        books = _read_books(options)
        texts = {s: lambda s=s: iter(books[s]) for s in SPLITS}
    else:
        texts = generated(sentences, options.sentences)
    return {s: lambda s=s: TEXT_TASKS[options.task](texts[s]()) for s in SPLITS}


def _read_books(options) -> dict:
    """The cleaned texts of all sources by split; held-out books by name."""
    files = []
    for source in map(pathlib.Path, options.source):
        if not source.exists():
            raise UsageError(f"{source} does not exist; --source takes text files and folders of them")
        files += sorted(source.glob("*.txt")) if source.is_dir() else [source]
    held = {"validation": options.validation, "test": options.test}
    names = {f.stem for f in files}
    for name in itertools.chain(options.validation, options.test, options.exclude):
        if name not in names:
            raise UsageError(f"there is no book '{name}' among the sources; a name is a file's without .txt")
    named = Counter(itertools.chain(set(options.validation), set(options.test), set(options.exclude)))
    twice = [name for name, times in named.items() if times > 1]
    if twice:
        raise UsageError(f"the book '{twice[0]}' is named by two of --validation, --test and --exclude; leave it to one")
    books = {s: [] for s in SPLITS}
    for file in files:
        if file.stem in options.exclude:
            continue
        split = next((s for s, stems in held.items() if file.stem in stems), "train")
        books[split].append(clean_book(file.read_text(encoding="utf-8", errors="replace")))
    for split in SPLITS:
        if not books[split]:
            raise UsageError(f"no book is left for the split '{split}'; name some with --validation and --test")
    return books


def _copy_tokenizer(model: pathlib.Path, out: pathlib.Path) -> None:
    tokenizer.Tokenizer(model)  # which refuses other files, before there is a folder
    out.mkdir(parents=True, exist_ok=True)
    (out / "tokenizer.model").write_bytes(model.read_bytes())
    tokenizer.write_tokenizer_bin(out / "tokenizer.model", out / "tokenizer.bin")


def encode_document(document, pieces) -> tuple:
    """(ids, answers): lists of equal length; answers has 1 where a token belongs to an answer, its EOS included."""
    ids, answers, answering = [], [], False
    for segment in document:
        if segment.mark in (BOS_MARK, EOS_MARK):
            new = [tokenizer.BOS if segment.mark == BOS_MARK else tokenizer.EOS]
            answering = answering and segment.mark == EOS_MARK
        else:
            new = pieces.encode(segment.text)
            answering = segment.answer
            if segment.mark == "reversed":
                new.reverse()
        ids += new
        answers += [int(answering)] * len(new)
    return ids, answers


def _write_split(out: pathlib.Path, split: str, documents, pieces) -> int:
    dtype, count = tokenizer.token_type(pieces.vocab_size), 0
    with open(out / f"{split}.bin", "wb") as tokens, open(out / f"{split}.answer", "wb") as marks, \
            open(out / f"{split}.txt", "w", encoding="utf-8") as text:
        for document in documents:
            ids, answers = encode_document(document, pieces)
            tokens.write(numpy.array(ids, dtype).tobytes())
            marks.write(bytes(answers))
            text.write(as_text(document) + "\n")
            count += len(ids)
    return count
