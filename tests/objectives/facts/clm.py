"""What the conformance suite and the golden runs need to know of the causal language model."""

import math

SIZE = 60  # of the vocabulary in tiny.py

MODEL = {"name": "gpt2", "layers": 2, "hidden": 32, "heads": 2, "max_positions": 40}
VARIANTS = [{}]
AT_INIT = {"clm": math.log(SIZE)}
HIDES = False
