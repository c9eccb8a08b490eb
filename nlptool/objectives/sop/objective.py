"""ALBERT's pretraining: n-gram masking and sentence order (Lan et al. 2020, section 3.1)."""

from nlptool.data.vocabulary import Vocabulary
from nlptool.objectives import masked
from nlptool.objectives.sop.config import Config
from nlptool.recipe import RecipeBlock


def build(config: Config, model: RecipeBlock, vocabulary: Vocabulary) -> masked.MaskedLM:
    """An encoder with its heads, over pairs of segments."""
    return masked.build(config, model, vocabulary, config.pairs)
