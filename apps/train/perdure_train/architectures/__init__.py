# SPDX-License-Identifier: Apache-2.0
"""One file per architecture. A model takes (tokens, memory) to (logits, memory), has `start(memory, fresh)`, and names its
parameters as its checkpoints do; `build` picks it."""

from .cepe import Cepe
from .llama import Attention, Block, ModelArgs, Transformer
from .memory_attention import MemoryAttention
from .microrwkv import MicroRwkv
from .mlm import Mlm
from .rmt import Rmt
from .rmt_network import RmtNetwork
from .rwkv7 import Rwkv7

__all__ = ["ModelArgs", "build"]


def _block(args: ModelArgs, layer: int) -> Block:
    return Block(args, MemoryAttention(args) if args.is_memory_layer(layer) else Attention(args))


def _llama(args: ModelArgs) -> Transformer:
    return Transformer(args, _block)


_ARCHITECTURES = {"cepe": Cepe, "llama": _llama, "microrwkv": MicroRwkv, "mlm": Mlm, "rmt": Rmt, "rmt_network": RmtNetwork,
                  "rwkv7": Rwkv7}


def build(args: ModelArgs):
    """A freshly initialised model. Errors: UsageError if the options contradict each other."""
    return _ARCHITECTURES[args.architecture](args)
