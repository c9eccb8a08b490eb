"""The recipe block of ERNIE. No torch here: a broken recipe must fail before torch is imported."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationInfo, field_validator

from nlptool.models.config import WIDEST, EncoderConfig, ModelConfig

if TYPE_CHECKING:
    from nlptool.models.ernie.model import ErnieEncoder
    from nlptool.models.hf_family import Family

LayerType = Literal["sim", "mix", "norm"]


class Config(EncoderConfig):
    """ERNIE's encoder (Zhang et al. 2019, section 3): BERT's, whose upper layers also read entities.

    A token at which a mention of an entity begins has an entity state beside its hidden state, initialised by its
    embedding in a knowledge graph. layer_types, as in the released configuration: `sim`, a layer of BERT (the
    paper's T-Encoder); `norm`, an aggregator of the K-Encoder, in which entities attend to each other and tokens and
    entities are fused; `mix`, an aggregator without attention among entities. The released model has 5 sim, 1 mix
    and 6 norm, where the paper has 6 T-Encoder layers and 6 aggregators.

    With cls_entity, as in the released code, [CLS] is among the entities, with a vector of zeros, and attends to
    them. Without it, a text without entities is read exactly as by a BERT.
    """

    reads_entities = True
    new_parts = ("backbone.entities.",)

    name: Literal["ernie"] = Field("ernie", description="model family")
    layer_types: tuple[LayerType, ...] = Field(
        (),
        validate_default=True,
        description="sim, mix or norm for each layer; none: norm in the upper half, mix before it, sim below",
    )
    entity_size: int = Field(100, gt=0, le=WIDEST, description="width of the entity embeddings")
    entity_heads: int = Field(4, gt=0, description="attention heads among entities; must divide entity_size")
    cls_entity: bool = Field(True, description="whether [CLS] takes part among the entities, from zeros")

    def build(self, vocab_size: int) -> "ErnieEncoder":
        """The encoder with random weights."""
        from nlptool.models.ernie.model import ErnieEncoder

        return ErnieEncoder(self, vocab_size)

    @classmethod
    def hf(cls) -> "Family":
        """Its names in the released code."""
        from nlptool.models.ernie.huggingface import FAMILY

        return FAMILY

    @classmethod
    def of_teacher(cls, teacher: ModelConfig, layers: int) -> "ModelConfig":
        """Raises ValueError: layers of three kinds cannot be selected at equal distances."""
        raise ValueError("the layers of ernie are of three kinds; give model in place of student")

    @property
    def fused_layers(self) -> tuple[int, ...]:
        """The layers that read entities, from 0."""
        return tuple(number for number, kind in enumerate(self.layer_types) if kind != "sim")

    @field_validator("layer_types")
    @classmethod
    def _one_for_each_layer(cls, types: tuple[LayerType, ...], info: ValidationInfo) -> tuple[LayerType, ...]:
        layers = int(info.data.get("layers", len(types)))
        if not types:
            upper = layers // 2
            plain: list[LayerType] = ["sim"] * (layers - upper - 1)
            attending: list[LayerType] = ["norm"] * upper
            return (*plain, "mix", *attending)
        if len(types) != layers:
            raise ValueError(f"one for each of the {layers} layers, not {len(types)}")
        if set(types) == {"sim"}:
            raise ValueError("no layer reads entities; with sim alone this is model.name=bert")
        return types

    @field_validator("entity_heads")
    @classmethod
    def _divides_entity_size(cls, heads: int, info: ValidationInfo) -> int:
        width = info.data.get("entity_size", heads)
        if width % heads:
            raise ValueError(f"entity_heads ({heads}) must divide entity_size ({width})")
        return heads
