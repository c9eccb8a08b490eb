"""ERNIE without entities as an equivalent BERT."""

from collections.abc import Mapping

from torch import Tensor

from nlptool.models.bert.config import Config as BertConfig
from nlptool.models.ernie.config import Config

ENTITIES = "backbone.entities."


def as_bert(config: Config, state: Mapping[str, Tensor]) -> tuple[BertConfig, dict[str, Tensor]]:
    """The config and state of a BERT that is equivalent to this model on texts without links.

    The entities' bias in the MLP is added to every token, linked or not, so it is folded into the MLP's own. Raises
    ValueError with cls_entity: the state of [CLS] then passes the entities' layers even in texts without links.
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
    """The config of an ERNIE initialised from this BERT, with the layer types of the released model."""
    keys = BertConfig.model_fields.keys() - {"name"}
    return Config.model_validate(config.model_dump(include=keys) | {"entity_size": entity_size})
