#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/golden/tokenizers: small vocabularies, and what the originals make of texts with them.

tokenizer.model files are trained and run by sentencepiece (Debian: python3-sentencepiece), tokenizer.json files are run by
Hugging Face's tokenizers, in node: npm install --ignore-scripts @anush008/tokenizers in a folder outside the tree.

    /usr/bin/python3 tools/tokenizer_goldens.py --modules FOLDER/node_modules
"""
import argparse
import json
import pathlib
import subprocess
import tempfile
from collections import Counter

import sentencepiece

HERE = pathlib.Path(__file__).resolve().parent.parent
OUT = HERE / "tests/golden/tokenizers"
SPACE = "\u2581"
TRAINING = HERE / "docs"  # any text will do

TEXTS = [
    "", " ", "  ", "a", " a", "a ", "Once upon a time", "Once  upon   a\ttime ", "It's we'll I'M don't", "x1234567 12.5",
    "caf\u00e9 cafe\u0301 \u1e9b\u0323 \u212b \u1100\u1161\u11a8 \ufb01", "\u4e2d\u6587 \u65e5\u672c\u8a9e \ud55c\uad6d\uc5b4",
    "\u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u05e2\u05d1\u05e8\u05d9\u05ea \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\U0001f642\U0001f469\u200d\U0001f467 \u2581\u2581x\u2581", "line\nline\r\n\n\n  indented\n\ttab", "def f(x):\n    return x + 1\n",
    "<s>control</s><unk><0x0A><|end|>", "see <tool> here<tool><tool>", "the model memory of the model", "\u00a0\u2003\u3000\u0085\u180e|",
    "a\u2028b\u017f'\u017fX", "\uff11\uff12\uff13\u2167\u00b2", "http://example.org/?a=1&b=2#c", "TRAINED Tokens of MEMORY", "\x01\x1f\x7f\ufffd\ufeff",
]

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")

NODE = """
const { Tokenizer } = require("@anush008/tokenizers");
const fs = require("fs");
(async () => {
  const t = Tokenizer.fromFile(process.argv[2]), all = [];
  for (const text of JSON.parse(fs.readFileSync(process.argv[3])))
    all.push((await t.encode(text, null, {addSpecialTokens: false})).getIds());
  console.log(JSON.stringify(all));
})();
"""


def train_sentencepiece(name, **options):
    lines = [line for page in sorted(TRAINING.glob("*.md")) for line in page.read_text().splitlines() if line.strip()]
    with tempfile.TemporaryDirectory() as folder:
        text = pathlib.Path(folder) / "text"
        text.write_text("\n".join(lines))
        sentencepiece.SentencePieceTrainer.train(input=str(text), model_prefix=f"{folder}/m", minloglevel=2,
                                                 num_threads=1, **options)
        (OUT / f"{name}.model").write_bytes((pathlib.Path(folder) / "m.model").read_bytes())
    return sentencepiece.SentencePieceProcessor(model_file=str(OUT / f"{name}.model"))


def rules_file(folder):
    """Characters that become others, as sentencepiece's own maps do it."""
    rules = {"\u00a0": " ", "\u3000": " ", "\t": " ", "\n": " ", "\ufb01": "fi", "e\u0301": "\u00e9", "\u212b": "\u00c5"}
    path = pathlib.Path(folder) / "rules.tsv"
    points = lambda text: " ".join(f"{ord(c):X}" for c in text)
    path.write_text("".join(f"{points(a)}\t{points(b)}\n" for a, b in sorted(rules.items())))
    return str(path)


def added(id, content, **flags):
    return {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": False, **flags}


def character_json(pieces):
    """A tokenizer.json of Llama 2's form with the tokens of a sentencepiece model."""
    vocab = {pieces.id_to_piece(i): i for i in range(pieces.get_piece_size())}
    merges = []
    for id, token in sorted((i, t) for t, i in vocab.items() if pieces.get_score(i) < 0):
        halves = [(token[:k], token[k:]) for k in range(1, len(token)) if token[:k] in vocab and token[k:] in vocab]
        merges += [(id, a, b) for a, b in sorted(halves, key=lambda h: (vocab[h[0]], vocab[h[1]]))]
    n = len(vocab)
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added(0, "<unk>", special=True), added(1, "<s>", special=True), added(2, "</s>", special=True),
                         added(n, "<tool>")],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": SPACE}, {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]},
        "pre_tokenizer": None,
        "post_processor": {"type": "TemplateProcessing",
                           "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "vocab": vocab,
                  "merges": [f"{a} {b}" for _, a, b in merges]},
    }


def byte_characters():
    seen = [b for b in range(256) if 0x20 < b < 0x7F or 0xA0 < b != 0xAD]
    rest = [b for b in range(256) if b not in seen]
    return {**{b: chr(b) for b in seen}, **{b: chr(0x100 + i) for i, b in enumerate(rest)}}


def byte_json(n_merges):
    """A tokenizer.json of Llama 3's and Qwen's form; its merges are learnt here, the plain way."""
    to_char = byte_characters()
    text = " ".join(page.read_text() for page in sorted(TRAINING.glob("*.md")))
    words = Counter(tuple(to_char[b] for b in (" " + word).encode()) for word in text.split())
    vocab = {c: i for i, c in enumerate(to_char[b] for b in range(256))}
    merges = []
    for _ in range(n_merges):
        pairs = Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        a, b = max(pairs, key=lambda p: (pairs[p], p))
        merges.append([a, b])
        vocab.setdefault(a + b, len(vocab))
        merged = Counter()
        for word, count in words.items():
            made, i = [], 0
            while i < len(word):
                both = word[i:i + 2] == (a, b)
                made.append(a + b if both else word[i])
                i += 2 if both else 1
            merged[tuple(made)] += count
        words = merged
    n = len(vocab)
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added(n, "<tool>", rstrip=True), added(n + 1, "  ", normalized=True),
                         added(n + 2, "model", single_word=True, lstrip=True), added(n + 3, "<|end|>", special=True)],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": LLAMA3}, "behavior": "Isolated", "invert": False},
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}]},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": merges},
    }


def variant(tokenizer, **changes):
    copy = json.loads(json.dumps(tokenizer))
    copy.update(changes)
    return copy


def ids_by_huggingface(path, modules):
    """Control tokens in a text are text here, so the original must not know them."""
    tokenizer = json.loads(path.read_text())
    tokenizer["added_tokens"] = [a for a in tokenizer["added_tokens"] if not a["special"]]
    with tempfile.TemporaryDirectory() as folder:
        file = lambda name, text: (pathlib.Path(folder) / name).write_text(text) and f"{folder}/{name}"
        made = subprocess.run(["node", file("run.cjs", NODE), file("t.json", json.dumps(tokenizer)),
                               file("texts.json", json.dumps(TEXTS))],
                              env={"NODE_PATH": modules, "PATH": "/usr/bin:/bin"}, check=True, capture_output=True)
    return json.loads(made.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", required=True, help="the node_modules with @anush008/tokenizers")
    modules = str(pathlib.Path(parser.parse_args().modules).resolve())
    OUT.mkdir(parents=True, exist_ok=True)
    cases = []
    common = dict(user_defined_symbols=["<tool>"], control_symbols=["<|end|>"])
    with tempfile.TemporaryDirectory() as folder:
        models = {
            "bpe_bytes": train_sentencepiece("bpe_bytes", model_type="bpe", vocab_size=600, byte_fallback=True,
                                             normalization_rule_name="identity", remove_extra_whitespaces=False),
            "bpe": train_sentencepiece("bpe", model_type="bpe", vocab_size=400,
                                       normalization_rule_tsv=rules_file(folder), **common),
            "unigram": train_sentencepiece("unigram", model_type="unigram", vocab_size=400,
                                           normalization_rule_tsv=rules_file(folder), **common),
            "unigram_bytes": train_sentencepiece("unigram_bytes", model_type="unigram", vocab_size=600, byte_fallback=True,
                                                 normalization_rule_name="identity", add_dummy_prefix=False,
                                                 remove_extra_whitespaces=False, split_by_whitespace=False),
        }
    for name, model in models.items():
        cases.append({"file": f"{name}.model", "vocab_size": model.get_piece_size(),
                      "ids": [model.encode(text) for text in TEXTS]})
    characters, bytes_ = character_json(models["bpe_bytes"]), byte_json(250)
    metaspace = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": False}
    files = {
        "characters": characters,
        "metaspace": variant(characters, normalizer=None, pre_tokenizer=metaspace),
        "metaspace_split": variant(characters, normalizer=None,
                                   pre_tokenizer={**metaspace, "prepend_scheme": "always", "split": True}),
        "bytes": bytes_,
        "gpt2": variant(bytes_, normalizer=None, added_tokens=[],
                        pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True}),
    }
    for name, tokenizer in files.items():
        path = OUT / f"{name}.json"
        path.write_text(json.dumps(tokenizer, ensure_ascii=True) + "\n")
        n_ids = 1 + max([*tokenizer["model"]["vocab"].values(), *(a["id"] for a in tokenizer["added_tokens"])])
        cases.append({"file": path.name, "vocab_size": n_ids, "ids": ids_by_huggingface(path, modules)})
    lines = ",\n".join(json.dumps(case) for case in cases)
    (OUT / "cases.json").write_text(f'{{"texts": {json.dumps(TEXTS)},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
