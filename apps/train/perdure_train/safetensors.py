# SPDX-License-Identifier: Apache-2.0
"""safetensors files: u64 length of a JSON header, the header, the values. F32, or types that are kept when written."""

import json
import pathlib
import struct

import numpy
import torch

from .errors import UsageError
from .files import write_atomically


_TYPES = {torch.float32: ("F32", 4), torch.bfloat16: ("BF16", 2), torch.float16: ("F16", 2)}


def _bytes(tensor, dtype) -> bytes:
    values = tensor.detach().cpu().to(dtype).contiguous()
    if dtype == torch.float32:
        return values.numpy().astype("<f4").tobytes()
    return values.view(torch.int16).numpy().astype("<i2").tobytes()


def write(path: pathlib.Path, tensors: dict, kept=(), metadata=None) -> None:
    """`tensors`: name to torch tensor; written little-endian in this order, as F32 but for the types in `kept`."""
    header, at = {"__metadata__": metadata} if metadata else {}, 0
    types = {name: tensor.dtype if tensor.dtype in kept else torch.float32 for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        dtype, size = _TYPES[types[name]]
        end = at + size * tensor.numel()
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)

    def write_tensors(file):
        file.write(struct.pack("<Q", len(text)) + text)
        for name, tensor in tensors.items():
            file.write(_bytes(tensor, types[name]))

    write_atomically(path, write_tensors)


def read(path: pathlib.Path) -> dict:
    """Name to F32 tensor; tensors of other types are left out."""
    data = pathlib.Path(path).read_bytes()
    try:
        size = struct.unpack("<Q", data[:8])[0]
        header, begin = json.loads(data[8:8 + size]), 8 + size
        tensors = {}
        for name, about in header.items():
            if about.get("dtype") == "F32":
                first, end = about["data_offsets"]
                values = numpy.frombuffer(data[begin + first:begin + end], "<f4").reshape(about["shape"])
                tensors[name] = torch.from_numpy(values.copy())
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise UsageError(f"{path} is no safetensors file ({error}); name one of F32 tensors") from None
    return tensors
