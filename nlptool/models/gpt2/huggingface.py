"""GPT-2's names and settings in Hugging Face's `transformers`, both ways.

Matrices are stored [inputs, outputs] there (Conv1D). The head is tied, so it is stored once, as the word
embeddings.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nlptool.formatting import json_value
from nlptool.models.gpt2.config import Config
from nlptool.models.hf_names import Names

NAMES = Names(
    family="GPT-2",
    modules={
        "backbone.embeddings.tokens": "transformer.wte",
        "backbone.embeddings.positions": "transformer.wpe",
        "backbone.layers.attention.{i}.norm": "transformer.h.{i}.ln_1",
        "backbone.layers.attention.{i}.qkv": "transformer.h.{i}.attn.c_attn",
        "backbone.layers.attention.{i}.out": "transformer.h.{i}.attn.c_proj",
        "backbone.layers.mlp.{i}.norm": "transformer.h.{i}.ln_2",
        "backbone.layers.mlp.{i}.up": "transformer.h.{i}.mlp.c_fc",
        "backbone.layers.mlp.{i}.down": "transformer.h.{i}.mlp.c_proj",
        "backbone.norm": "transformer.ln_f",
    },
    transposed=frozenset(
        {
            "backbone.layers.attention.{i}.qkv",
            "backbone.layers.attention.{i}.out",
            "backbone.layers.mlp.{i}.up",
            "backbone.layers.mlp.{i}.down",
        }
    ),
    tied={"lm_head.weight": "transformer.wte.weight"},
)
ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast")  # one function, computed in three ways
BUFFER = re.compile(r"\.attn\.(masked_)?bias$")  # the causal mask, in files of before 2023


def architecture(state: Mapping[str, Tensor]) -> str:
    """The class of transformers that has exactly the parts of this state. Raises ValueError when none has."""
    parts = {key.partition(".")[0] for key in state}
    if parts != {"backbone"}:
        raise ValueError(f"no Hugging Face GPT-2 class has the parts {', '.join(sorted(parts))}")
    return "GPT2LMHeadModel"


def to_hf(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """nlptool's state dict (`backbone.*`) under Hugging Face's names."""
    return NAMES.to_hf(state)


def from_hf(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's tensors under nlptool's names.

    Files without the head and without `transformer.` in front, as OpenAI's weights on the hub, are understood.
    Raises ValueError as Names.from_hf does.
    """
    return NAMES.from_hf({_full(key): t for key, t in tensors.items() if not BUFFER.search(key)})


def hf_config(
    config: Config, vocab_size: int, special: Mapping[str, int], architecture: str
) -> dict[str, Any]:
    """The settings for config.json."""
    end = special.get("eos", special.get("sep"))
    return {
        "architectures": [architecture],
        "model_type": "gpt2",
        "vocab_size": vocab_size,
        "n_positions": config.positions,
        "n_embd": config.hidden,
        "n_layer": config.layers,
        "n_head": config.heads,
        "n_inner": None,
        "activation_function": "gelu_new",
        "resid_pdrop": config.dropout,
        "embd_pdrop": config.dropout,
        "attn_pdrop": config.attention_dropout,
        "layer_norm_epsilon": 1e-5,
        "initializer_range": config.init,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": special.get("pad"),
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def from_hf_config(settings: Mapping[str, Any]) -> Config:
    """The Config behind a config.json. Raises ValueError for a setting that nlptool's GPT-2 does not have."""
    width, dropout = settings.get("n_embd", 768), settings.get("resid_pdrop", 0.1)
    allowed = {
        "layer_norm_epsilon": (1e-5,),
        "activation_function": ACTIVATIONS,
        "n_inner": (None, 4 * width),
        "embd_pdrop": (dropout,),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
        "tie_word_embeddings": (True,),
    }
    for key, values in allowed.items():
        value = settings.get(key, values[0])
        if value not in values:
            known = " or ".join(map(json_value, values))
            raise ValueError(f"config.json: {key} is {json_value(value)}; nlptool's GPT-2 has {known} only")
    return Config.model_validate(
        {
            "layers": settings.get("n_layer", 12),
            "hidden": width,
            "heads": settings.get("n_head", 12),
            "positions": settings.get("n_positions", 1024),
            "dropout": dropout,
            "attention_dropout": settings.get("attn_pdrop", 0.1),
            "init": settings.get("initializer_range", 0.02),
        }
    )


def _full(key: str) -> str:
    return f"transformer.{key}" if key.startswith(("wte.", "wpe.", "h.", "ln_f.")) else key
