"""What the recipe blocks of masked language models have in common. No torch here."""

from typing import Annotated

from pydantic import Field, field_validator

from nlptool.recipe import RecipeBlock

Share = Annotated[float, Field(ge=0, le=1)]


class MaskingConfig(RecipeBlock):
    """Which tokens are to be guessed, and what is shown in their place (Devlin et al. 2019, section 3.1)."""

    mask_rate: float = Field(0.15, gt=0, lt=1, description="share of each row's tokens to predict")
    whole_word: bool = Field(
        False,
        description="mask all tokens of a word or none; of one longer than the row's budget parts",
    )
    ngram: int = Field(1, ge=1, le=10, description="mask spans of 1 to ngram tokens (words), p(n) ~ 1/n")
    corrupt: tuple[Share, Share, Share] = Field(
        (0.8, 0.1, 0.1),
        description="shares of predicted tokens shown as [MASK], as a random token, unchanged",
    )

    @field_validator("corrupt")
    @classmethod
    def _shares(cls, corrupt: tuple[float, float, float]) -> tuple[float, float, float]:
        if abs(sum(corrupt) - 1) > 1e-6:
            raise ValueError(f"three shares that add up to 1, not to {sum(corrupt):g}")
        return corrupt
