"""Generation settings with transformers' names, for `generate` and prompt recipes. No torch here."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator

from nlptool.errors import UsageError
from nlptool.recipe import RecipeBlock
from nlptool.recipe.error_messages import explain

SAMPLING = ("temperature", "top_k", "top_p", "seed")
"""Settings that matter only when sampling."""


class GenerationConfig(NamedTuple):
    """Settings of generation."""

    max_new_tokens: int
    stop: tuple[str, ...] = ()
    """Strings before which it ends."""
    num_beams: int | None = None
    """Beam search with as many beams."""
    top_k: int | None = None
    seed: int = 0
    """Seed of sampling."""
    temperature: float | None = None
    top_p: float | None = None
    """None, like top_k and temperature, and no beams: greedy."""
    length_penalty: float | None = None
    """Beams are scored by log-probability / tokens^length_penalty; None: by GPT-3's penalty."""
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0

    @property
    def sampled(self) -> bool:
        """Whether tokens are sampled."""
        given = (self.temperature, self.top_k, self.top_p)
        return self.temperature != 0 and any(value is not None for value in given)

    @property
    def identity(self) -> list[Any]:
        """Settings that decide an answer; later additions appear only if set, so that cached answers stay valid."""
        default = self._field_defaults
        later = {key: value for key in self._fields[5:] if (value := getattr(self, key)) != default[key]}
        return [*self[:5], *([later] if later else [])]


class GenerationKeys(RecipeBlock):
    """Keys of a task with generated answers. Greedy by default."""

    stop: tuple[str, ...] = Field(description="stop strings")
    max_new_tokens: int = Field(gt=0, description="maximum number of generated tokens")
    num_beams: int | None = Field(None, gt=1, description="beam search with this many beams")
    length_penalty: float | None = Field(
        None,
        description="beams are scored by log-probability / tokens^length_penalty; null: by GPT-3's "
        "((5 + tokens) / 6)^0.6",
    )
    temperature: float | None = Field(
        None, ge=0, description="sampling, with the recipe's seed: what logits are divided by; 0: greedy"
    )
    top_k: int | None = Field(
        None, gt=0, description="sampling from the k most probable tokens, with the recipe's seed"
    )
    top_p: float | None = Field(
        None, gt=0, le=1, description="sampling from the most probable tokens that have this share together"
    )
    repetition_penalty: float = Field(
        1.0, gt=0, description="above 1, tokens that are there already are less likely (CTRL)"
    )
    no_repeat_ngram_size: int = Field(
        0, ge=0, description="no n-gram of this size occurs twice in prompt and answer; 0: any may"
    )

    @property
    def generation(self) -> GenerationConfig:
        """Settings of generation."""
        return GenerationConfig(
            **{key: getattr(self, key) for key in GenerationConfig._fields if key != "seed"}
        )

    @model_validator(mode="after")
    def _of_one_strategy(self) -> Self:
        if wrong := conflict(self.generation._asdict() | {"seed": None}):
            raise ValueError(wrong[0])
        return self


def generation_config(given: dict[str, Any]) -> GenerationConfig:
    """What arguments say, as the keys of a recipe do. Raises UsageError with all that is wrong with them."""
    try:
        return GenerationKeys.model_validate(given).generation
    except ValidationError as error:
        problems = explain(error, GenerationKeys, given)
        raise UsageError(
            "; ".join(": ".join(filter(None, (problem.path, problem.message))) for problem in problems)
        ) from None


def conflict(given: Mapping[str, Any], spelled: Callable[[str], str] = str) -> tuple[str, str | None] | None:
    """What is wrong with options that exclude each other or have no effect, and a hint; None: nothing.

    given: by the keys of GenerationConfig, None where not given. spelled: the user's spelling of a key.
    """
    named = [key for key in SAMPLING if given.get(key) is not None]
    beams, greedy = spelled("num_beams"), f"{spelled('temperature')} 0 takes the most probable token"
    if given.get("num_beams") is not None and named:
        return (
            f"{beams} searches for the most probable text and samples nothing: {spelled(named[0])} does not go with it",
            f"leave {', '.join(map(spelled, named))} away, or {beams}",
        )
    if given.get("num_beams") is None and given.get("length_penalty") is not None:
        return f"{spelled('length_penalty')} has no effect here", f"it requires {beams} N"
    if given.get("temperature") == 0 and (idle := [key for key in named if key != "temperature"]):
        return f"{spelled(idle[0])} has no effect here", greedy
    if not all(given.get("stop") or ()):
        return f"{spelled('stop')}: a string without a character would stop everything", None
    return None
