"""A family of models in transformers: its classes, the settings in config.json, the names of its tensors.

A family's huggingface.py says what differs. Inside nlptool a state dict has the parts `backbone.*` and heads such as
`mlm.*`, `pooler.*` and `pair.*`; a layer's queries, keys and values are one matrix. A head that transformers lacks
is written under its own name with the prefix OWN, and read back.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nlptool.formatting import json_value
from nlptool.models.config import EncoderConfig, ModelConfig
from nlptool.models.layer_sharing import unshare_layers

OWN = "nlptool."
NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")
GELU = {  # their names of activations -> ours
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
}
ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_new"}

Modules = Mapping[str, str]
"""Our module -> theirs; {i} is the number of a layer. The last part of a tensor's name is the same in both."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """The names of a model family in transformers."""

    title: str
    """Name in messages."""
    model_type: str
    """In config.json."""
    namesakes: Mapping[str, str] = field(default_factory=dict)
    """Other values of model_type that may be confused with it, and what they are."""
    in_transformers: bool = True
    """Whether transformers has it."""
    class_prefix: str
    """Prefix of its class names."""
    base_model_prefix: str
    """Name of the base model within a model with heads."""
    settings: Mapping[str, tuple[str, Any]]
    """Our key -> theirs, and its default where config.json has none."""
    fixed: Mapping[str, tuple[Any, ...]]
    """Their settings that nlptool does not vary, and their equivalent values; the first is the default."""
    written: Mapping[str, Any] = field(default_factory=dict)
    """Further settings with constant values."""
    modules: Modules
    """If two of our modules have one name there, such as the heads `classifier`, it is read as the last one."""
    split: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Our module -> theirs, whose rows it concatenates, such as queries, keys and values."""
    transposed: frozenset[str] = frozenset()
    """Our modules whose matrix is stored [inputs, outputs] there."""
    tied: Mapping[str, str] = field(default_factory=dict)
    """Second names of their tensors -> first; only the first is kept, and both must be equal."""
    buffers: re.Pattern[str] = re.compile(r"(position_ids|token_type_ids)$")
    """Their tensors that are no weights."""

    def class_name(self, architecture: str) -> str:
        """The class for an architecture, such as ForMaskedLM; Model is the one without heads."""
        return self.class_prefix + architecture

    def write(
        self, config: ModelConfig, vocab_size: int, special: Mapping[str, int], architecture: str
    ) -> dict[str, Any]:
        """The settings for config.json. special: ids of the special tokens."""
        keys = config.model_dump()
        return {
            "architectures": [self.class_name(architecture)],
            "model_type": self.model_type,
            "vocab_size": vocab_size,
            **{theirs: keys[own] for own, (theirs, _) in self.settings.items()},
            **self.written,
            "pad_token_id": special.get("pad"),
            "tie_word_embeddings": True,
            "dtype": "float32",
        }

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The keys of the family's Config, from config.json. Raises ValueError for a setting that nlptool lacks."""
        for key, values in self.allowed(given).items():
            if (value := given.get(key, values[0])) not in values:
                known = " or ".join(map(json_value, values))
                raise ValueError(
                    f"config.json: {key} is {json_value(value)}; nlptool's {self.title} has {known} only"
                )
        return {own: given.get(theirs, default) for own, (theirs, default) in self.settings.items()}

    def allowed(self, given: Mapping[str, Any]) -> Mapping[str, tuple[Any, ...]]:
        """`fixed`, and settings that depend on others."""
        return self.fixed

    def to_hf(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our tensors under their names."""
        tensors: dict[str, Tensor] = {}
        for key, tensor in unshare_layers(state).items():
            module, _, kind = key.rpartition(".")
            pattern, number = _pattern(module)
            if pattern in self.split:
                theirs = self.split[pattern]
                parts = tensor.chunk(len(theirs))
            else:
                theirs = (self.modules.get(pattern, f"{OWN}{module}"),)
                parts = (self._turned(pattern, tensor),)
            for name, part in zip(theirs, parts, strict=True):
                tensors[f"{name.format(i=number)}.{kind}"] = part
        return tensors

    def from_hf(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Their tensors under our names; missing parts stay missing.

        A model without heads, whose names lack the base model's in front, names of before 2019 (LayerNorm.gamma) and
        buffers are understood. Raises ValueError for names that are in no table, for tied tensors that differ and for a
        missing part of a split one.
        """
        given = self._untied({self._full(k): t for k, t in tensors.items() if not self.buffers.search(k)})
        own = {theirs: pattern for pattern, theirs in self.modules.items()}
        pieces = {theirs: pattern for pattern, all_ in self.split.items() for theirs in all_}
        state: dict[str, Tensor] = {}
        unknown = []
        for key in sorted(given):
            module, _, kind = key.rpartition(".")
            pattern, number = _pattern(module)
            if pattern in own:
                ours = own[pattern]
                state[f"{ours.format(i=number)}.{kind}"] = self._turned(ours, given[key])
            elif pattern in pieces:
                ours = pieces[pattern]
                name = f"{ours.format(i=number)}.{kind}"
                if name not in state:
                    state[name] = torch.cat(list(self._pieces(given, ours, number, kind)))
            elif key.startswith(OWN):
                state[key.removeprefix(OWN)] = given[key]
            else:
                unknown.append(key)
        if unknown:
            raise ValueError(
                f"tensors that nlptool's {self.title} has no place for: {', '.join(unknown[:8])}"
            )
        return state

    def _full(self, key: str) -> str:
        """The tensor's name in a current model with heads."""
        key = key.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        front = f"{self.base_model_prefix}."
        inside = [*self.modules.values(), *(name for parts in self.split.values() for name in parts)]
        bare = {name.removeprefix(front).partition(".")[0] for name in inside if name.startswith(front)}
        return f"{front}{key}" if key.partition(".")[0] in bare else key

    def _turned(self, pattern: str, tensor: Tensor) -> Tensor:
        return tensor.t() if pattern in self.transposed and tensor.ndim == 2 else tensor

    def _pieces(self, given: Mapping[str, Tensor], pattern: str, number: str, kind: str) -> Iterator[Tensor]:
        first = f"{self.split[pattern][0].format(i=number)}.{kind}"
        for theirs in self.split[pattern]:
            key = f"{theirs.format(i=number)}.{kind}"
            if key not in given:
                raise ValueError(f"{key} is missing")
            if not given[key].ndim or given[key].shape[1:] != given[first].shape[1:]:
                shapes = f"{list(given[key].shape)}, and {first} has {list(given[first].shape)}"
                raise ValueError(f"{key} has shape {shapes}")
            yield given[key]

    def _untied(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        for second, first in self.tied.items():
            if second in given:
                tensor = given.pop(second)
                if not torch.equal(given.setdefault(first, tensor), tensor):
                    raise ValueError(
                        f"{second} differs from {first}; nlptool's {self.title} has a tied decoder only"
                    )
        return given


@dataclass(frozen=True, kw_only=True)
class EncoderFamily(Family):
    """The names of BERT-like encoders in transformers."""

    activation: tuple[str, str] = ("hidden_act", "gelu")
    """Their key of the activation, and its default where config.json has none."""

    def write(
        self, config: ModelConfig, vocab_size: int, special: Mapping[str, int], architecture: str
    ) -> dict[str, Any]:
        """With the activation."""
        assert isinstance(config, EncoderConfig)
        written = super().write(config, vocab_size, special, architecture)
        return written | {self.activation[0]: ACTIVATIONS[config.activation]}

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """With the activation."""
        key, default = self.activation
        value = given.get(key, default)
        read = super().read(given)
        if not isinstance(value, str) or value not in GELU:
            known = ", ".join(GELU)
            raise ValueError(f"config.json: {key} is {json_value(value)}; nlptool's {self.title} has {known}")
        return read | {"activation": GELU[value]}


ENCODER_FIXED = {
    "layer_norm_eps": (EncoderConfig.epsilon,),
    "position_embedding_type": ("absolute",),
    "tie_word_embeddings": (True,),
}


BERT_HEADS = {
    "pooler.dense": "bert.pooler.dense",
    "mlm.dense": "cls.predictions.transform.dense",
    "mlm.norm": "cls.predictions.transform.LayerNorm",
    "mlm": "cls.predictions",
    "pair.dense": "cls.seq_relationship",
}
"""Pooler and pretraining heads of BertForPreTraining, which ERNIE's class has, too."""
BERT_SUBLAYERS = {
    "attention.out": "attention.output.dense",
    "attention.norm": "attention.output.LayerNorm",
    "mlp.up": "intermediate.dense",
    "mlp.down": "output.dense",
    "mlp.norm": "output.LayerNorm",
}
"""Modules of one layer, in families that name them like BERT's code."""


def encoder_settings(**defaults: Any) -> dict[str, tuple[str, Any]]:
    """Settings of BERT-like encoders. defaults: of the class in transformers, where they differ from BERT's."""
    names = {
        "layers": ("num_hidden_layers", 12),
        "hidden": ("hidden_size", 768),
        "heads": ("num_attention_heads", 12),
        "intermediate": ("intermediate_size", 3072),
        "max_positions": ("max_position_embeddings", 512),
        "type_vocab_size": ("type_vocab_size", 2),
        "dropout": ("hidden_dropout_prob", 0.1),
        "attention_dropout": ("attention_probs_dropout_prob", 0.1),
        "init": ("initializer_range", 0.02),
    }
    return {own: (theirs, defaults.get(own, default)) for own, (theirs, default) in names.items()}


def encoder_modules(base: str, layer: str, sublayers: Modules, heads: Modules) -> dict[str, str]:
    """Modules of BERT-like encoders. sublayers: those of one layer, within `layer`.

    Three heads are called classifier there, which is read as the last one.
    """
    embeddings = {
        "tokens": "word_embeddings",
        "positions": "position_embeddings",
        "types": "token_type_embeddings",
        "norm": "LayerNorm",
    }
    return {
        **{f"backbone.embeddings.{own}": f"{base}.embeddings.{name}" for own, name in embeddings.items()},
        **{
            f"backbone.layers.{own.replace('.', '.{i}.')}": f"{layer}.{name}"
            for own, name in sublayers.items()
        },
        "span.out": "qa_outputs",
        "tagger.out": "classifier",
        "chooser.out": "classifier",
        "classifier.out": "classifier",
        **heads,
    }


def query_key_value(*names: str) -> dict[str, tuple[str, ...]]:
    """Their three matrices, which are one here."""
    return {"backbone.layers.attention.{i}.qkv": names}


def _pattern(module: str) -> tuple[str, str]:
    """A module's name with {i} for the first number in it, and the number."""
    found = NUMBER.search(module)
    return (NUMBER.sub("{i}", module, count=1), found[0]) if found else (module, "")


def architecture(settings: Mapping[str, Any], otherwise: str = "") -> str:
    """The class of transformers that a config.json names first, such as BertForMaskedLM."""
    named = settings.get("architectures")
    return named[0] if isinstance(named, list) and named and isinstance(named[0], str) else otherwise
