"""Hugging Face model folders: config.json and safetensors, read and written.

The `model_type` in config.json names the family, whose `ModelConfig.hf` translates names and settings.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nlptool import registry, weights_record
from nlptool.atomic_files import of_system, read_json, refused, write_text
from nlptool.errors import DataError
from nlptool.formatting import json_value
from nlptool.models.config import EncoderConfig, ModelConfig
from nlptool.models.layer_sharing import share_layers

CONFIG = "config.json"
ERNIE_CONFIG = "ernie_config.json"
"""The config.json of thunlp's ERNIE; it names no model_type."""
GENERATION = "generation_config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TRAINED = "trained_positions"
"""A further setting in config.json: the number of positions that training has reached."""
ROWS = ("backbone.embeddings.tokens.weight", "mlm.bias")
"""Tensors with a row for each token; a language model's head is the embeddings."""
PICKLE = "pytorch_model.bin"
TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


class Pretrained(NamedTuple):
    """A model folder in nlptool's names."""

    config: ModelConfig
    vocab_size: int
    state: Mapping[str, Tensor]

    @property
    def heads(self) -> frozenset[str]:
        """The heads whose weights are present, e.g. mlm."""
        return frozenset(key.partition(".")[0] for key in self.state) - {"backbone"}

    @property
    def encoder_config(self) -> EncoderConfig:
        """The Config of an encoder."""
        assert isinstance(self.config, EncoderConfig)
        return self.config


class LoadReport(NamedTuple):
    """What `load` could not match: heads of the module that stay random, heads of the state that are not used."""

    fresh: tuple[str, ...]
    unused: tuple[str, ...]


def load_pretrained(folder: Path) -> Pretrained:
    """Read a model folder as `transformers` writes it. Weights become float32.

    Raises DataError for a family or setting that nlptool lacks, for missing, unexpected or damaged files and
    tensors, and for weights that are not finite, as after a run that diverged.
    """
    vocab_size, config = read_config(folder)["vocab_size"], read_model_config(folder)
    tensors = read_tensors(folder)
    _require_finite(folder, tensors)
    try:
        state = share_layers(config.hf().from_hf(tensors), config)
        _require_sizes(config, vocab_size, state)
    except ValueError as error:
        raise DataError(f"{folder}: {error}") from error
    return Pretrained(config, int(vocab_size), {key: state[key].float() for key in state})


def read_model_config(folder: Path) -> ModelConfig:
    """The Config of a config.json, without reading weights. Raises DataError for what nlptool lacks."""
    settings = read_config(folder)
    block = _family(folder, settings)
    try:
        return block.model_validate(block.hf().read(settings))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise DataError(f"{folder / CONFIG}: {problems}") from error
    except ValueError as error:
        raise DataError(f"{folder}: {error}") from error


def _family(folder: Path, settings: Mapping[str, Any]) -> type[ModelConfig]:
    """The family of a model_type. Raises DataError for one that nlptool lacks."""
    if "model_type" not in settings and "layer_types" in settings:  # thunlp's ERNIE names its layers only
        return registry.config("models", "ernie")
    family = settings.get("model_type")
    # The folder of the same name first: the others are imported only if the family has another name here.
    names = sorted(registry.names("models"), key=lambda name: name != family)
    for name in names:
        if (block := registry.config("models", name)).hf().model_type == family:
            return block
    families = [registry.config("models", name).hf() for name in sorted(names)]
    known = ", ".join(one.model_type for one in families)
    other = next((one.namesakes[str(family)] for one in families if str(family) in one.namesakes), None)
    why = other or f"is not a family nlptool has; it has {known}"
    raise DataError(f"{folder / CONFIG}: model_type {json_value(family)} {why}")


def is_in_transformers(folder: Path, settings: Mapping[str, Any]) -> bool:
    """Whether transformers has the family that a folder's settings name. Raises DataError for an unknown one."""
    return _family(folder, settings).hf().in_transformers


def trained_positions(folder: Path, config: ModelConfig) -> int:
    """Number of positions that training has reached; all, where its config.json has no record."""
    trained = read_config(folder).get(TRAINED)
    return min(trained, config.max_positions) if isinstance(trained, int) else config.max_positions


def beyond(folder: Path, config: ModelConfig, longest: int) -> list[str]:
    """A note on a text of this many tokens, special ones included, if training has not reached its positions."""
    reached = trained_positions(folder, config)
    if min(longest, config.max_positions) <= reached:
        return []
    return [
        f"training has reached {reached:,} positions, texts have up to {longest:,} tokens: those beyond are read badly"
    ]


def save_pretrained(
    folder: Path,
    config: ModelConfig,
    state: Mapping[str, Tensor],
    special: Mapping[str, int],
    further: Mapping[str, Any] = MappingProxyType({}),
    architecture: str = "Model",
) -> None:
    """Write config.json and model.safetensors into an existing folder, as `transformers` reads them.

    A decoder without a classifier also gets generation_config.json, which says where a text begins and ends.

    special: ids of the special tokens, "pad" among them. further: settings besides the family's. The tokenizer's
    files are the caller's to add. architecture: what the model is trained for, as transformers ends the name of its
    class: ForMaskedLM, ...; Model has no head.
    """
    hf, vocab_size = config.hf(), state["backbone.embeddings.tokens.weight"].shape[0]
    settings = hf.write(config, vocab_size, special, architecture) | dict(further)
    write(folder, settings, hf.to_hf(state))
    if config.kind == "decoder" and architecture != "ForSequenceClassification":
        roles = {key: settings[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
        _write_json(folder / GENERATION, {key: role for key, role in roles.items() if role is not None})


def cut(pretrained: Pretrained, rows: int) -> Pretrained:
    """The same model with the first `rows` rows of its embeddings, if it has more."""
    state = {key: tensor[:rows] if key in ROWS else tensor for key, tensor in pretrained.state.items()}
    return pretrained._replace(vocab_size=min(rows, pretrained.vocab_size), state=state)


def end_tokens(folder: Path) -> list[int]:
    """The tokens that end a text, as config.json and generation_config.json name them: a number, or a list.

    Raises DataError where a file names something else.
    """
    found: list[int] = []
    for path in (folder / CONFIG, folder / GENERATION):
        named = _json(path).get("eos_token_id") if path.is_file() else None
        ends = named if isinstance(named, list) else [] if named is None else [named]
        if not all(type(end) is int for end in ends):
            raise DataError(
                f"{path}: eos_token_id is {json_value(named)}; expected a token's id, or a list of ids"
            )
        found += ends
    return list(dict.fromkeys(found))


def load(module: nn.Module, state: Mapping[str, Tensor], new: tuple[str, ...] = ()) -> LoadReport:
    """Load a state into a module part by part ("backbone", "mlm", ...).

    The backbone must be there; a head may be missing on either side, and is then reported; a part that both
    have must match in every name and shape. Raises DataError otherwise.
    new: prefixes of parameters within a part that the state may lack altogether; they keep their values.
    """
    own = module.state_dict()
    lacking = tuple(name for name in new if not any(key.startswith(name) for key in state))
    own = {key: tensor for key, tensor in own.items() if not key.startswith(lacking)}
    parts = {key.partition(".")[0] for key in own}
    given = {key.partition(".")[0] for key in state}
    if "backbone" not in parts & given:
        raise DataError("the weights have no backbone: they are not those of a pretrained model")
    wanted = [key for key in own if key.partition(".")[0] in given]
    offered = [key for key in state if key.partition(".")[0] in parts]
    problems = [f"{key} is missing" for key in wanted if key not in state]
    problems += [f"{key} is not expected" for key in offered if key not in own]
    problems += [
        f"{key} has shape {list(state[key].shape)}, expected {list(own[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != own[key].shape
    ]
    if problems:
        raise DataError("the weights do not fit the model:\n" + _first(problems))
    module.load_state_dict({key: state[key] for key in wanted}, strict=False)
    return LoadReport(tuple(sorted(parts - given)), tuple(sorted(given - parts)))


def read_config(folder: Path) -> dict[str, Any]:
    """The settings in config.json. Raises DataError when there are none."""
    theirs = not (folder / CONFIG).exists() and (folder / ERNIE_CONFIG).is_file()
    settings = _json(folder / (ERNIE_CONFIG if theirs else CONFIG))
    if not isinstance(settings.get("vocab_size"), int):
        raise DataError(f"{folder / CONFIG}: vocab_size is missing, or not a number")
    return settings


def class_names(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The class names of a config.json, in order of their numbers: id2label may have any order; () for none.

    Raises ValueError unless the numbers are 0, 1, 2 and so on.
    """
    names = settings.get("id2label") or {}
    if not isinstance(names, dict) or not all(str(number).isdecimal() for number in names):
        raise ValueError("id2label: expected an object with the numbers of the classes as keys")
    by_number = {int(number): str(name) for number, name in names.items()}
    if sorted(by_number) != list(range(len(names))):
        raise ValueError(f"id2label: expected a class for each number from 0 to {len(names) - 1}")
    return tuple(by_number[number] for number in range(len(by_number)))


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of model.safetensors, or of the shards named in its index.

    Raises DataError where they cannot be read, or nlptool's digests do not match.
    """
    weights_record.require_weights(folder)
    if (folder / WEIGHTS).is_file():
        return _tensors(folder / WEIGHTS)
    if (folder / INDEX).is_file():
        placed = _json(folder / INDEX).get("weight_map")
        if not isinstance(placed, dict) or not all(isinstance(name, str) for name in placed.values()):
            raise DataError(f"{folder / INDEX}: weight_map must say of each tensor which file it is in")
        files = set(placed.values())
        if any(Path(name).name != name for name in files):
            raise DataError(f"{folder / INDEX}: a shard lies outside the folder")
        tensors: dict[str, Tensor] = {}
        for name in sorted(files):
            tensors.update(_tensors(folder / name))
        return tensors
    if (folder / PICKLE).is_file():
        convert = (
            "from transformers import AutoModelForPreTraining as M; "
            f"M.from_pretrained('{folder}').save_pretrained('{folder}')"
        )
        if not (folder / CONFIG).exists():  # of thunlp's ERNIE, which transformers does not have
            convert = (
                f"import torch, safetensors.torch as s; t = torch.load('{folder / PICKLE}', weights_only=True, "
                f"map_location='cpu'); s.save_file({{k: v.clone() for k, v in t.items()}}, '{folder / WEIGHTS}')"
            )
        raise DataError(
            f"{folder}: the weights are only in {PICKLE}; a pickle can run any program, so none is read",
            hint=f'if you trust it, convert it once: python -c "{convert}"',
        )
    raise DataError(f"{folder}: no {WEIGHTS} there", hint="name a folder that save_pretrained wrote")


def write(folder: Path, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write model.safetensors, then config.json, into an existing folder."""
    try:
        contiguous = {key: tensor.detach().contiguous() for key, tensor in tensors.items()}
        save_file(contiguous, folder / WEIGHTS, metadata={"format": "pt"})
    except SafetensorError as error:
        raise refused(folder / WEIGHTS, of_system(error)) from error
    _write_json(folder / CONFIG, settings)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(dict(value), indent=2, sort_keys=True) + "\n")


def _require_sizes(config: ModelConfig, vocab_size: int, state: Mapping[str, Tensor]) -> None:
    """Raise ValueError where config.json and the weights differ in size, before a model of that size is built."""
    width = config.embedding_width
    rows = {"tokens": vocab_size, "positions": config.max_positions, "types": config.segment_types or None}
    for name, count in rows.items():
        tensor = state.get(f"backbone.embeddings.{name}.weight")
        if tensor is None and name != "types":
            raise ValueError(f"the weights have no embeddings of {name}")
        if tensor is not None and count is not None and list(tensor.shape) != [count, width]:
            shape = list(tensor.shape)
            raise ValueError(
                f"config.json says {count:,} {name} of width {width:,}; the weights have {shape}"
            )
    inner = state.get("backbone.layers.mlp.0.up.weight")
    if inner is not None and config.mlp_width != len(inner):
        raise ValueError(
            f"config.json says an MLP of width {config.mlp_width:,}; the weights have {len(inner):,}"
        )
    if whole := [key for key, tensor in state.items() if not tensor.is_floating_point()]:
        raise ValueError(
            f"{whole[0]} is {str(state[whole[0]].dtype).removeprefix('torch.')}; weights are fractions"
        )
    numbers = {key.split(".")[3] for key in state if key.startswith("backbone.layers.attention.")}
    if len(numbers) != config.attentions:
        raise ValueError(
            f"config.json says {config.attentions:,} layers with weights of their own; there are {len(numbers)}"
        )


def _require_finite(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.dtype not in TYPES:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise DataError(
                f"{folder}: {name} is {kind}; expected float32, float16 or bfloat16",
                hint="save the model in one of these: in 8 bits weights mean nothing without their scales",
            )
    bad = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if bad:
        raise DataError(
            f"{folder}: {', '.join(bad[:3])}{', ...' if len(bad) > 3 else ''}: not all weights are finite numbers",
            hint="the run that made it diverged; use an earlier checkpoint of it",
        )


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: is not a file")  # a pipe would block
        return load_file(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: the index names this shard, but it is not there") from error
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: cannot be read: {error}", hint="copy or download it again") from error


def _json(path: Path) -> dict[str, Any]:
    remedy = "name a folder that save_pretrained wrote"
    try:
        return read_json(path, dict, remedy)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", hint=remedy) from None


def _first(problems: list[str], most: int = 8) -> str:
    rest = len(problems) - most
    return "\n".join(f"  {problem}" for problem in problems[:most]) + (
        f"\n  and {rest} more" if rest > 0 else ""
    )
