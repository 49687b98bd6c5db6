# SPDX-License-Identifier: Apache-2.0
"""Run folders. run.json: the options; checkpoint.pt: everything that the next step depends on; log.jsonl: what happened."""

import dataclasses
import json
import pathlib

import torch

from . import lora
from .architectures import ModelArgs, build
from .errors import UsageError
from .files import write_atomically


def save_options(folder: pathlib.Path, args: ModelArgs, options: dict) -> None:
    text = json.dumps({"model": dataclasses.asdict(args), "training": options}, indent=1) + "\n"
    write_atomically(folder / "run.json", lambda file: file.write(text.encode()))


def save(folder: pathlib.Path, state: dict) -> None:
    write_atomically(folder / "checkpoint.pt", lambda file: torch.save(state, file))


def load(folder: pathlib.Path):
    """The state of the last checkpoint, or None."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu")
        state["model"].keys()
    except Exception as error:  # what is raised at damaged files has no kind in common
        raise damaged(folder, error) from None
    return state


def damaged(folder: pathlib.Path, error: Exception) -> UsageError:
    reason = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
    return UsageError(f"{folder}/checkpoint.pt is damaged or belongs to another run.json ({reason}); bring back a copy, or "
                      "train anew in another folder")


def load_options(folder: pathlib.Path) -> dict:
    """{'model': the options of ModelArgs, 'training': the other ones}."""
    try:
        about = json.loads((folder / "run.json").read_text())
        ModelArgs(**about["model"])
        pathlib.Path(about["training"]["data"])
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        raise UsageError(f"{folder} is no run folder, or its run.json is not whole ({error}); name the --out of a train or "
                         "finetune command") from None
    return about


def load_model(folder: pathlib.Path):
    """(model with adapters merged, options) of a run."""
    about, state = load_options(folder), load(folder)
    if state is None:
        raise UsageError(f"{folder} has no checkpoint yet; let it train for a while")
    model = build(ModelArgs(**about["model"]))
    try:
        if about["training"].get("trained") == "lora":
            lora.add_adapters(model, about["training"]["lora_rank"], about["training"]["lora_alpha"])
        model.load_state_dict(state["model"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise damaged(folder, error) from None
    lora.merge_adapters(model)
    return model.eval(), about
