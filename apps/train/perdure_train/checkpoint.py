# SPDX-License-Identifier: Apache-2.0
"""Run folders. run.json: the options; checkpoint.pt: everything that the next step depends on; log.jsonl: what happened."""

import dataclasses
import json
import os
import pathlib

import torch

from . import lora
from .architectures import ModelArgs, build
from .errors import UsageError


def write_atomically(path: pathlib.Path, write) -> None:
    """`write(file)` into a file beside it that then takes its place: after a crash the old or the new one is there."""
    beside = path.with_name(path.name + ".new")
    with open(beside, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)


def save_options(folder: pathlib.Path, args: ModelArgs, options: dict) -> None:
    text = json.dumps({"model": dataclasses.asdict(args), "training": options}, indent=1) + "\n"
    write_atomically(folder / "run.json", lambda file: file.write(text.encode()))


def save(folder: pathlib.Path, state: dict) -> None:
    write_atomically(folder / "checkpoint.pt", lambda file: torch.save(state, file))


def load(folder: pathlib.Path):
    """The state of the last checkpoint, or None."""
    path = folder / "checkpoint.pt"
    return torch.load(path, map_location="cpu") if path.exists() else None


def load_options(folder: pathlib.Path) -> dict:
    try:
        return json.loads((folder / "run.json").read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} is no run folder ({error}); name the --out of a train or finetune command") from None


def load_model(folder: pathlib.Path):
    """(model with adapters merged, options) of a run."""
    about, state = load_options(folder), load(folder)
    if state is None:
        raise UsageError(f"{folder} has no checkpoint yet; let it train for a while")
    model = build(ModelArgs(**about["model"]))
    if about["training"].get("trained") == "lora":
        lora.add_adapters(model, about["training"]["lora_rank"], about["training"]["lora_alpha"])
    model.load_state_dict(state["model"])
    lora.merge_adapters(model)
    return model.eval(), about
