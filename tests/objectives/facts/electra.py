"""What the conformance suite and the golden runs need to know of ELECTRA."""

import math

SIZE = 60  # of the vocabulary in tiny.py
REPLACED = (
    4 / 24 * (1 - 1 / SIZE)
)  # round(0.15 * 24) masked tokens a row, of which chance guesses one in SIZE

MODEL = {"name": "electra", "layers": 2, "hidden": 32, "heads": 2, "embedding_size": 16, "max_positions": 40}
SETTINGS = {"generator_size": 1.0}  # as wide as the model: 8 would be too narrow to learn anything by heart
VARIANTS = [
    SETTINGS,
    SETTINGS | {"loss": "rtd_masked"},
    SETTINGS | {"loss": "replace_mlm"},
    SETTINGS | {"loss": "all_tokens"},
    SETTINGS | {"tie": "none"},
    SETTINGS | {"tie": "all"},
    SETTINGS | {"masking": "code"},
    SETTINGS | {"input_format": "segments"},
    SETTINGS | {"input_format": "segments", "loss": "all_tokens"},
]
AT_INIT = {
    "mlm": math.log(SIZE),
    "rtd": math.log(2),
    "replace_mlm": math.log(SIZE),
    # Half of p is copied: log 2 where the copy is right, log 2 SIZE where it is not.
    "all_tokens": -(1 - REPLACED) * math.log(0.5 + 0.5 / SIZE) + REPLACED * math.log(2 * SIZE),
}
HIDES = True

# Samples that hardly depend on what the generator learns: else what the discriminator learns by heart moves under it.
BY_HEART = {"temperature": 1e3, "discriminator_weight": 10.0}
