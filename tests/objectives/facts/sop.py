"""What the conformance suite and the golden runs need to know of sentence order."""

import math

SIZE = 60  # of the vocabulary in tiny.py

MODEL = {"name": "albert", "layers": 2, "hidden": 32, "heads": 2, "max_positions": 40, "embedding_size": 16}
VARIANTS = [{}, {"pairs": "next"}, {"pairs": "none"}]
AT_INIT = {"mlm": math.log(SIZE), "sop": math.log(2), "nsp": math.log(2)}
HIDES = True
