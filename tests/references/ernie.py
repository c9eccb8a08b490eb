"""ERNIE (Zhang et al. 2019) as classes of transformers, since families are compared with such and it has none there.

BERT's classes, whose layers have an entity beside every token, linked or not, as in the released code; nothing is left
out and nothing is ragged. tests/models/test_ernie.py compares it with outputs of the released class itself.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from transformers import AutoConfig, BertConfig
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions
from transformers.models.bert import modeling_bert as bert

OUT = -10_000.0


class ErnieInformativeConfig(BertConfig):
    model_type = "ernie_informative"
    entity_layer_types: list[str] | None = None
    entity_size: int = 100
    entity_attention_heads: int = 4
    cls_entity: bool = True


class EntityAttention(nn.Module):
    def __init__(self, config: ErnieInformativeConfig) -> None:
        super().__init__()
        self.heads = config.entity_attention_heads
        self.query, self.key, self.value = (nn.Linear(config.entity_size, config.entity_size) for _ in "qkv")

    def forward(self, z: Tensor, mask: Tensor) -> Tensor:
        batch, tokens, width = z.shape
        q, k, v = (
            part(z).view(batch, tokens, self.heads, -1).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(2, 3) / (width // self.heads) ** 0.5 + (1 - mask)[:, None, None, :] * OUT
        return (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, tokens, width)


class EntityOutput(nn.Module):
    def __init__(self, config: ErnieInformativeConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.entity_size, config.entity_size)
        self.LayerNorm = nn.LayerNorm(config.entity_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return self.LayerNorm(z + self.dense(x))


class AggregatorLayer(bert.BertLayer):
    def __init__(self, config: ErnieInformativeConfig, number: int, kind: str) -> None:
        super().__init__(config, number)
        width, inner = config.entity_size, config.intermediate_size
        self.intermediate.dense_ent = nn.Linear(width, inner)
        self.output.dense_ent = nn.Linear(inner, width)
        self.output.LayerNorm_ent = nn.LayerNorm(width, eps=config.layer_norm_eps)
        if kind == "norm":
            self.attention.self_ent, self.attention.output_ent = EntityAttention(config), EntityOutput(config)
        self.kind = kind
        self.tanh = config.hidden_act == "gelu_new"
        self.entities: tuple[Tensor, Tensor]  # set before each call, read behind it

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, *_, **kwargs) -> Tensor:
        z, mask = self.entities
        x, _ = self.attention(hidden_states, attention_mask)
        if self.kind == "norm":
            z = self.attention.output_ent(self.attention.self_ent(z, mask), z)
        z = z * mask[..., None]
        inner = self.intermediate.dense(x) + self.intermediate.dense_ent(z)
        inner = F.gelu(inner, approximate="tanh" if self.tanh else "none")
        z = self.output.LayerNorm_ent(z + self.output.dense_ent(inner))
        self.entities = z, mask
        return self.output.LayerNorm(x + self.output.dense(inner))


class Encoder(bert.BertEncoder):
    def __init__(self, config: ErnieInformativeConfig) -> None:
        super().__init__(config)
        self.cls_entity = config.cls_entity
        for number, kind in enumerate(config.entity_layer_types or ()):
            if kind != "sim":
                self.layer[number] = AggregatorLayer(config, number, kind)

    def forward(self, hidden_states, attention_mask=None, *args, entities=None, **kwargs):
        batch, tokens, _ = hidden_states.shape
        if entities is None:
            size = (batch, tokens, self.config.entity_size)
            entities = hidden_states.new_zeros(size), hidden_states.new_zeros(size[:2])
        if self.cls_entity:
            first = torch.arange(tokens) == 0
            entities = entities[0], torch.where(first, 1.0, entities[1])
        for layer in self.layer:
            if isinstance(layer, AggregatorLayer):
                layer.entities = entities
            hidden_states = layer(hidden_states, attention_mask)
            entities = getattr(layer, "entities", entities)
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden_states)


class WithEntities:
    """A class of BERT with that encoder."""

    config_class = ErnieInformativeConfig
    _keys_to_ignore_on_load_unexpected = (
        "predictions_ent",
    )  # the head for entities, which nothing here asks

    def __init__(self, config: ErnieInformativeConfig, *args, **kwargs) -> None:
        super().__init__(config, *args, **kwargs)
        getattr(self, "bert", self).encoder = Encoder(config)
        self.post_init()


def _class(architecture: str) -> type:
    name = f"ErnieInformative{architecture}"
    return type(name, (WithEntities, getattr(bert, f"Bert{architecture}")), {})


ErnieInformativeModel = _class("Model")
ErnieInformativeForMaskedLM = _class("ForMaskedLM")
ErnieInformativeForPreTraining = _class("ForPreTraining")
ErnieInformativeForSequenceClassification = _class("ForSequenceClassification")
ErnieInformativeForMultipleChoice = _class("ForMultipleChoice")
ErnieInformativeForTokenClassification = _class("ForTokenClassification")
ErnieInformativeForQuestionAnswering = _class("ForQuestionAnswering")

AutoConfig.register("ernie_informative", ErnieInformativeConfig)
