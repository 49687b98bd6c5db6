# SPDX-License-Identifier: Apache-2.0
"""safetensors files of F32 tensors: u64 length of a JSON header, the header, the values."""

import json
import pathlib
import struct

import numpy
import torch

from .errors import UsageError
from .files import write_atomically


def write(path: pathlib.Path, tensors: dict) -> None:
    """`tensors`: name to torch tensor; written as little-endian F32 in this order."""
    header, at = {}, 0
    for name, tensor in tensors.items():
        end = at + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)

    def write_tensors(file):
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.detach().cpu().numpy().astype("<f4").tobytes())

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
