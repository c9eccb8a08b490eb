"""GPT-2's names and settings in Hugging Face's `transformers`.

Matrices are stored [inputs, outputs] there (Conv1D). Files without the head and without `transformer.` in front, as
OpenAI's weights on the hub, are understood.
"""

import re
from collections.abc import Mapping
from typing import Any

from nlptool.models.config import ModelConfig
from nlptool.models.hf_family import Family


class GPT2(Family):
    """GPT-2's family."""

    def class_name(self, architecture: str) -> str:
        """Its ForCausalLM has another name."""
        return "GPT2LMHeadModel" if architecture == "ForCausalLM" else super().class_name(architecture)

    def allowed(self, given: Mapping[str, Any]) -> Mapping[str, tuple[Any, ...]]:
        """An MLP of four times the width, and one dropout rate."""
        width, rate = given.get("n_embd", 768), given.get("resid_pdrop", 0.1)
        mlp = (None, 4 * width) if type(width) is int else (None,)
        return {**self.fixed, "n_inner": mlp, "embd_pdrop": (rate,)}

    def write(
        self, config: ModelConfig, vocab_size: int, special: Mapping[str, int], architecture: str
    ) -> dict[str, Any]:
        """With the token between texts as bos and eos."""
        end = special.get("eos", special.get("sep"))
        return super().write(config, vocab_size, special, architecture) | {
            "embd_pdrop": config.dropout,
            "bos_token_id": end,
            "eos_token_id": end,
        }


FAMILY = GPT2(
    title="GPT-2",
    model_type="gpt2",
    class_prefix="GPT2",
    base_model_prefix="transformer",
    settings={
        "layers": ("n_layer", 12),
        "hidden": ("n_embd", 768),
        "heads": ("n_head", 12),
        "max_positions": ("n_positions", 1024),
        "dropout": ("resid_pdrop", 0.1),
        "attention_dropout": ("attn_pdrop", 0.1),
        "init": ("initializer_range", 0.02),
    },
    fixed={
        "layer_norm_epsilon": (1e-5,),
        "activation_function": ("gelu_new", "gelu_pytorch_tanh", "gelu_fast"),  # one, computed in three ways
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
        "tie_word_embeddings": (True,),
    },
    written={"layer_norm_epsilon": 1e-5, "activation_function": "gelu_new", "n_inner": None},
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
        "classifier.out": "score",
    },
    transposed=frozenset(
        f"backbone.layers.{matrix}"
        for matrix in ("attention.{i}.qkv", "attention.{i}.out", "mlp.{i}.up", "mlp.{i}.down")
    ),
    tied={"lm_head.weight": "transformer.wte.weight"},
    buffers=re.compile(r"\.attn\.(masked_)?bias$"),  # the causal mask, in files from before 2023
)
