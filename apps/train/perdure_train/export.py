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
    path.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n")


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
    elif model.args.architecture != "llama":
        raise UsageError(f"--format {kind} holds llama models only; {folder} is {model.args.architecture}: take safetensors")
    else:
        llama2c.write(out, model.args, weights, kind, group_size)
