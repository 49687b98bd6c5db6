# SPDX-License-Identifier: Apache-2.0
"""The llama of llama2.c and llama2Rnn: options, blocks, plain attention. Parameter names are those of its checkpoints."""

import dataclasses
import math
import re
from typing import Optional

import torch
from torch import nn
from torch.nn import functional

from ..arguments import LARGEST
from ..errors import UsageError
from ..rotary import Positions, check_extend_method


_ATTENTION_ONLY = {"n_kv_heads", "multiple_of", "norm_eps", "shared_classifier", "theta", "key_norm", "extend_method",
                   "extend_seq_len", "attention_type", "memseqlen", "do_wm", "do_memory_ffn", "memory_norm", "reuse_kv",
                   "train_orimem"}
_ADDED_TO_THE_STREAM = ("w3.weight", "wo.weight", "wm.weight", "o_proj.weight")
_OF_CONTEXTS = ("encoder_dim", "encoder_layers", "encoder_heads", "encoder_kv_heads", "encoder_hidden_dim", "cross_layers",
                "chunk", "contexts", "duplicate")


@dataclasses.dataclass
class ModelArgs:
    """Names as in llama2Rnn; the defaults are those its published models were trained with."""

    architecture: str = "llama"  # or rwkv7, microrwkv, rmt, rmt_network, mlm, cepe
    dim: int = 288
    n_layers: int = 6
    n_heads: int = 6
    n_kv_heads: int = 0  # 0: as many as n_heads
    vocab_size: int = 0  # 0: that of the data
    hidden_dim: int = 0  # 0: 8/3 of dim, rounded up to multiple_of
    multiple_of: int = 32
    norm_eps: float = 1e-5
    max_seq_len: int = 256
    dropout: float = 0.0
    shared_classifier: bool = True
    theta: float = 10000.0
    key_norm: bool = False
    extend_method: str = ""
    extend_seq_len: int = 0  # 0: max_seq_len
    attention_type: str = "attention"  # or memory_attention
    memseqlen: int = 32
    do_wm: bool = False
    do_memory_ffn: bool = True
    memory_norm: bool = True
    reuse_kv: bool = True
    train_orimem: bool = True
    update_memory: bool = False
    num_mem_tokens: int = 0  # of rmt and rmt_network
    num_residual_streams: int = 0  # of rmt_network; 0: 4
    encoder_dim: int = 0  # of cepe, as all that follows
    encoder_layers: int = 0
    encoder_heads: int = 0
    encoder_kv_heads: int = 0  # 0: as many as encoder_heads
    encoder_hidden_dim: int = 0  # 0: as hidden_dim, of encoder_dim
    cross_layers: int = 0  # so many of the last layers attend to contexts; 0: all
    chunk: int = 0  # tokens that the encoder reads together; 0: max_seq_len
    contexts: int = 0  # chunks before a window that it attends to
    duplicate: bool = False  # a window attends to its own chunks instead

    def __post_init__(self):
        self._check_ranges()
        if self.architecture in ("rwkv7", "microrwkv", "rmt_network"):
            self._check_no_llama()
        elif self.architecture not in ("llama", "rmt", "mlm", "cepe"):
            raise UsageError(f"architecture '{self.architecture}' is not known; llama, rmt, rmt_network, mlm, cepe, rwkv7 and "
                             "microrwkv are")
        self._check_memory_tokens()
        self._check_contexts()
        self.n_kv_heads = self.n_kv_heads or self.n_heads
        self.extend_seq_len = self.extend_seq_len or self.max_seq_len
        if not self.hidden_dim:
            self.hidden_dim = -(-(8 * self.dim // 3) // self.multiple_of) * self.multiple_of
        if self.dim % self.n_heads or self.head_size % 2:
            raise UsageError(f"n_heads = {self.n_heads} must divide dim = {self.dim} into heads of even size")
        if self.n_heads % self.n_kv_heads:
            raise UsageError(f"n_kv_heads = {self.n_kv_heads} does not divide n_heads = {self.n_heads}")
        if self.architecture == "microrwkv" and self.dim % (4 * self.n_heads):
            raise UsageError(f"4 * n_heads = {4 * self.n_heads} must divide dim = {self.dim} in architecture microrwkv")
        if self.attention_type not in ("attention", "memory_attention"):
            raise UsageError(f"attention_type '{self.attention_type}' is not known; attention and memory_attention are")
        check_extend_method(self)
        beyond = [n for n in re.findall(r"memlayer(\d+)", self.extend_method) if int(n) >= self.n_layers]
        if beyond:
            raise UsageError(f"extend_method '{self.extend_method}': there is no layer {beyond[0]}; the last one of "
                             f"{self.n_layers} is {self.n_layers - 1}")

    def _check_ranges(self) -> None:
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if not isinstance(value, {bool: int, float: (int, float)}.get(field.type, field.type)):
                raise UsageError(f"{name} = {value!r} is no {field.type.__name__}")
            setattr(self, name, field.type(value))  # files may write true as 1, and 500.0 as 500
            least = 0 if field.default == 0 else 1  # 0 stands for what the comment at the option says
            if field.type is int and not least <= value <= LARGEST:
                raise UsageError(f"{name} = {value} must be a whole number from {least} to {LARGEST}")
        if not (0 < self.theta < math.inf and 0 < self.norm_eps < math.inf and 0 <= self.dropout < 1):
            raise UsageError(f"theta = {self.theta} and norm_eps = {self.norm_eps} must be above 0, dropout = {self.dropout} "
                             "from 0 to below 1")

    def _check_no_llama(self) -> None:
        """What shapes a llama's attention must stay at its default, or at what this method made of it."""
        widest = 4 * self.dim
        self.hidden_dim = self.hidden_dim or (int(widest * 2 / 3) if self.architecture == "rmt_network" else widest)
        for field in dataclasses.fields(self):
            if field.name in _ATTENTION_ONLY and getattr(self, field.name) not in (field.default, self._derived(field.name)):
                raise UsageError(f"{field.name} is an option of a llama's attention, which {self.architecture} does not have; "
                                 "leave it out")

    def _check_memory_tokens(self) -> None:
        if self.architecture != "rmt_network" and self.num_residual_streams:
            raise UsageError(f"num_residual_streams = {self.num_residual_streams} is an option of architecture rmt_network; "
                             "leave it out")
        if self.architecture not in ("rmt", "rmt_network"):
            if self.num_mem_tokens:
                raise UsageError(f"num_mem_tokens = {self.num_mem_tokens} is an option of architectures rmt and rmt_network; "
                                 "leave it out")
            return
        if not self.num_mem_tokens:
            raise UsageError(f"architecture {self.architecture} needs memory tokens: set num_mem_tokens")
        if self.architecture == "rmt":
            self._check_plain()

    def _check_plain(self) -> None:
        if self.attention_type != "attention" or self.extend_method or self.extend_seq_len not in (0, self.max_seq_len):
            raise UsageError(f"architecture {self.architecture} is made of a plain llama; leave out attention_type, "
                             "extend_method and extend_seq_len")

    def _check_contexts(self) -> None:
        if self.architecture in ("mlm", "cepe"):
            self._check_plain()
            if self.key_norm:
                raise UsageError(f"architecture {self.architecture} has no key_norm; leave it out")
        if self.architecture != "cepe":
            given = next((name for name in _OF_CONTEXTS if getattr(self, name)), None)
            if given:
                raise UsageError(f"{given} is an option of architecture cepe; leave it out")
            return
        missing = next((name for name in _OF_CONTEXTS[:3] if not getattr(self, name)), None)
        if missing:
            raise UsageError(f"architecture cepe needs an encoder: set {missing}, or name a run of architecture mlm with "
                             "--encoder")
        self.cross_layers, self.chunk = self.cross_layers or self.n_layers, self.chunk or self.max_seq_len
        if self.cross_layers > self.n_layers:
            raise UsageError(f"cross_layers = {self.cross_layers} is more than the {self.n_layers} layers of n_layers")
        if self.max_seq_len % self.chunk:
            raise UsageError(f"chunk = {self.chunk} must divide max_seq_len = {self.max_seq_len}")

    def _derived(self, name: str):
        return {"n_kv_heads": self.n_heads, "extend_seq_len": self.max_seq_len}.get(name)

    @property
    def head_size(self) -> int:
        return self.dim // self.n_heads

    def is_memory_layer(self, layer: int) -> bool:
        """The original looks for the text, so that memlayer1 also means layer 10."""
        if self.attention_type != "memory_attention":
            return False
        return "memlayer" not in self.extend_method or f"memlayer{layer}" in self.extend_method


class RMSNorm(nn.Module):
    def __init__(self, dim: int, eps: float):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.eps) * self.weight


class FeedForward(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.w1 = nn.Linear(args.dim, args.hidden_dim, bias=False)
        self.w2 = nn.Linear(args.hidden_dim, args.dim, bias=False)
        self.w3 = nn.Linear(args.dim, args.hidden_dim, bias=False)

    def forward(self, x):
        return self.w2(functional.silu(self.w1(x).float()) * self.w3(x))  # CPUs have no fast silu in bf16


def norm_keys(k):
    """key_norm: every head's key gets the mean square 1."""
    return k * torch.rsqrt(k.pow(2).mean(-1, keepdim=True) + 1e-5)


def attend(q, k, v, mask, causal: bool = False):
    """[batch, heads, rows, head size] over keys; `mask` [rows, keys] is 0 where a row may look, else minus infinity.
    `causal`: the mask is that of the rows before, for which PyTorch 2 has one operation."""
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    if causal and hasattr(functional, "scaled_dot_product_attention"):
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    scale = 1 / math.sqrt(q.shape[-1])
    score = torch.baddbmm(mask.to(q.dtype), q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), alpha=scale)
    return torch.bmm(score.softmax(-1).to(v.dtype), v.flatten(0, 1)).view(q.shape)


def additive_mask(visible):
    return torch.zeros(visible.shape).masked_fill(~visible, float("-inf"))


class ProjectedAttention(nn.Module):
    """What plain and memory attention share: the four matrices, and heads."""

    def __init__(self, args: ModelArgs):
        super().__init__()
        self.args = args
        kv = args.n_kv_heads * args.head_size
        self.wq = nn.Linear(args.dim, args.dim, bias=False)
        self.wk = nn.Linear(args.dim, kv, bias=False)
        self.wv = nn.Linear(args.dim, kv, bias=False)
        self.wo = nn.Linear(args.dim, args.dim, bias=False)

    def heads(self, x):
        """[batch, rows, heads * head size] to [batch, heads, rows, head size]."""
        return x.view(*x.shape[:2], -1, self.args.head_size).transpose(1, 2)


class Attention(ProjectedAttention):
    """Causal attention over the window. Keeps nothing from one window to the next."""

    def __init__(self, args: ModelArgs):
        super().__init__(args)
        self.positions = Positions(args, max(args.extend_seq_len, args.max_seq_len))
        length = self.positions.length
        visible = _visible(args, length)
        self.causal = torch.equal(visible, torch.ones_like(visible).tril())
        self.register_buffer("mask", additive_mask(visible), persistent=False)

    def initial_memory(self):
        return None

    def forward(self, x, memory):
        length = x.shape[1]
        if length > self.mask.shape[0]:
            raise UsageError(f"a window of {length} tokens is longer than extend_seq_len = {self.mask.shape[0]}")
        q = self.positions.queries(self.heads(self.wq(x)))
        k = self.positions.keys(self.heads(self.wk(x)))
        if self.args.key_norm:
            k = norm_keys(k)
        v = self.heads(self.wv(x))
        out = attend(q.to(v.dtype), k.to(v.dtype), v, self.mask[:length, :length], self.causal)
        return self.wo(out.transpose(1, 2).flatten(2)), memory


def _visible(args: ModelArgs, length: int):
    """[length, length]: causal; or the latest max_seq_len keys, and all for the last rows of SWAHalf and SWAQuater."""
    i, j = torch.arange(length)[:, None], torch.arange(length)
    visible = j <= i
    method, window = args.extend_method, args.max_seq_len
    if "SWA" in method or "BCA" in method:
        tail = window // 2 if "SWAHalf" in method else window // 4 if "SWAQuater" in method else 0
        visible &= (j > i - window) | (i >= length - tail)
    return visible


class Block(nn.Module):
    def __init__(self, args: ModelArgs, attention: nn.Module):
        super().__init__()
        self.attention = attention
        self.feed_forward = FeedForward(args)
        self.attention_norm = RMSNorm(args.dim, args.norm_eps)
        self.ffn_norm = RMSNorm(args.dim, args.norm_eps)
        self.dropout = nn.Dropout(args.dropout)

    def forward(self, x, memory):
        mixed, carried = self.attention(self.attention_norm(x), memory)
        x = self.between(x + self.dropout(mixed), memory)
        return x + self.dropout(self.feed_forward(self.ffn_norm(x))), carried

    def between(self, x, memory):
        """What stands between attention and feed-forward: nothing."""
        return x


class Transformer(nn.Module):
    """Tokens [batch, rows] to logits [batch, rows, vocabulary]; `memory` has an entry per layer, None if it has none."""

    def __init__(self, args: ModelArgs, make_block=lambda args, layer: Block(args, Attention(args))):
        super().__init__()
        self.args = args
        self.tok_embeddings = nn.Embedding(args.vocab_size, args.dim)
        self.layers = nn.ModuleList(make_block(args, i) for i in range(args.n_layers))
        self.norm = RMSNorm(args.dim, args.norm_eps)
        self.output = None if args.shared_classifier else nn.Linear(args.dim, args.vocab_size, bias=False)
        self.dropout = nn.Dropout(args.dropout)
        self._initialise()

    def _initialise(self):
        small = 0.02 / math.sqrt(2 * self.args.n_layers)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=small if name.endswith(_ADDED_TO_THE_STREAM) else 0.02)

    def start(self, memory: Optional[list], fresh):
        """What a window begins with: `memory`, but the initial one in the rows [batch] where `fresh` is True."""
        started = []
        for i, block in enumerate(self.layers):
            initial = block.attention.initial_memory()
            if initial is None:
                started.append(None)
                continue
            initial = initial.expand(fresh.shape[0], -1, -1)
            started.append(initial if memory is None else torch.where(fresh[:, None, None], initial, memory[i]))
        return started

    def forward(self, tokens, memory: Optional[list] = None):
        if memory is None:
            memory = self.start(None, torch.ones(tokens.shape[0], dtype=torch.bool, device=tokens.device))
        x, carried = self.hidden(self.embed(tokens), memory)
        return self.classify(x), carried

    def embed(self, tokens):
        return self.dropout(self.tok_embeddings(tokens))

    def hidden(self, x, memory: list):
        """Embeddings [batch, rows, dim] to (outputs behind the last norm, memory)."""
        carried = []
        for block, layer_memory in zip(self.layers, memory):
            x, layer_memory = block(x, layer_memory)
            carried.append(layer_memory)
        return self.norm(x), carried

    def classify(self, x):
        return functional.linear(x, self.tok_embeddings.weight if self.output is None else self.output.weight)
