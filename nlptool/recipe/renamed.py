"""What earlier versions called otherwise, and its name of today: keys and values of recipes, options, shipped recipes.

Messages say `train.batch is now train.batch_size`; the recipe that a run folder keeps is read under its new names.
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
"""Keys, and what each may be called now: the one that its block has."""


class Moved(NamedTuple):
    """A key that has become one of a block beside it."""

    now: str
    """Its name of today, with a dot."""
    beside: tuple[str, ...]
    """Keys of the block that it was in."""
    values: Mapping[Any, Any]
    """What its values are called now."""


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
"""Values by the key that they stand under, of today's name."""

FOLDERS: Mapping[str, str] = MappingProxyType({"distil": "distill", "prompts": "prompted-tasks"})
"""Folders of shipped recipes."""

RECIPES: Mapping[str, str] = MappingProxyType({"demo/distil": "demo/distill"})
"""Shipped recipes whose own name has changed."""

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
    """What a key is called now in a block with these keys; None where it is called so still, or is no key."""
    if old in block:
        return None
    moved = MOVED.get(old)
    if moved is not None and all(name in block for name in moved.beside):
        return moved.now
    return next((new for new in KEYS.get(old, ()) if new in block), None)


def value(under: str, old: Any, choices: Container[str]) -> str | None:
    """What a value under a key is called now, among those that can be given; None where it has not been renamed."""
    if not isinstance(old, str) or old in choices:
        return None
    return next((new for new in VALUES.get(under, {}).get(old, ()) if new in choices), None)


def recipe(name: str) -> str | None:
    """What a shipped recipe is called now; None where it has not been renamed."""
    folder, slash, rest = name.partition("/")
    return RECIPES.get(name) or (f"{FOLDERS[folder]}{slash}{rest}" if folder in FOLDERS else None)


def translated(data: Any, shape: FieldType | None, under: str = "") -> Any:
    """What an earlier version wrote, under the names of today. shape: what may stand here, under this key."""
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
