# SPDX-License-Identifier: Apache-2.0
"""The checkpoints of llama2.c (v0, v1, v2) and of llama2Rnn (v2-mem): order of tensors, q80, writing; reading v0, v1, v2."""

import math
import pathlib
import struct

import numpy
import torch

from .architectures import ModelArgs
from .errors import UsageError
from .files import write_atomically

_MAGIC = 0x616B3432
_HEADER_BYTES = 256
_SIZES = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "max_seq_len")
_EMBEDDING, _FINAL_NORM, _CLASSIFIER = "tok_embeddings.weight", "norm.weight", "output.weight"
_TABLES = "tables of rotations"
_ATTENTION = [f"attention.w{m}.weight" for m in "qkvo"]
_FEED_FORWARD = [f"feed_forward.w{i}.weight" for i in (1, 2, 3)]


def _per_layer(args: ModelArgs, names) -> list:
    return [f"layers.{i}.{name}" for name in names for i in range(args.n_layers)]


def layout(args: ModelArgs, kind: str) -> tuple:
    """(names stored as F32, names stored as q80), in the order of the file; v0 and v1 have no q80."""
    classifier = [] if args.shared_classifier else [_CLASSIFIER]
    if kind == "v0":
        return ([_EMBEDDING] + _per_layer(args, ["attention_norm.weight"] + _ATTENTION + ["ffn_norm.weight"] + _FEED_FORWARD)
                + [_FINAL_NORM, _TABLES] + classifier, [])
    norms = ["attention_norm.weight", "ffn_norm.weight"]
    matrices = _ATTENTION + _FEED_FORWARD
    if kind == "v2-mem":
        norms += ["attention.memory_norm.weight", "attention.ffn_norm.weight", "attention.origin_mem"]
        matrices += ["attention." + name for name in _FEED_FORWARD]
    floats = _per_layer(args, norms) + [_FINAL_NORM]
    rest = [_EMBEDDING] + _per_layer(args, matrices) + classifier
    return (floats + rest, []) if kind == "v1" else (floats, rest)


def quantize(values: numpy.ndarray, group_size: int) -> tuple:
    """(int8 values, f32 scale per group) of a flat F32 array: scale = max / 127, rounded half to even, zeros stay zero."""
    groups = values.astype(numpy.float32).reshape(-1, group_size)
    scales = (numpy.abs(groups).max(1) / numpy.float32(127)).astype(numpy.float32)
    steps = numpy.where(scales > 0, scales, 1)[:, None]
    return numpy.clip(numpy.round(groups / steps), -127, 127).astype(numpy.int8), scales


def fitting_group_size(args: ModelArgs, wanted: int) -> int:
    """`wanted`, halved until it divides both widths."""
    while args.dim % wanted or args.hidden_dim % wanted:
        wanted //= 2
    return wanted


def check_representable(args: ModelArgs, kind: str) -> None:
    """What the file could not say must not be lost in silence."""
    def refuse(what: str):
        raise UsageError(f"{kind} cannot hold {what}; export safetensors instead")

    memory = args.attention_type == "memory_attention"
    if kind != "v2-mem" and memory:
        refuse("a memory (v2-mem can)" if not args.extend_method else "a memory")
    if kind == "v2-mem":
        if not memory or "memlayer" in args.extend_method:
            refuse("a model without memory attention in every layer")
        if args.do_wm or not (args.do_memory_ffn and args.memory_norm and args.reuse_kv):
            refuse("memory attention other than with do_memory_ffn, memory_norm, reuse_kv and without do_wm")
        if args.max_seq_len < 2 * args.memseqlen:
            refuse(f"a max_seq_len of {args.max_seq_len}, below twice memseqlen = {args.memseqlen}")
    if args.theta != 10000.0 or args.norm_eps != 1e-5 or args.key_norm:
        refuse("theta, norm_eps or key_norm")
    if args.extend_method.replace("extrapolation", ""):
        refuse(f"the extend_method '{args.extend_method}'")


def _header(args: ModelArgs, kind: str, group_size: int) -> bytes:
    sizes = [getattr(args, name) for name in _SIZES]
    if kind == "v0":
        sizes[5] *= 1 if args.shared_classifier else -1
        return struct.pack("<7i", *sizes)
    header = struct.pack("<Ii7i", _MAGIC, 1 if kind == "v1" else 2, *sizes)
    if kind == "v2-mem":
        header += struct.pack("<i", args.memseqlen)
    header += struct.pack("<B", args.shared_classifier)
    if kind != "v1":
        header += struct.pack("<i", group_size)
    return header.ljust(_HEADER_BYTES, b"\0")


def _rotation_tables(args: ModelArgs) -> numpy.ndarray:
    """Cosines, then sines; readers skip them."""
    index = numpy.arange(0, args.head_size, 2) / args.head_size
    angles = numpy.outer(numpy.arange(args.max_seq_len), args.theta ** -index)
    return numpy.concatenate([numpy.cos(angles).ravel(), numpy.sin(angles).ravel()])


def _values(args: ModelArgs, weights: dict, name: str) -> numpy.ndarray:
    if name == _TABLES:
        return _rotation_tables(args)
    if name.endswith("origin_mem") and name not in weights:  # not trained: zero
        return numpy.zeros(args.memseqlen * args.dim)
    return weights[name].detach().float().cpu().numpy().ravel()


def write(path: pathlib.Path, args: ModelArgs, weights: dict, kind: str, group_size: int = 64) -> None:
    """`weights`: a state dict. Errors: UsageError if this kind of file cannot hold the model."""
    check_representable(args, kind)
    floats, quantised = layout(args, kind)
    group_size = fitting_group_size(args, group_size)

    def write_model(file):
        file.write(_header(args, kind, group_size))
        for name in floats:
            file.write(_values(args, weights, name).astype("<f4").tobytes())
        for name in quantised:
            values, scales = quantize(_values(args, weights, name), group_size)
            file.write(values.tobytes() + scales.astype("<f4").tobytes())

    write_atomically(path, write_model)


def dequantised(args: ModelArgs, weights: dict, kind: str, group_size: int = 64) -> dict:
    """The state dict that a reader of the q80 file has: matrices after their round trip."""
    group_size, result = fitting_group_size(args, group_size), dict(weights)
    for name in layout(args, kind)[1]:
        values, scales = quantize(_values(args, weights, name), group_size)
        restored = (values.astype(numpy.float32) * scales[:, None]).reshape(tuple(weights[name].shape))
        result[name] = torch.from_numpy(restored)
    return result


def _shape(args: ModelArgs, name: str) -> tuple:
    """Of a tensor of v0 or v1; the tables as one row."""
    kv = args.n_kv_heads * args.head_size
    last = name.split(".")[-2] if "." in name else name
    return {"tok_embeddings": (args.vocab_size, args.dim), "output": (args.vocab_size, args.dim), "wq": (args.dim, args.dim),
            "wk": (kv, args.dim), "wv": (kv, args.dim), "wo": (args.dim, args.dim), "w1": (args.hidden_dim, args.dim),
            "w2": (args.dim, args.hidden_dim), "w3": (args.hidden_dim, args.dim),
            _TABLES: (args.max_seq_len * args.head_size,)}.get(last, (args.dim,))


class _Values:
    """Tensors as they follow each other in a file of `data`, from byte `at` on."""

    def __init__(self, data: bytes, at: int, group_size: int):
        self._data, self._at, self._group_size = data, at, group_size

    def _take(self, kind: str, count: int) -> numpy.ndarray:
        values = numpy.frombuffer(self._data, kind, count, self._at)
        self._at += values.nbytes
        return values

    def floats(self, shape: tuple):
        return torch.from_numpy(self._take("<f4", math.prod(shape)).reshape(shape).copy())

    def quantised(self, shape: tuple):
        values = self._take("i1", math.prod(shape)).astype(numpy.float32).reshape(-1, self._group_size)
        scales = self._take("<f4", len(values))
        return torch.from_numpy((values * scales[:, None]).reshape(shape))


def _bytes(shapes: list, group_size: int) -> int:
    """Of tensors in q80, or in F32 if the group size is 0."""
    count = sum(map(math.prod, shapes))
    return count + 4 * (count // group_size) if group_size else 4 * count


def read(path: pathlib.Path) -> tuple:
    """(ModelArgs, state dict) of a v0, v1 or v2 file. Errors: UsageError for other files, those of v2-mem included."""
    data, other = pathlib.Path(path).read_bytes(), UsageError(
        f"{path} is neither a llama2.c checkpoint v0, v1 or v2 nor a .safetensors file, or was cut off; name one, or a run folder")
    if len(data) < _HEADER_BYTES:
        raise other
    kind, at, group_size = "v0", 28, 0
    sizes = struct.unpack_from("<7i", data, 0)
    shared = sizes[5] > 0
    if struct.unpack_from("<I", data, 0)[0] == _MAGIC:
        version = struct.unpack_from("<i", data, 4)[0]
        kind, at, sizes, shared = f"v{version}", _HEADER_BYTES, struct.unpack_from("<7i", data, 8), bool(data[36])
        if version not in (1, 2):
            raise other
        group_size = struct.unpack_from("<i", data, 37)[0] if version == 2 else 0
        if version == 2 and (group_size < 1 or sizes[0] % group_size or sizes[1] % group_size):
            raise UsageError(f"{path} is quantised with a memory, or cut off; fine-tuning starts from v0, v1, v2, safetensors or "
                             "a run folder")
    values = dict(zip(_SIZES, sizes), shared_classifier=shared)
    values["vocab_size"] = abs(values["vocab_size"])
    try:
        args, weights = ModelArgs(**values), {}
    except UsageError:
        raise other from None
    if args.n_layers * args.dim > len(data):  # before names of so many layers are made
        raise other
    floats, quantised = ({name: _shape(args, name) for name in names} for names in layout(args, kind))
    if at + _bytes(list(floats.values()), 0) + _bytes(list(quantised.values()), group_size) != len(data):
        raise other
    values = _Values(data, at, group_size)
    weights.update((name, values.floats(shape)) for name, shape in floats.items())
    weights.update((name, values.quantised(shape)) for name, shape in quantised.items())
    weights.pop(_TABLES, None)
    return args, weights
