# SPDX-License-Identifier: Apache-2.0
"""`convert-rmt`: PyTorch checkpoints of recurrent-memory-transformer-pytorch as safetensors under the same names, and beside it
the arguments of the network as JSON: those that tensors tell, and those that are given."""

import json
import pathlib

from . import safetensors
from .converting import _KEPT, _load, _weights_of
from .errors import UsageError
from .files import write_atomically

_WRAPPER = "transformer."


def _ff_mult(dim: int, inner: int, path: pathlib.Path) -> int:
    """As the network rounds it."""
    for mult in (4, *range(1, 33)):
        if int(dim * mult * 2 / 3) == inner:
            return mult
    raise UsageError(f"{path}: a feed-forward {inner} wide has no whole ff_mult; give it with --argument ff_mult=NUMBER")


def _told_by(weights: dict, given: dict, path: pathlib.Path) -> dict:
    """The arguments that follow from the shapes of tensors."""
    prefix = "" if "read_memory_emb" in weights else _WRAPPER
    shapes = {n[len(prefix):]: tuple(t.shape) for n, t in weights.items() if n.startswith(prefix)}
    try:
        vocab, dim = shapes["token_emb.weight"]
        _, heads, dim_head = shapes["layers.0.0.branch.null_kv"]
        told = {"dim": dim, "num_tokens": vocab, "depth": 1 + max(int(n.split(".")[1]) for n in shapes if n.startswith("layers.")),
                "num_memory_tokens": shapes["read_memory_emb"][0], "dim_head": dim_head, "heads": heads,
                "num_residual_streams": shapes.get("layers.0.0.static_beta", (1,))[0],
                "abs_pos_emb": "pos_emb.weight" in shapes, "rotary_pos_emb": "rotary_pos_emb.inv_freq" in shapes}
        if "pos_emb.weight" in shapes:
            told["seq_len"] = shapes["pos_emb.weight"][0]
        if "ff_mult" not in given:
            told["ff_mult"] = _ff_mult(dim, shapes["layers.0.1.branch.4.weight"][1], path)
    except (KeyError, ValueError, IndexError):
        first = ", ".join(list(weights)[:3]) or "none"
        raise UsageError(f"{path} is no checkpoint of recurrent-memory-transformer-pytorch 0.6 or 0.7: its first tensors are "
                         f"{first}") from None
    return told


def _given(arguments) -> dict:
    given = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        try:
            given[name] = json.loads(value)
        except json.JSONDecodeError:
            equals = ""
        if not equals or not name.isidentifier():
            raise UsageError(f"--argument {argument}: write NAME=VALUE, the value as JSON, for example xl_mem_len=256 or causal=false")
    return given


def convert(source: pathlib.Path, out: pathlib.Path, arguments=(), flavour: str = "mixed", types: str = "keep") -> None:
    """`arguments`: NAME=VALUE of the constructor, for what tensors do not tell. Writes `out` and `out` with .json."""
    if out.suffix != ".safetensors":
        raise UsageError(f"{out}: the file to write ends with .safetensors, and its arguments with .json beside it")
    weights, _ = _weights_of(_load(source), source)
    given = _given(arguments)
    told = _told_by(weights, given, source)
    for name, value in given.items():
        if told.get(name, value) != value:
            raise UsageError(f"--argument {name}={json.dumps(value)}: {source} has tensors for {json.dumps(told[name])}")
    if "seq_len" not in {**told, **given}:
        raise UsageError(f"{source} has no table of positions that tells seq_len; give it with --argument seq_len=NUMBER")
    about = {"constructor": {**told, **given}, "residual_streams_flavor": flavour}
    safetensors.write(out, weights, _KEPT if types == "keep" else ())
    write_atomically(out.with_suffix(".json"), lambda file: file.write((json.dumps(about, indent=1) + "\n").encode()))
