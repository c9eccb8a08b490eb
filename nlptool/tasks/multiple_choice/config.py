"""The recipe block of multiple choice. No torch here."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from nlptool.models.config import ModelConfig
from nlptool.tasks.choices import ChoiceConfig

if TYPE_CHECKING:
    from nlptool.data.vocabulary import Vocabulary
    from nlptool.tasks.multiple_choice.objective import MultipleChoice


class Config(ChoiceConfig):
    """One of several texts is chosen, as for SWAG (Devlin et al. 2019, section 4.4): each is read with the question."""

    one_decision = True

    name: Literal["multiple_choice"] = Field("multiple_choice", description="kind of task")

    def build(self, model: ModelConfig, vocabulary: "Vocabulary", dropout: float | None) -> "MultipleChoice":
        """An encoder with a head of one output."""
        from nlptool.tasks.multiple_choice.objective import build

        return build(self, model, vocabulary, dropout)
