# SPDX-License-Identifier: Apache-2.0
"""`export`: a run's model as a file that perdure reads."""

import dataclasses
import json
import pathlib
import shutil

from . import checkpoint, huggingface, llama2c, safetensors
from .architectures.mlm import MASK
from .architectures.rmt_network import constructor
from .errors import UsageError
from .tokenizer import add_piece


def export_safetensors(path: pathlib.Path, args, weights: dict) -> None:
    """The weights, and beside them the options as NAME.json."""
    safetensors.write(path, weights)
    about = {"name": path.stem, "args": dataclasses.asdict(args)}
    if args.architecture == "rmt":
        about["rmt"] = {"num_mem_tokens": args.num_mem_tokens, "segment_size": args.max_seq_len}
    elif args.architecture == "rmt_network":
        about.update(constructor=constructor(args), residual_streams_flavor="mixed")
    path.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")


def _export_memory(path: pathlib.Path, model, folder: pathlib.Path) -> None:
    """Of rmt: the learned memory alone, which goes with the llama in any format."""
    if model.args.architecture != "rmt":
        raise UsageError(f"--format memory is for architecture rmt; {folder} is {model.args.architecture}")
    export_safetensors(path, model.args, {"memory_cell.memory": model.memory_cell.memory})


def _tokenizer(run: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(checkpoint.load_options(run)["training"]["data"]) / "tokenizer.bin"


def _export_folder(out: pathlib.Path, model, run: pathlib.Path) -> None:
    """Model and tokenizer, as transformers lays them out."""
    if model.args.architecture not in ("cepe", "mlm"):
        raise UsageError(f"--format folder is for architectures cepe and mlm; {run} is {model.args.architecture}")
    huggingface.write(out, model)
    if model.args.architecture == "mlm":
        add_piece(_tokenizer(run), out / "tokenizer.bin", MASK)
    else:
        shutil.copyfile(_tokenizer(run), out / "tokenizer.bin")


def export(folder: pathlib.Path, kind: str, out: pathlib.Path, group_size: int = 64) -> None:
    """`kind`: one of command_line.FORMATS. Errors: UsageError if the format cannot hold the model."""
    if kind == "tokenizer":
        shutil.copyfile(_tokenizer(folder), out)
        return
    model, _ = checkpoint.load_model(folder)
    weights = model.state_dict()
    if kind == "folder":
        _export_folder(out, model, folder)
    elif model.args.architecture in ("cepe", "mlm"):
        raise UsageError(f"{folder} is {model.args.architecture}, which is exported with --format folder")
    elif kind == "safetensors":
        export_safetensors(out, model.args, weights)
    elif kind == "memory":
        _export_memory(out, model, folder)
    elif model.args.architecture == "rmt":
        llama = model.memory_cell.model
        llama2c.write(out, llama.args, llama.state_dict(), kind, group_size)
        print(f"{out} holds the llama alone; its memory: export --format memory")
    elif model.args.architecture != "llama":
        raise UsageError(f"--format {kind} holds llama models only; {folder} is {model.args.architecture}: take safetensors")
    else:
        llama2c.write(out, model.args, weights, kind, group_size)
