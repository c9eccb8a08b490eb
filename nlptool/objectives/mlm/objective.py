"""BERT's masked language model (Devlin et al. 2019, section 3.1)."""

from nlptool.data.vocabulary import Vocabulary
from nlptool.objectives import masked
from nlptool.objectives.mlm.config import Config
from nlptool.recipe import RecipeBlock


def build(config: Config, model: RecipeBlock, vocabulary: Vocabulary) -> masked.MaskedLM:
    """An encoder with its heads, over packed rows or over pairs of which the second may be a random one."""
    return masked.build(config, model, vocabulary, "next" if config.next_sentence else None)
