# SPDX-License-Identifier: Apache-2.0
"""`export`: a run's model as a file that perdure reads."""

import dataclasses
import json
import pathlib
import shutil

from . import checkpoint, llama2c, safetensors
from .errors import UsageError


def export_safetensors(path: pathlib.Path, args, weights: dict) -> None:
    """The weights, and beside them the options as NAME.json."""
    safetensors.write(path, weights)
    about = {"name": path.stem, "args": dataclasses.asdict(args)}
    if args.architecture == "rmt":
        about["rmt"] = {"num_mem_tokens": args.num_mem_tokens, "segment_size": args.max_seq_len}
    path.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")


def _export_memory(path: pathlib.Path, model, folder: pathlib.Path) -> None:
    """Of rmt: the learned memory alone, which goes with the llama in any format."""
    if model.args.architecture != "rmt":
        raise UsageError(f"--format memory is for architecture rmt; {folder} is {model.args.architecture}")
    export_safetensors(path, model.args, {"memory_cell.memory": model.memory_cell.memory})


def export(folder: pathlib.Path, kind: str, out: pathlib.Path, group_size: int = 64) -> None:
    """`kind`: one of command_line.FORMATS. Errors: UsageError if the format cannot hold the model."""
    if kind == "tokenizer":
        data = pathlib.Path(checkpoint.load_options(folder)["training"]["data"])
        shutil.copyfile(data / "tokenizer.bin", out)
        return
    model, _ = checkpoint.load_model(folder)
    weights = model.state_dict()
    if kind == "safetensors":
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
