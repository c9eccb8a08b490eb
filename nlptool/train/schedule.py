"""The learning rate as a function of progress."""

import math

from nlptool.train.config import Updates


def learning_rate(config: Updates, step: int, steps: int, progress: float) -> float:
    """Rate of update `step` (0-based) of `steps`.

    progress: share of the run that is done, in [0, 1): step / steps, or elapsed / allowed time.
    Warm-up multiplies the course, as in ELECTRA's code; "linear" after warm-up is exactly BERT's 1 - t/T
    (google-research/bert optimization.py), which also counts from step 0. The first update uses lr/warmup,
    not 0.
    """
    if config.warmup >= 1:
        warm = min(1.0, (step + 1) / config.warmup)
    else:
        warm = min(1.0, (progress + 1 / steps) / config.warmup) if config.warmup else 1.0
    if config.schedule == "linear":
        course = 1 - progress
    elif config.schedule == "cosine":
        course = 0.5 * (1 + math.cos(math.pi * progress))
    elif config.schedule == "wsd":
        course = min(1.0, (1 - progress) / config.cooldown)
    else:
        return config.lr * warm
    return config.lr * warm * (config.floor + (1 - config.floor) * course)
