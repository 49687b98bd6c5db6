# SPDX-License-Identifier: Apache-2.0
"""The sub-commands and their options; train.py calls `main`."""

import argparse
import dataclasses
import os
import pathlib
import sys

from .architectures import ModelArgs
from .arguments import Parser, above_zero, count, count_or_zero, seed, zero_or_above
from .errors import UsageError

FORMATS = ("v0", "v1", "v2", "v2-mem", "safetensors", "folder", "memory", "tokenizer")


def _add_prepare(commands) -> None:
    p = commands.add_parser("prepare", help="texts or generated tasks to token files and a vocabulary")
    p.add_argument("--task", default="text", choices=["text", "repeat", "reverse", "recall", "dialogue", "lexicon",
                   "segments"])
    p.add_argument("--source", nargs="+", default=[], help="text files and folders of books; without: generated sentences")
    for split in ("validation", "test", "exclude"):
        p.add_argument(f"--{split}", nargs="+", default=[], metavar="BOOK", help="names of books, without .txt")
    p.add_argument("--documents", type=count, default=20000, help="generated training documents (%(default)s)")
    p.add_argument("--held-out-documents", type=count, default=2000, help="of validation and of test (%(default)s)")
    p.add_argument("--sentences", type=count_or_zero, default=6,
                   help="of a generated text at most; 0: lists of words only (%(default)s)")
    p.add_argument("--distance", type=count_or_zero, default=256,
                   help="recall and dialogue: most words between a fact and its question; lexicon: words of a "
                        "document (%(default)s)")
    p.add_argument("--vocab-size", type=count, default=4096)
    p.add_argument("--tokenizer", help="a tokenizer.model to use instead of learning one")
    p.add_argument("--seed", type=seed, default=0)
    p.add_argument("--out", required=True, help="the data folder to write")
    p.set_defaults(run=_prepare)


def _add_model_options(p, defaults: str) -> None:
    """`defaults`: whose they are. The base's are known when it is read: until then an option that is not given is None."""
    group = p.add_argument_group(f"model (names of llama2Rnn, defaults of {defaults})")
    for field in dataclasses.fields(ModelArgs):
        name, default = "--" + field.name.replace("_", "-"), None if defaults == "the base" else field.default
        if field.type is bool:
            group.add_argument(name, action=argparse.BooleanOptionalAction, default=default)
        else:
            group.add_argument(name, type=field.type, default=default)


def _add_training_options(p, learning_rate: float) -> None:
    p.add_argument("--data", required=True, help="a data folder made by prepare")
    p.add_argument("--out", required=True, help="the run folder; one that holds a checkpoint is resumed")
    group = p.add_argument_group("training (defaults of llama2Rnn)")
    group.add_argument("--steps", type=count, default=100000)
    group.add_argument("--batch", type=count, default=32, help="rows per micro-batch")
    group.add_argument("--accumulate", type=count, default=16, help="micro-batches per step")
    group.add_argument("--window", type=count_or_zero, default=0,
                       help="tokens per row through which is back-propagated (max-seq-len)")
    group.add_argument("--chain", type=count, default=1, help="windows that a row reads in a row, carrying its memory")
    group.add_argument("--segments", type=count, default=1, help="windows that follow each other in an update, through which "
                       "gradients go back (%(default)s)")
    group.add_argument("--segments-grow", type=count_or_zero, default=0,
                       help="steps over which they grow from 1 to --segments (none)")
    group.add_argument("--vary-segments", action="store_true", help="every other update takes any number of them")
    group.add_argument("--replay", action="store_true",
                       help="reads a window again for its gradients instead of keeping all that it computed")
    group.add_argument("--reading", default="shuffled", choices=["shuffled", "order", "stream", "dialogue", "segments"],
                       help="stream: every row reads on without end, carrying its memory; dialogue: conversations made while "
                       "they are read; segments: documents of --segments windows, likewise")
    group.add_argument("--distance", type=count_or_zero, default=256,
                       help="with --reading dialogue: as of prepare (%(default)s)")
    group.add_argument("--ask-every", type=count_or_zero, default=0,
                       help="with --reading dialogue: tokens after which all that is known is asked beside the text (never)")
    group.add_argument("--learning-rate", type=above_zero, default=learning_rate)
    group.add_argument("--warmup", type=count_or_zero, default=1000)
    group.add_argument("--schedule", default="cosine", choices=["cosine", "stable"],
                       help="stable: constant, then --cooldown steps down to 0, begun earlier by a file 'cooldown' in --out")
    group.add_argument("--cooldown", type=count_or_zero, default=0, help="steps (a fifth of all)")
    group.add_argument("--weight-decay", type=zero_or_above, default=0.1)
    group.add_argument("--clip", type=above_zero, default=1.0)
    group.add_argument("--answer-weight", type=above_zero, default=1.0, help="weight of answers' tokens in the loss")
    _add_teacher_options(group)
    group.add_argument("--seed", type=seed, default=0)
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ...")
    group.add_argument("--precision", default="auto", choices=["auto", "f32", "bf16"])
    group.add_argument("--threads", type=count_or_zero, default=0, help="of the CPU (all)")
    group.add_argument("--log-every", type=count, default=20, help="steps")
    group.add_argument("--validate-every", type=count, default=500, help="steps")
    group.add_argument("--validation-batches", type=count, default=8)
    group.add_argument("--checkpoint-seconds", type=zero_or_above, default=120)


def _add_teacher_options(group) -> None:
    group.add_argument("--teacher", help="a model whose likeliest tokens are targets as well (CEPE-Distilled): run folder, "
                       "llama2.c file or safetensors; it reads a row whole")
    group.add_argument("--kl-weight", type=above_zero, default=2.0, help="of what is learnt from the teacher (%(default)s)")
    group.add_argument("--kl-top", type=count, default=50, help="tokens of the teacher that count (%(default)s)")
    group.add_argument("--kl-mode", default="smooth_1e-6", help="smooth_NUMBER, or drop: without what those leave of 1")


def _add_train(commands) -> None:
    train = commands.add_parser("train", help="trains a model from scratch; killed, it goes on where it was")
    _add_model_options(train, "llama2Rnn")
    _add_training_options(train, 5e-4)
    train.set_defaults(run=_train)


def _add_finetune(commands) -> None:
    tune = commands.add_parser("finetune", help="gives a plain llama a memory, or adapts a model")
    tune.add_argument("--base", required=True, help="run folder, llama2.c file v0, v1 or v2, or safetensors with its json")
    tune.add_argument("--trained", default="memory", choices=["memory", "memory+attention", "all", "lora"],
                      help="which parameters are trained (%(default)s)")
    tune.add_argument("--lora-rank", type=count, default=8)
    tune.add_argument("--lora-alpha", type=above_zero, default=16.0)
    tune.add_argument("--encoder", help="of a llama that becomes cepe: the run of architecture mlm that it starts with (a "
                      "random one)")
    tune.add_argument("--cross-init", default="copy", choices=["copy", "silent"],
                      help="its cross-attention starts as a copy of self-attention, or as one that adds nothing (%(default)s)")
    _add_model_options(tune, "the base")
    _add_training_options(tune, 1e-4)
    tune.set_defaults(run=_finetune)


def _add_export(commands) -> None:
    export = commands.add_parser("export", help="writes a trained model in a format that perdure reads")
    export.add_argument("--run-folder", required=True, help="--out of train or finetune")
    export.add_argument("--format", required=True, choices=FORMATS)
    export.add_argument("--group-size", type=count, default=64, help="values per scale in v2 and v2-mem")
    export.add_argument("--out", required=True, help="the file or folder to write")
    export.set_defaults(run=_export)


def _add_conversions(commands) -> None:
    turn = commands.add_parser("convert-rwkv", help="a PyTorch checkpoint of RWKV, nanoRWKV or MicroRWKV to safetensors")
    turn.add_argument("source", metavar="IN.pth", help="only tensors are unpickled")
    turn.add_argument("out", metavar="OUT.safetensors")
    turn.add_argument("--types", default="keep", choices=["keep", "f32"], help="keep: F32, BF16 and F16 stay (%(default)s)")
    turn.add_argument("--state-of", default="", choices=["5", "6", "7"],
                      help="IN.pth is a tuned state (model.initial_state) for this version, which perdure then checks")
    turn.set_defaults(run=_convert_rwkv)
    turn = commands.add_parser("convert-rmt", help="a PyTorch checkpoint of recurrent-memory-transformer-pytorch to safetensors")
    turn.add_argument("source", metavar="IN.pt", help="only tensors are unpickled")
    turn.add_argument("out", metavar="OUT.safetensors", help="and OUT.json with the arguments of the network")
    turn.add_argument("--argument", action="append", default=[], metavar="NAME=VALUE",
                      help="one that tensors do not tell and that is not its default: seq_len of a network that only rotates, "
                      "xl_mem_len, causal, ...")
    turn.add_argument("--flavour", default="mixed", choices=["mixed", "unmixed"],
                      help="what the installed hyper-connections did: unmixed from 0.1.7 to 0.3.9 (%(default)s)")
    turn.add_argument("--types", default="keep", choices=["keep", "f32"], help="keep: F32, BF16 and F16 stay (%(default)s)")
    turn.set_defaults(run=_convert_rmt)


def _add_evaluate(commands) -> None:
    measure = commands.add_parser("evaluate", help="loss of the last 256 targets by length of context, or recall")
    measure.add_argument("--run-folder", required=True)
    measure.add_argument("--data", help="a data folder (that of the run)")
    measure.add_argument("--split", default="validation", choices=["train", "validation", "test"])
    measure.add_argument("--lengths", type=count, nargs="+", default=[256, 512, 1024])
    measure.add_argument("--distances", type=count_or_zero, nargs="+",
                         help="instead: facts recalled behind so many words of other talk (data of the task dialogue), or so "
                         "many segments on (segments)")
    measure.add_argument("--contexts", type=count_or_zero, nargs="+",
                         help="instead, of architecture cepe: loss with so many contexts, and with shuffled and foreign ones")
    measure.add_argument("--samples", type=count, default=64)
    measure.add_argument("--device", default="auto")
    measure.set_defaults(run=_evaluate)


def _parser() -> Parser:
    parser = Parser(prog="train.py", description="Trains small llama and llama2Rnn models for perdure.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (_add_prepare, _add_train, _add_finetune, _add_export, _add_conversions, _add_evaluate):
        add(commands)
    return parser


def _prepare(options) -> None:
    from .prepare import prepare
    prepare(options)


def _train(options) -> None:
    from .runs import train
    train(options)


def _finetune(options) -> None:
    from .runs import finetune
    finetune(options)


def _export(options) -> None:
    from .export import export
    export(pathlib.Path(options.run_folder), options.format, pathlib.Path(options.out), options.group_size)


def _convert_rwkv(options) -> None:
    from .converting import convert
    convert(pathlib.Path(options.source), pathlib.Path(options.out), options.types, options.state_of)


def _convert_rmt(options) -> None:
    from .converting_rmt import convert
    convert(pathlib.Path(options.source), pathlib.Path(options.out), options.argument, options.flavour, options.types)


def _evaluate(options) -> None:
    from .runs import evaluate
    evaluate(options)


def main(arguments=None) -> int:
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (UsageError, OSError, RuntimeError, MemoryError) as error:  # PyTorch tells of missing memory as a RuntimeError
        print("train.py:", " ".join(str(error).split()) or "out of memory", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0
