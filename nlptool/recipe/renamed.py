"""Former names and their current ones: keys and values of recipes, options, shipped recipes.

Messages say `train.batch is now train.batch_size`; recipes of run folders are read with the new names.
"""

from collections.abc import Container, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from nlptool.recipe.field_types import FieldType

KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "accumulate": ("gradient_accumulation",),
        "bad": ("on_error",),
        "batch": ("batch_size",),
        "beams": ("num_beams",),
        "clip": ("max_grad_norm",),
        "copies": ("copies_per_row",),
        "corrupt": ("mask_split",),
        "documents": ("document_boundary",),
        "embedding": ("embedding_size",),
        "embeddings": ("entity_embeddings",),
        "faithful": ("masking",),
        "floor": ("min_lr_ratio",),
        "form": ("format",),
        "generator": ("generator_size",),
        "header": ("description",),
        "keep": ("keep_last", "cache_top_k"),
        "layer_decay": ("layerwise_lr_decay",),
        "layers": ("layer_map",),
        "learn": ("loss",),
        "length": ("sequence_length",),
        "lm": ("lm_loss",),
        "made": ("synthetic",),
        "net": ("hidden", "network"),
        "positions": ("max_positions",),
        "prepare": ("preprocess",),
        "recompute": ("activation_checkpointing",),
        "sentences": ("max_sentences",),
        "separator": ("fewshot_delimiter",),
        "shots": ("num_fewshot",),
        "soft": ("kl",),
        "soft_at": ("kl_positions",),
        "start": ("init_from",),
        "tokens": ("store", "max_new_tokens"),
        "twin": ("baseline_student",),
        "types": ("type_vocab_size",),
        "valid": ("validation",),
        "vocab": ("vocab_size",),
        "weight": ("discriminator_weight",),
    }
)
"""Keys, and their possible current names: the one that the block has counts."""


class Moved(NamedTuple):
    """A key that has moved into a block beside it."""

    now: str
    """Its current name, with a dot."""
    beside: tuple[str, ...]
    """Keys of the block that it was in."""
    values: Mapping[Any, Any]
    """New names of its values."""


MOVED: Mapping[str, Moved] = MappingProxyType(
    {"best": Moved("evaluate.select", ("graph", "evaluate"), {True: "best", False: "last"})}
)

VALUES: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "name": {
            "answer": ("text_generation", "generate_until"),
            "choices": ("multiple_choice",),
            "choose": ("multiple_choice",),
            "classify": ("classification",),
            "continuation": ("loglikelihood",),
            "distil": ("distill",),
            "span": ("extractive_qa",),
            "tag": ("token_classification",),
        },
        "loss": {"replaced": ("rtd",), "masked": ("rtd_masked",)},
        "metrics": {"accuracy_per_character": ("acc_norm",)},
    }
)
"""Values by their key's current name."""

FOLDERS: Mapping[str, str] = MappingProxyType({"distil": "distill", "prompts": "prompted-tasks"})
"""Folders of shipped recipes."""

RECIPES: Mapping[str, str] = MappingProxyType({"demo/distil": "demo/distill"})
"""Renamed shipped recipes."""

OPTIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "compare": {"--most": "--limit", "--pairs": "--minimal-pairs"},
        "evaluate": {
            "--characters": "--max-chars",
            "--most": "--limit",
            "--pairs": "--minimal-pairs",
            "--tokens": "--store",
        },
    }
)
"""Options by command."""


def key(old: str, block: Container[str]) -> str | None:
    """The current name of a key in a block with these keys; None if it is unchanged, or unknown."""
    if old in block:
        return None
    moved = MOVED.get(old)
    if moved is not None and all(name in block for name in moved.beside):
        return moved.now
    return next((new for new in KEYS.get(old, ()) if new in block), None)


def value(under: str, old: Any, choices: Container[str]) -> str | None:
    """The current name of a value under a key, among the possible ones; None if it was not renamed."""
    if not isinstance(old, str) or old in choices:
        return None
    return next((new for new in VALUES.get(under, {}).get(old, ()) if new in choices), None)


def recipe(name: str) -> str | None:
    """The current name of a shipped recipe; None if it was not renamed."""
    folder, slash, rest = name.partition("/")
    return RECIPES.get(name) or (f"{FOLDERS[folder]}{slash}{rest}" if folder in FOLDERS else None)


def translated(data: Any, shape: FieldType | None, under: str = "") -> Any:
    """Content of an earlier version under current names. shape: the type of this key."""
    if shape is None:
        return data
    if isinstance(data, tuple):
        each = [translated(one, shape.inner(at, data) or shape, under) for at, one in enumerate(data)]
        return tuple(each)
    if not isinstance(data, dict):
        return value(under, data, shape.choices) or data
    if shape.chosen and (name := value("name", data.get("name"), shape.choices)):
        data = data | {"name": name}
    block = shape.block(data)
    fields = block.model_fields if block else {}
    called = {old: key(old, fields) or old if block else old for old in data}
    found = {}
    for old, new in called.items():
        if old in MOVED and new == MOVED[old].now:
            continue
        found[new] = translated(data[old], shape.inner(new, data), new)
    for old, moved in MOVED.items():
        if called.get(old) == moved.now:
            first, _, rest = moved.now.partition(".")
            found[first] = {**(found.get(first) or {}), rest: moved.values.get(data[old], data[old])}
    return found
