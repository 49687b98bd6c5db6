# SPDX-License-Identifier: Apache-2.0
"""What the commands train, finetune and evaluate do."""

import dataclasses
import math
import pathlib
import re

import torch

from . import checkpoint, contexts, lora, segments
from .architectures import ModelArgs, build
from .data import TokenFile
from .distillation import check_mode
from .errors import UsageError
from .evaluate import check_lengths, loss_by_length, recall
from .loop import Trainer, is_judged_by_contexts, pick_device
from .tokenizer import Tokenizer

# What a resumed run may change without becoming another one.
_FREE = {"out", "device", "threads", "log_every", "validate_every", "validation_batches", "checkpoint_seconds", "run",
         "data", "base", "encoder", "teacher"}
# What came later: run folders that do not tell it have these.
_ADDED = {"segments": 1, "segments_grow": 0, "vary_segments": False, "replay": False, "teacher": None,
          "kl_weight": 2.0, "kl_top": 50, "kl_mode": "smooth_1e-6", "encoder": None, "cross_init": "copy"}
_PLACES = ("data", "base", "encoder", "teacher")
_MEMORY_PARTS = ("wm.", "ffn_norm.", "feed_forward.", "memory_norm.", "wkm.", "wvm.", "origin_mem")
# What the weights of a base have fixed, and what decides which weights there are.
_SHAPE = ("architecture", "dim", "n_layers", "n_heads", "n_kv_heads", "hidden_dim", "multiple_of", "shared_classifier",
          "num_residual_streams")
_PARTS = ("architecture", "attention_type", "extend_method", "do_wm", "do_memory_ffn", "memory_norm", "reuse_kv", "train_orimem")
# Of llama2Rnn's files: a matrix that computes nothing, and what a memory held when they were written.
# Of rmt: the learned memory, and what stands before the names of the llama inside.
_LEARNED_MEMORY, _INSIDE = "memory_cell.memory", re.compile(r"^(memory_cell\.)?model\.")
_WITHOUT_EFFECT = (".attention.wqm.weight", ".attention.memory")


def _model_args(options, vocab_size: int) -> ModelArgs:
    values = {f.name: getattr(options, f.name) for f in dataclasses.fields(ModelArgs)}
    if values["vocab_size"] not in (0, vocab_size):
        raise UsageError(f"--vocab-size {values['vocab_size']}: the data has {vocab_size} pieces; leave the option out")
    if options.update_memory and options.chain == 1 and options.reading != "stream":
        raise UsageError("--update-memory means that memory is carried from batch to batch: add --reading stream or --chain")
    args = ModelArgs(**dict(values, vocab_size=vocab_size))
    _check_window(options, args)
    return args


def _check_window(options, args: ModelArgs) -> None:
    window, part = options.window or args.max_seq_len, options.ask_every
    if args.extend_seq_len < args.max_seq_len:
        raise UsageError(f"--extend-seq-len {args.extend_seq_len} is below the {args.max_seq_len} tokens of --max-seq-len, "
                         "which it extends; leave it out")
    _check_segments(options)
    _check_contexts(options, args)
    if options.reading == "stream" and options.chain != 1:
        raise UsageError("--reading stream never begins anew, as --chain says when to; leave one of the two out")
    if args.attention_type == "memory_attention" and window % args.memseqlen:
        raise UsageError(f"a window of {window} tokens would end within a segment of memseqlen = {args.memseqlen}; "
                         "take a multiple of it for --window")
    if part and options.reading != "dialogue":
        raise UsageError("--ask-every asks for facts of conversations: add --reading dialogue")
    if part and ("emamem" in args.extend_method or not all(map(args.is_memory_layer, range(args.n_layers)))):
        raise UsageError("--ask-every needs memory attention in every layer, and no emamem: others make of a window that is "
                         "read part by part something else than of the whole; leave it out")
    if part and (window % part or part % args.memseqlen):
        raise UsageError(f"--ask-every {part} must divide the window of {window} tokens into parts of whole segments")


def _check_segments(options) -> None:
    if options.reading not in ("stream", "segments") and options.segments > options.chain:
        raise UsageError(f"--segments {options.segments}: gradients go back through windows that a row reads in a row, which "
                         f"--chain {options.chain} does not let be so many; set it to {options.segments} or more")
    if options.segments == 1 and (options.segments_grow or options.vary_segments):
        raise UsageError("--segments-grow and --vary-segments need --segments above 1; leave them out")


def _check_contexts(options, args: ModelArgs) -> None:
    check_mode(options.kl_mode)
    if options.teacher and (args.architecture == "mlm" or options.ask_every):
        raise UsageError("--teacher says what follows in a row that is read whole: it goes with neither architecture mlm nor "
                         "--ask-every")
    if options.architecture in ("mlm", "cepe") and (options.reading not in ("shuffled", "order") or options.chain > 1):
        raise UsageError(f"architecture {options.architecture} carries nothing from window to window; leave out --reading and "
                         "--chain")
    if args.architecture == "cepe" and not (args.contexts or args.duplicate):
        raise UsageError("architecture cepe would see no contexts: set contexts and a --window of several max_seq_len, or "
                         "duplicate")
    if args.contexts and not args.duplicate and (options.window or args.max_seq_len) <= args.max_seq_len:
        raise UsageError(f"--window {options.window}: contexts are what stands before the last {args.max_seq_len} tokens of a "
                         "window; set it to a multiple of them")


def _training_options(options) -> dict:
    """What run.json keeps; places as they are found from anywhere."""
    model = {f.name for f in dataclasses.fields(ModelArgs)}
    values = {k: v for k, v in vars(options).items() if k not in model and k != "run"}
    return {k: str(pathlib.Path(v).resolve()) if k in _PLACES and v else v for k, v in values.items()}


def _open_folder(options, args: ModelArgs) -> pathlib.Path:
    """Makes the run folder, or checks that it holds the same run."""
    folder, training = pathlib.Path(options.out), _training_options(options)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "checkpoint.pt").exists():
        old = checkpoint.load_options(folder)
        before = {**{f.name: f.default for f in dataclasses.fields(ModelArgs)}, **_ADDED, **old["model"], **old["training"]}
        for name, value in {**dataclasses.asdict(args), **training}.items():
            if name not in _FREE and before.get(name) != value:
                raise UsageError(f"{folder} holds a run with {name} = {before.get(name)}, not {value}; "
                                 "resume it with the same options or choose another --out")
        print(f"resuming {folder}")
    checkpoint.save_options(folder, args, training)
    return folder


def _run(options, args: ModelArgs, make_model) -> None:
    device = pick_device(options.device)  # refused before there is a folder
    torch.manual_seed(options.seed)
    if options.threads:
        torch.set_num_threads(options.threads)
    model = make_model(args)
    if is_judged_by_contexts(args):
        contexts.check(model, TokenFile(options.data, "validation"), (args.contexts,))
    trainer = Trainer(model, device, options, _open_folder(options, args))
    count = sum(p.numel() for p in trainer.model.parameters())
    print(f"{count:,} parameters, {trainer.device}, step {trainer.steps_done} of {trainer.schedule.steps}")
    trainer.run()


def train(options) -> None:
    _run(options, _model_args(options, TokenFile(options.data, "train").vocab_size), build)


def finetune(options) -> None:
    from .importing import load_base
    base, weights = load_base(pathlib.Path(options.base))
    vocab_size = TokenFile(options.data, "train").vocab_size
    if vocab_size != base["vocab_size"]:
        raise UsageError(f"{options.base} knows {base['vocab_size']} pieces and {options.data} has {vocab_size}; "
                         "prepare the data with --tokenizer and the tokenizer.model of the base")
    encoder = _read_encoder(options, base)
    _take_over(options, base)
    _run(options, _model_args(options, vocab_size), lambda args: _tuned_model(args, base, weights, options, encoder))


def _read_encoder(options, base: dict):
    """The weights of the run that --encoder names, or None. Its sizes become options."""
    if not options.encoder:
        return None
    model, _ = checkpoint.load_model(pathlib.Path(options.encoder))
    args = model.args
    if args.architecture != "mlm" or (base["architecture"], options.architecture) != ("llama", "cepe"):
        raise UsageError(f"--encoder {options.encoder}: a run of architecture mlm makes a llama a model of architecture cepe")
    if args.vocab_size != base["vocab_size"]:
        raise UsageError(f"--encoder {options.encoder} knows {args.vocab_size} pieces and {options.base} has "
                         f"{base['vocab_size']}; train one with the data of the base")
    for name, value in (("dim", args.dim), ("layers", args.n_layers), ("heads", args.n_heads), ("kv_heads", args.n_kv_heads),
                        ("hidden_dim", args.hidden_dim)):
        setattr(options, f"encoder_{name}", value)
    return model.state_dict()


def _take_over(options, base: dict) -> None:
    """What the command line leaves open is as in the base."""
    if base["extend_seq_len"] == base["max_seq_len"]:
        base = {**base, "extend_seq_len": 0}  # no length of its own: it follows a new window
    for name, value in base.items():
        given = getattr(options, name)
        if given is None:
            setattr(options, name, value)
        elif name == "architecture" and value == "llama" and given in ("rmt", "cepe"):
            continue  # which wraps it
        elif name in _SHAPE and given != value:
            raise UsageError(f"--{name.replace('_', '-')}: {options.base} has {name} = {value}, which fine-tuning cannot "
                             f"change to {given}; leave the option out")


def _fitted(weight, own):
    """An initial memory [1, rows, dim] of another length is cut, or goes on from its beginning."""
    if weight.dim() != 3 or weight.shape[1] == own.shape[1]:
        return weight
    return weight[:, torch.arange(own.shape[1]) % weight.shape[1]]


def _of_tokens(name: str) -> str:
    """The weight that reads tokens as this one reads memory, or that a wrapped llama has; any other one itself."""
    return _INSIDE.sub("", name).replace(".wkm.", ".wk.").replace(".wvm.", ".wv.")


def _check_nothing_is_lost(args: ModelArgs, base: dict, weights: dict, used: set, where: str) -> None:
    """Errors: UsageError if the base has weights that the model has no place for. A memory that is not wanted is told."""
    def says_nothing(name: str, weight) -> bool:
        twin = _of_tokens(name)
        return (name.endswith(_WITHOUT_EFFECT) or name.endswith(".origin_mem") and not weight.any()
                or twin != name and torch.equal(weight, weights[twin]))

    lost = [name for name, weight in weights.items() if name not in used and not says_nothing(name, weight)]
    if lost and args.attention_type != base["attention_type"] and all(map(is_memory_parameter, lost)):
        print(f"the memory of {where} is left out: {len(lost)} weights")
    elif lost:
        raise UsageError(f"{where} has the weight {lost[0]}, for which the options leave no place; take those of the base")


def _tuned_model(args: ModelArgs, base: dict, weights: dict, options, encoder=None):
    """The base's weights, new memory parameters, and only those that are to be trained unfrozen."""
    model = build(args)
    own, used, new = model.state_dict(), set(), []
    for name in own:
        source = name if name in weights else _of_tokens(name)  # memory is read as tokens are, to begin with
        if source in weights:
            weight = _fitted(weights[source], own[name])
            if weight.shape != own[name].shape:
                raise UsageError(f"{options.base} has {source} in another size than its options say")
            own[name] = weight
            used.add(source)
        else:
            new.append(name)
    same_parts = all(getattr(args, name) == base[name] for name in _PARTS)
    missing = [name for name in new if same_parts or not is_memory_parameter(name)]
    if missing:
        raise UsageError(f"{options.base} lacks the weight {missing[0]}, which its options ask for")
    _check_nothing_is_lost(args, base, weights, used, options.base)
    if new and options.trained == "lora":
        raise UsageError(f"--trained lora would leave {new[0]} and other new weights as they were drawn at random; train the "
                         "memory first, with --trained memory, and adapt that run")
    model.load_state_dict(own)
    if _LEARNED_MEMORY in new:
        model.memory_cell.initialise_memory()
    if (base["architecture"], args.architecture) == ("llama", "cepe"):
        model.begin(encoder, options.cross_init == "silent")
    if options.trained == "lora":
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        lora.add_adapters(model, options.lora_rank, options.lora_alpha)
        return model
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(options.trained == "all" or is_memory_parameter(name)
                                 or (options.trained == "memory+attention" and ".attention." in name))
    if not any(p.requires_grad for p in model.parameters()):
        raise UsageError("nothing is left to be trained: take --attention-type memory_attention, --architecture rmt or cepe, "
                         "or --trained all or lora")
    return model


def is_memory_parameter(name: str) -> bool:
    """Of a memory layer alone, or of what reads contexts, by its name in a checkpoint."""
    if name.startswith("encoder.") or ".cross_attn." in name:
        return True
    return name == _LEARNED_MEMORY or ".attention." in name and name.split(".attention.")[1].startswith(_MEMORY_PARTS)


def _tell_segments(options, model, data: pathlib.Path, device) -> None:
    pieces = Tokenizer(data / "tokenizer.model")
    for distance in options.distances:
        right, total = segments.recall(model, pieces, distance, options.samples, device, options.split)
        control, _ = segments.recall(model, pieces, distance, options.samples, device, options.split, reset=True)
        low, high = segments.interval(right, total)
        print(f"{distance:>8} segments  {right / total:.1%} of {total} right ({low:.1%} to {high:.1%})  {control / total:.1%} "
              "with the memory reset before the question")


def _tell_contexts(options, model, file: TokenFile, device) -> None:
    if model.args.architecture != "cepe":
        raise UsageError(f"--contexts is for architecture cepe; {options.run_folder} is {model.args.architecture}")
    contexts.tell(model, file, options.contexts, options.samples, device)


def evaluate(options) -> None:
    """Prints a line per length: mean loss and its 95 % interval; or per distance, how many facts are recalled."""
    model, about = checkpoint.load_model(pathlib.Path(options.run_folder))
    device = pick_device(options.device)
    data = options.data or about["training"]["data"]
    file = TokenFile(data, options.split)
    if file.vocab_size != model.args.vocab_size:
        raise UsageError(f"{options.run_folder} knows {model.args.vocab_size} pieces and {data} has {file.vocab_size}; "
                         "name a folder with the vocabulary of the run with --data")
    if options.distances and file.about.get("task") == "segments":
        _tell_segments(options, model.to(device), pathlib.Path(data), device)
        return
    if model.args.architecture == "mlm":
        raise UsageError(f"{options.run_folder} is an encoder, whose loss behind masks is in its log.jsonl")
    if options.contexts:
        _tell_contexts(options, model.to(device), file, device)
        return
    if options.distances:
        pieces = Tokenizer(pathlib.Path(data) / "tokenizer.model")
        for distance in options.distances:
            tokens, right, control = recall(model.to(device), pieces, options.split, distance, options.samples, device)
            print(f"{tokens:>8.0f} tokens  {right:.1%} right  {control:.1%} with the memory reset before the question")
        return
    check_lengths(file, options.lengths)
    if model.args.architecture == "llama" and model.args.attention_type == "attention":  # tables as long as the text
        longer = build(dataclasses.replace(model.args, extend_seq_len=max(model.args.max_seq_len, *options.lengths)))
        longer.load_state_dict(model.state_dict())
        model = longer.eval()
    for length, losses in loss_by_length(model.to(device), file, options.lengths, options.samples, device).items():
        mean = sum(losses) / len(losses)
        spread = math.sqrt(sum((x - mean) ** 2 for x in losses) / max(1, len(losses) - 1) / len(losses))
        print(f"{length:>8}  {mean:.4f} +- {1.96 * spread:.4f}")
