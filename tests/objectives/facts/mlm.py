"""What the conformance suite and the golden runs need to know of the masked language model."""

import math

SIZE = 60  # of the vocabulary in tiny.py

MODEL = {"name": "bert", "layers": 2, "hidden": 32, "heads": 2, "max_positions": 40}
VARIANTS = [{}, {"whole_word": True, "ngram": 3}, {"next_sentence": True}]
AT_INIT = {"mlm": math.log(SIZE), "nsp": math.log(2)}
HIDES = True
