# SPDX-License-Identifier: Apache-2.0
"""Where fine-tuning starts: run folders, llama2.c files v0, v1 and v2, safetensors with their options."""

import dataclasses
import json
import pathlib

from . import checkpoint, llama2c, safetensors
from .architectures import ModelArgs, build
from .errors import UsageError


def load_base(path: pathlib.Path) -> tuple:
    """(options by name, state dict)."""
    if not path.exists():
        raise UsageError(f"--base {path} does not exist; name a run folder, a llama2.c file v0, v1 or v2, or a safetensors file")
    if path.is_dir():
        model, _ = checkpoint.load_model(path)
        return dataclasses.asdict(model.args), model.state_dict()
    if path.suffix == ".safetensors":
        weights = safetensors.read(path)
        try:
            values = json.loads(path.with_suffix(".json").read_text())["args"]
            known = {f.name for f in dataclasses.fields(ModelArgs)}
            values = {k: v for k, v in values.items() if k in known and v is not None}
            return dataclasses.asdict(ModelArgs(**dict(values, shared_classifier="output.weight" not in weights))), weights
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
            raise UsageError(f"{path.with_suffix('.json')} does not hold the options of {path.name} ({error}); write them "
                             "there, as export --format safetensors does") from None
    args, weights = llama2c.read(path)
    return dataclasses.asdict(args), weights


def load_base_model(path: str):
    """The model of what load_base reads."""
    values, weights = load_base(pathlib.Path(path))
    model = build(ModelArgs(**values))
    model.load_state_dict(weights)
    return model
