"""Diagnostics of failed ELECTRA runs, from held-out figures: generator or discriminator has stopped learning."""

from nlptool.formatting import percent

REPLACED = 0.01
"""Below this share of replaced tokens the discriminator has almost nothing to detect."""
BLIND = 0.55
"""Up to this area under the ROC curve the discriminator is no better than chance."""
FALLEN = 2.0
"""A generator more accurate than the most frequent token by this factor has learnt more than word frequencies."""
SEEING = 0.9
"""From this area on the discriminator is well trained."""


def diagnostics(figures: dict[str, float]) -> list[str]:
    """Warnings with remedies; none for a run that has just begun.

    At the start nearly all of the generator's samples are wrong, it predicts the most frequent token, and the
    discriminator has learnt nothing. So a warning about one model requires that the other has learnt.
    """
    remarks = []
    auc = figures.get("rtd_auc")
    lead = figures["mlm_accuracy"] / max(figures["mlm_majority"], 1e-9)
    if figures["replaced"] < REPLACED:
        remarks.append(
            f"only {percent(figures['replaced'], 2)} of the tokens are replaced, "
            f"{percent(figures['generator_accuracy'], 0)} of the generator's samples being right: there is little "
            "left to detect; make the generator smaller "
            "(objective.generator_size), or mask more (objective.mask_rate)"
        )
    elif auc is not None and auc < BLIND and lead > FALLEN:
        remarks.append(
            f"the discriminator cannot tell replaced tokens (area {auc:.2f}, it finds "
            f"{percent(figures['rtd_recall'], 0)}) though the generator has learnt: it calls everything original; "
            "make the generator smaller "
            "(objective.generator_size), warm up longer (train.warmup) or lower train.lr"
        )
    if auc is not None and auc > SEEING and lead < (1 + FALLEN) / 2:
        remarks.append(
            f"the generator still knows little more than word frequencies (accuracy "
            f"{percent(figures['mlm_accuracy'])}, the most frequent token alone {percent(figures['mlm_majority'])}) "
            f"and is easily found out (area {auc:.2f}): make it larger (objective.generator_size), or lower "
            "objective.discriminator_weight"
        )
    return remarks
