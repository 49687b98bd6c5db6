# SPDX-License-Identifier: Apache-2.0
"""`convert-rwkv`: PyTorch checkpoints of RWKV, nanoRWKV and MicroRWKV as safetensors. Tensors and plain values are all that
is unpickled; a file with anything else is refused before it runs."""

import collections
import io
import pathlib
import pickle
import re
import zipfile

import torch

from . import safetensors
from .errors import UsageError

_KEPT = (torch.float32, torch.bfloat16, torch.float16)
_MIXES = {"key": "k", "value": "v", "receptance": "r", "gate": "g"}


class _Archive(pickle.Unpickler):
    """What torch.load(weights_only=True) reads, and numbers with a point, which PyTorch 1.13 does not let pass there: names in
    the pickle stand for the functions below and for nothing else."""

    _STORAGES = {"FloatStorage": torch.float32, "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16,
                 "DoubleStorage": torch.float64, "LongStorage": torch.int64, "IntStorage": torch.int32}

    def __init__(self, archive):
        about = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
        super().__init__(io.BytesIO(archive.read(about)))
        self._archive, self._folder, self._read = archive, about[:-len(".pkl")], {}

    def find_class(self, module, name):
        if module == "torch" and name in self._STORAGES:
            return self._STORAGES[name]
        known = {("collections", "OrderedDict"): collections.OrderedDict, ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
                 ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor}
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid):
        _, dtype, key, *_ = pid
        if key not in self._read:
            self._read[key] = torch.frombuffer(bytearray(self._archive.read(f"{self._folder}/{key}")), dtype=dtype)
        return self._read[key]

    @staticmethod
    def _tensor(storage, offset, size, stride, *_):
        return storage.as_strided(size, stride, offset)


def _load_tensors(path: pathlib.Path):
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "operand 71" not in str(error) or not zipfile.is_zipfile(path):
            raise
        with zipfile.ZipFile(path) as archive:
            return _Archive(archive).load()


def _load(path: pathlib.Path):
    try:
        return _load_tensors(path)
    except OSError:
        raise
    except (pickle.UnpicklingError, RuntimeError, LookupError, EOFError, ValueError, TypeError) as error:
        reason = str(error).split("WeightsUnpickler error: ")[-1].split("\n", maxsplit=1)[0].rstrip(".")
        raise UsageError(f"{path} is no checkpoint of tensors alone, and nothing else is unpickled: {reason}") from None


def _short_mix(name: str) -> str:
    return re.sub(r"time_mix_(key|value|receptance|gate)$", lambda m: "time_mix_" + _MIXES[m[1]], name)


def _from_nano(name: str) -> str:
    """nanoRWKV's names to BlinkDL's."""
    whole = {"rwkv.wte.weight": "emb.weight", "lm_head.weight": "head.weight"}
    if name in whole:
        return whole[name]
    name = re.sub(r"^rwkv\.ln_p\.", "blocks.0.ln0.", name)
    name = re.sub(r"^rwkv\.ln_f\.", "ln_out.", name)
    name = re.sub(r"^rwkv\.h\.(\d+)\.", r"blocks.\1.", name)
    name = re.sub(r"^(blocks\.\d+)\.ln_([12])\.", r"\1.ln\2.", name)
    name = re.sub(r"^(blocks\.\d+)\.attn\.", r"\1.att.", name)
    name = re.sub(r"_proj\.weight$", ".weight", name)
    return _short_mix(name)


def _from_huggingface(name: str) -> str:
    """The names of transformers' versions 4 to 6 to BlinkDL's."""
    name = re.sub(r"^rwkv\.", "", name)
    name = re.sub(r"^embeddings\.", "emb.", name)
    name = re.sub(r"^(blocks\.\d+)\.attention\.", r"\1.att.", name)
    name = re.sub(r"^(blocks\.\d+)\.feed_forward\.", r"\1.ffn.", name)
    name = re.sub(r"^blocks\.0\.pre_ln\.", "blocks.0.ln0.", name)
    return _short_mix(name)


_FLA = (
    (r"^model\.embeddings\.", "emb."), (r"^model\.norm\.", "ln_out."), (r"^lm_head\.", "head."), (r"^model\.layers\.", "blocks."),
    (r"\.pre_norm\.", ".ln0."), (r"\.attn_norm\.", ".ln1."), (r"\.ffn_norm\.", ".ln2."), (r"\.attn\.", ".att."),
    (r"\.r_proj\.", ".receptance."), (r"\.k_proj\.", ".key."), (r"\.v_proj\.", ".value."), (r"\.o_proj\.", ".output."),
    (r"\.g_norm\.", ".ln_x."), (r"_lora\.lora\.0\.weight$", "1"), (r"_lora\.lora\.2\.weight$", "2"), (r"_lora\.lora\.2\.bias$", "0"),
)


def _from_fla(name: str) -> str:
    """flash-linear-attention's names of version 7 to BlinkDL's."""
    for pattern, new in _FLA:
        name = re.sub(pattern, new, name)
    return name


def _fla(weights: dict, path: pathlib.Path):
    """With low-rank matrices as BlinkDL has them, [in, out], a vector for each shift, and the eps of that program."""
    renamed = _rename(weights, _from_fla, path)
    for name in [n for n in renamed if re.search(r"\.att\.[wavg][12]$", n)]:
        renamed[name] = renamed[name].t().contiguous()
    for name in [n for n in renamed if n.endswith(".att.x_x")]:
        rows = renamed.pop(name)
        renamed |= {f"{name[:-1]}{which}": row for which, row in zip("rwkvag", rows.contiguous())}
    bonus = renamed.get("blocks.0.att.r_k")
    return renamed, {} if bonus is None else {"gn_eps": str(1e-5 * bonus.shape[-1])}


def _rename(weights: dict, rule, path: pathlib.Path) -> dict:
    renamed = {}
    for name, tensor in weights.items():
        new = rule(name)
        if new in renamed:
            raise UsageError(f"{path} has two tensors that would be called {new}; one of them is {name}")
        renamed[new] = tensor
    return renamed


def _with_biases(weights: dict) -> dict:
    """nanoRWKV may train its norms without biases; RWKV's have them."""
    for name in [n for n in weights if re.search(r"\.ln[012]\.weight$", n) or n == "ln_out.weight"]:
        weights.setdefault(name.replace(".weight", ".bias"), torch.zeros_like(weights[name]))
    return weights


def _micro(weights: dict, about: dict, path: pathlib.Path):
    head, embedding = weights.pop("lm_head.weight", None), weights["transformer.wte.weight"]
    if head is not None and not torch.equal(head, embedding):
        raise UsageError(f"{path}: lm_head.weight is not transformer.wte.weight, as it is in every MicroRWKV")
    tied = "lm_head.weight = transformer.wte.weight"
    return weights, {"arch": "microrwkv", "tied": tied, **{k: str(v) for k, v in about.items()}}


def _recognise(weights: dict, about: dict, path: pathlib.Path):
    """(tensors under the names that perdure reads, metadata)."""
    if any(n.startswith("blocks.0.att.") for n in weights):
        return weights, {}
    if "rwkv.wte.weight" in weights:
        return _with_biases(_rename(weights, _from_nano, path)), {}
    if any(re.match(r"transformer\.h\.0\.tmix\.", n) for n in weights):
        return _micro(weights, about, path)
    if any(n.startswith("rwkv.blocks.0.attention.") for n in weights):
        return _rename(weights, _from_huggingface, path), {}
    if any(n.startswith("model.layers.0.attn.w_lora.") for n in weights):
        return _fla(weights, path)
    first = ", ".join(list(weights)[:3]) or "none"
    raise UsageError(f"{path} is no checkpoint of RWKV, nanoRWKV or MicroRWKV: its first tensors are {first}")


def _weights_of(content, path: pathlib.Path):
    """(name to tensor, what the checkpoint says about its model)."""
    about = {}
    if isinstance(content, dict) and isinstance(content.get("model"), dict):  # nanoGPT's layout
        about = content.get("model_args") or {}
        content = content["model"]
    if not isinstance(content, dict) or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise UsageError(f"{path} does not hold the tensors of a model by name")
    strip = "_orig_mod."  # of torch.compile
    return {n[len(strip):] if n.startswith(strip) else n: t for n, t in content.items()}, about


def _about_state(weights: dict, version: str, path: pathlib.Path) -> dict:
    """The metadata of a tuned state: its tensors do not tell the version that it is for."""
    others = [n for n in weights if not re.fullmatch(r"blocks\.\d+\.att\.time_state", n)]
    if others:
        raise UsageError(f"--state-of is for tuned states, which are blocks.N.att.time_state alone; {path} has {others[0]}")
    return {"rwkv_version": version}


def convert(source: pathlib.Path, out: pathlib.Path, types: str = "keep", state_of: str = "") -> None:
    """`types`: "keep" leaves F32, BF16 and F16 as they are, "f32" makes all F32; other types become F32 always.
    `state_of`: the version of RWKV that a tuned state is for."""
    weights, about = _weights_of(_load(source), source)
    weights, metadata = _recognise(weights, about, source)
    if state_of:
        metadata = _about_state(weights, state_of, source)
    kept = _KEPT if types == "keep" else ()
    safetensors.write(out, weights, kept, metadata)
