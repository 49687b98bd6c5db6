# SPDX-License-Identifier: Apache-2.0
"""Folders as transformers saves them: names of tensors, rotation by halves of a head, config.json. Of CEPE and its encoder."""

import json
import pathlib

from . import safetensors
from .architectures import ModelArgs
from .architectures.mlm import mask_token
from .files import write_atomically

_PARTS = {"attention.wq": "self_attn.q_proj", "attention.wk": "self_attn.k_proj", "attention.wv": "self_attn.v_proj",
          "attention.wo": "self_attn.o_proj", "feed_forward.w1": "mlp.gate_proj", "feed_forward.w2": "mlp.down_proj",
          "feed_forward.w3": "mlp.up_proj", "attention_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
          "tok_embeddings": "embed_tokens"}
_CLASSIFIER = "lm_head.weight"


def name_in_folder(name: str) -> str:
    """Of a parameter of this trainer."""
    for own, theirs in _PARTS.items():
        if f".{own}." in name:
            return name.replace(f".{own}.", f".{theirs}.")
    return _CLASSIFIER if name == "model.output.weight" else name


def is_rotated(name: str) -> bool:
    """Whether the rows of this parameter are queries or keys that are rotated."""
    return name.endswith(("attention.wq.weight", "attention.wk.weight"))


def by_halves(weight, heads: int):
    """transformers rotates the halves of a head, llama2.c neighbours."""
    return weight.view(heads, -1, 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def by_neighbours(weight, heads: int):
    """What by_halves was given."""
    return weight.view(heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def _llama(args: ModelArgs, vocab_size: int) -> dict:
    return {"model_type": "llama", "hidden_act": "silu", "vocab_size": vocab_size, "hidden_size": args.dim,
            "intermediate_size": args.hidden_dim, "num_hidden_layers": args.n_layers, "num_attention_heads": args.n_heads,
            "num_key_value_heads": args.n_kv_heads, "max_position_embeddings": args.max_seq_len, "rms_norm_eps": args.norm_eps,
            "rope_theta": args.theta, "rope_scaling": None}


def _about_encoder(encoder) -> dict:
    return {**_llama(encoder.args, encoder.args.vocab_size), "is_decoder": False}


def _about(model) -> dict:
    if model.args.architecture == "mlm":
        return {"architectures": ["LlamaForMLM"], "tie_word_embeddings": True, "mask_token_id": mask_token(model.args),
                **_about_encoder(model.model)}
    args = model.args
    return {"architectures": ["LlamaForCausalContextLM"], "is_decoder": True, "tie_word_embeddings": False,
            "do_cross_attention": True, "num_cross_attn_layers": args.cross_layers, "num_cross_attn_hidden_states": 1,
            "encoder_is_model": False, "encode_mode": "context_only", "encoder_hidden_size": args.encoder_dim,
            **_llama(args, args.vocab_size), "encoder_config": _about_encoder(model.encoder)}


def _weights(model) -> dict:
    """By their names in the folder, as they are there."""
    weights = {}
    for name, weight in model.state_dict().items():
        if is_rotated(name):
            weight = by_halves(weight, weight.shape[0] // head_size(model, name))
        weights[name_in_folder(name)] = weight
    if model.args.architecture == "cepe" and model.args.shared_classifier:
        weights[_CLASSIFIER] = model.state_dict()["model.tok_embeddings.weight"]
    return weights


def head_size(model, name: str) -> int:
    """Of the llama that has this parameter."""
    return getattr(model, name.split(".", maxsplit=1)[0]).args.head_size


def write(folder: pathlib.Path, model) -> None:
    """`model`: Cepe or Mlm. Makes the folder, or replaces the two files in it."""
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.write(folder / "model.safetensors", _weights(model))
    about = json.dumps(_about(model), indent=1) + "\n"
    write_atomically(folder / "config.json", lambda file: file.write(about.encode()))
