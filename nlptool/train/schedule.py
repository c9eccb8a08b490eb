"""The learning rate as a function of progress."""

import math

from nlptool.train.config import TrainConfigBase

ROUNDING = 1e-9  # of a share of the steps: 0.1 * 30 is 3.0000000000000004


def learning_rate(config: TrainConfigBase, step: int, steps: int, progress: float) -> float:
    """Rate of update `step` (0-based) of `steps`: peak * warm-up * decay.

    progress: share of the run that is done, in [0, 1): step / steps, or elapsed / allowed time.

    Warm-up rises as t/W and then stays at 1. It counts t from 1: the first update uses lr/W. The released codes
    count from 0, so that their first update changes no weight. Decay counts t from 0, as theirs does. Three decays
    are linear, with t of T updates done and W of them warm-up:

    linear            1 - t/T from the first update on, so the peak is not reached: ELECTRA (google-research/electra
                      model/optimization.py) and GPT (openai/finetune-transformer-lm opt.py).
    linear_bert       none during warm-up, then 1 - t/T: the rate jumps from the peak to 1 - W/T of it. BERT and
                      ALBERT (optimization.py of google-research/bert and google-research/albert).
    linear_from_peak  none during warm-up, then (T - t) / (T - W): transformers' get_linear_schedule_with_warmup
                      (optimization.py), which trained DistilBERT, and WarmupLinearSchedule of TinyBERT's BertAdam
                      (TinyBERT/transformer/optimization.py).

    cosine falls along half a cosine from the first update on, wsd stays at the peak until the share `cooldown` of
    the run is left, constant stays for good. The last update has a rate above the floor, which is reached at T.
    How many updates a run of a given time has is not known: a warm-up of so many steps is then no share of it, and
    linear_from_peak falls from the first update on.
    """
    warm, share = _warmup(config, step, steps, progress)
    if config.schedule == "linear":
        decay = 1 - progress
    elif config.schedule == "linear_bert":
        decay = 1.0 if warm <= 1 + ROUNDING else 1 - progress
    elif config.schedule == "linear_from_peak":
        decay = min(1.0, (1 - progress) / (1 - share)) if share < 1 else 1.0
    elif config.schedule == "cosine":
        decay = 0.5 * (1 + math.cos(math.pi * progress))
    elif config.schedule == "wsd":
        decay = min(1.0, (1 - progress) / config.cooldown)
    else:
        return config.lr * min(1.0, warm)
    return config.lr * min(1.0, warm) * (config.min_lr_ratio + (1 - config.min_lr_ratio) * decay)


def _warmup(config: TrainConfigBase, step: int, steps: int, progress: float) -> tuple[float, float]:
    """Progress of warm-up after this update, 1 at its end and more later; and its share of the run."""
    if config.warmup >= 1:
        return (step + 1) / config.warmup, config.warmup / steps
    if config.warmup:
        return (progress + 1 / steps) / config.warmup, config.warmup
    return math.inf, 0.0
