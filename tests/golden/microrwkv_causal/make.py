#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes golden.safetensors beside it: MicroRWKV without a look ahead, in double precision, on the weights of
../microrwkv/small. Needs numpy. Written from the definitions, apart from the engine: the time and channel mixes as
RWKV 5 has them, attention over the last 256 rows, group attention of each row by itself, places modulo block_size."""

import json
import pathlib
import struct

import numpy

HERE = pathlib.Path(__file__).resolve().parent
WINDOW, TOKENS = 256, 340


def load(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8:8 + size]), data[8 + size:]
    return {name: numpy.frombuffer(body[about["data_offsets"][0]:about["data_offsets"][1]], "<f4")
            .reshape(about["shape"]).astype(float) for name, about in header.items() if name != "__metadata__"}


def save(path, tensors):
    header, body = {}, b""
    for name, tensor in tensors.items():
        raw = tensor.tobytes()
        header[name] = {"dtype": {"float32": "F32", "int32": "I32"}[str(tensor.dtype)], "shape": list(tensor.shape),
                        "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def sigmoid(x):
    return 1 / (1 + numpy.exp(-x))


def softmax(x):
    e = numpy.exp(x - x.max())
    return e / e.sum()


class Model:
    def __init__(self, weights, heads):
        self.w, self.heads = weights, heads
        self.width = weights["transformer.wte.weight"].shape[1]
        self.size = self.width // heads
        self.layers = sum(name.endswith(".moe.gate.weight") for name in weights)

    def linear(self, name, x):
        y = self.w[name + ".weight"] @ x
        return y + self.w[name + ".bias"] if name + ".bias" in self.w else y

    def start(self):
        zeros = numpy.zeros(self.width)
        return [{"previous": [zeros] * 3, "matrix": [numpy.zeros((self.heads, self.size, self.size))] * 2, "keys": [],
                 "values": []} for _ in range(self.layers)]

    def shifted(self, prefix, letters, x, past, site):
        before = past["previous"][site]
        past["previous"][site] = x
        return [x + (before - x) * self.w[f"{prefix}time_maa_{c}"].reshape(-1) for c in letters]

    def time_mix(self, prefix, x, past, site):
        k, v, r, g = self.shifted(prefix, "kvrg", x, past, site)
        k, v, r = (self.linear(prefix + n, y).reshape(self.heads, self.size)
                   for n, y in (("key", k), ("value", v), ("receptance", r)))
        g = self.linear(prefix + "gate", g)
        decay = numpy.exp(-numpy.exp(self.w[prefix + "time_decay"])).reshape(-1)
        bonus = self.w[prefix + "time_faaaa"].reshape(-1)
        result = numpy.zeros((self.heads, self.size))
        matrices = past["matrix"][site].copy()
        for h in range(self.heads):
            told = numpy.outer(k[h], v[h])
            result[h] = r[h] @ (matrices[h] + bonus[h] * told)
            matrices[h] = decay[h] * matrices[h] + told
            result[h] = (result[h] - result[h].mean()) / numpy.sqrt(result[h].var() + 64e-5)
        past["matrix"][site] = matrices
        y = result.reshape(-1) * self.w[prefix + "ln_x.weight"] + self.w[prefix + "ln_x.bias"]
        return self.linear(prefix + "output", y * g * sigmoid(g))

    def channel_mix(self, prefix, x, past):
        k, r = self.shifted(prefix, "kr", x, past, 2)
        y = self.linear(prefix + "value", numpy.maximum(self.linear(prefix + "key", k), 0) ** 2)
        return sigmoid(self.linear(prefix + "receptance", r)) * y

    def window(self, prefix, x, past):
        q, k, v = self.linear(prefix + "qkv", x).reshape(3, self.heads, self.size)
        past["keys"], past["values"] = (past["keys"] + [k])[-WINDOW:], (past["values"] + [v])[-WINDOW:]
        y = numpy.zeros((self.heads, self.size))
        for h in range(self.heads):
            scores = numpy.array([q[h] @ key[h] for key in past["keys"]]) / numpy.sqrt(self.size)
            y[h] = softmax(scores) @ numpy.array([value[h] for value in past["values"]])
        return self.linear(prefix + "proj", y.reshape(-1))

    def groups(self, prefix, x):
        parts = self.linear(prefix + "qkvw", x).reshape(4, 4, self.heads, -1)
        out = []
        for q, k, v, weight in parts:
            scores = q @ k.T / numpy.sqrt(q.shape[1])
            out.append(numpy.array([softmax(row) for row in scores]) @ v * weight)
        return self.linear(prefix + "out", numpy.array(out).reshape(-1))

    def experts(self, prefix, x):
        scores, total, i = softmax(self.linear(prefix + "gate", x)), 0, 0
        while f"{prefix}experts.{i}.weight" in self.w:
            total, i = total + scores[i] * self.linear(f"{prefix}experts.{i}", x), i + 1
        return self.linear(prefix + "fc", total)

    def normed(self, x):
        return x / (numpy.sqrt((x * x).mean()) + 1e-8)

    def logits(self, token, place, state):
        x = self.w["transformer.wte.weight"][token] + self.w["transformer.wpe.weight"][place]
        for layer, past in enumerate(state):
            p = f"transformer.h.{layer}."
            x = x + self.time_mix(p + "tmix.", self.normed(x), past, 0)
            x = x + self.channel_mix(p + "cmix.", self.normed(x), past)
            x = x + self.window(p + "sliding_attn.", x, past)
            x = x + self.groups(p + "grouped_attn.", self.time_mix(p + "tmix.", x, past, 1))
            x = x + self.experts(p + "moe.", x)
        y = (x - x.mean()) / numpy.sqrt(x.var() + 1e-5) * self.w["transformer.ln_f.weight"]
        if "transformer.ln_f.bias" in self.w:
            y = y + self.w["transformer.ln_f.bias"]
        return self.w["transformer.wte.weight"] @ y


def main():
    folder = HERE.parent / "microrwkv/small"
    about = json.loads((folder / "meta.json").read_text())
    model = Model(load(folder / "model.safetensors"), about["n_head"])
    tokens = numpy.random.default_rng(7).integers(0, about["vocab_size"], TOKENS).astype(numpy.int32)
    state = model.start()
    logits = [model.logits(token, t % about["block_size"], state) for t, token in enumerate(tokens)]
    save(HERE / "golden.safetensors", {"tokens": tokens, "logits": numpy.array(logits, numpy.float32)})


main()
