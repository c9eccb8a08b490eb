"""From what is configured to what chooses the next token."""

from nlptool.evaluation.generation.beam_search import Beams
from nlptool.evaluation.generation.keys import GenerationConfig
from nlptool.evaluation.generation.logits_processors import LogitsProcessors
from nlptool.evaluation.generation.sampling import Choose, Sampling, greedy


def strategy(config: GenerationConfig) -> Choose | Beams:
    """Beam search, sampling, or the most probable token, each behind the same processors of logits."""
    processors = LogitsProcessors(config.repetition_penalty, config.no_repeat_ngram_size)
    alpha = config.length_penalty
    if config.num_beams is not None:
        if alpha is None:
            return Beams(config.num_beams, processors=processors)
        return Beams(config.num_beams, lambda tokens: tokens**alpha, processors)
    if not config.sampled and processors == LogitsProcessors():
        return greedy
    temperature = (1.0 if config.temperature is None else config.temperature) if config.sampled else 0.0
    top_p = 1.0 if config.top_p is None else config.top_p
    return Sampling(temperature, config.top_k or 0, top_p, config.seed, processors)
