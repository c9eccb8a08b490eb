"""What the conformance suite and the golden runs need to know of ERNIE's pretraining."""

import math

SIZE = 60  # of the vocabulary in tiny.py

MODEL = {
    "name": "ernie",
    "layers": 3,
    "hidden": 32,
    "heads": 2,
    "max_positions": 40,
    "entity_size": 16,
    "entity_heads": 2,
}
VARIANTS = [{}, {"next_sentence": False, "links": "alternate"}, {"dea_weight": 0}]
AT_INIT = {
    "mlm": math.log(SIZE),
    "nsp": math.log(2),
    "dea": 2.05,
}  # measured: log 7, and what products say by chance
WITHIN = 0.1
HIDES = True

ENTITY_STD = 0.2  # of the vectors; so small that products say little before anything is learnt
