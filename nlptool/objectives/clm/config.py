"""The recipe block of the causal language model. No torch here."""

from typing import ClassVar, Literal

from pydantic import Field

from nlptool.models.config import EncoderConfig
from nlptool.recipe import Problem, RecipeBlock


class Config(RecipeBlock):
    """GPT-2's pretraining (Radford et al. 2019, section 2): guess each token from those before it.

    Rows are cut from documents that follow each other, <|endoftext|> between them. Tokens see across it, as
    GPT-3's do (Brown et al. 2020, appendix B).
    """

    only_command: ClassVar[str | None] = "pretrain-clm"
    name: Literal["clm"] = Field("clm", description="objective")


def check(objective: Config, model: RecipeBlock) -> list[Problem]:
    """What of the two blocks does not go together."""
    if isinstance(model, EncoderConfig):
        return [Problem("model.name", "a causal language model is a decoder, such as gpt2")]
    return []
