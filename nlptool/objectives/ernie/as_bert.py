"""ERNIE without entities as the BERT that it then is."""

from collections.abc import Mapping

from torch import Tensor

from nlptool.models.bert.config import Config as BertConfig
from nlptool.models.ernie.config import Config

ENTITIES = "backbone.entities."


def as_bert(config: Config, state: Mapping[str, Tensor]) -> tuple[BertConfig, dict[str, Tensor]]:
    """A BERT's block and state that read any text as this model reads it where nothing is linked.

    Each token gets the entities' bias in the MLP, linked or not, so it moves into the MLP's own. Raises ValueError with
    cls_entity: the state of [CLS] then goes through the entities' layers also where nothing is linked.
    """
    if config.cls_entity:
        raise ValueError("with cls_entity no BERT computes the same")
    kept = {key: tensor for key, tensor in state.items() if not key.startswith((ENTITIES, "dea."))}
    for number in config.fused_layers:
        key = f"backbone.layers.mlp.{number}.up.bias"
        kept[key] = state[key] + state[f"{ENTITIES}{number}.up.bias"]
    keys = BertConfig.model_fields.keys() - {"name"}
    return BertConfig.model_validate(config.model_dump(include=keys)), kept


def of_bert(config: BertConfig, entity_size: int) -> Config:
    """The ERNIE that begins as this BERT, with layers of the released model's types."""
    keys = BertConfig.model_fields.keys() - {"name"}
    return Config.model_validate(config.model_dump(include=keys) | {"entity_size": entity_size})
