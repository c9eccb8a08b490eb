"""The causal language model of GPT-2 (Radford et al. 2019, section 2)."""

from nlptool.data.vocabulary import Vocabulary
from nlptool.objectives import causal
from nlptool.objectives.clm.config import Config
from nlptool.recipe import RecipeBlock


def build(config: Config, model: RecipeBlock, vocabulary: Vocabulary) -> causal.CausalLM:
    """A decoder, as `model` says."""
    return causal.build(model, vocabulary)
