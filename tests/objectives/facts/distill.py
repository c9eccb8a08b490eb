"""What the conformance suite and the golden runs need to know of general distillation."""

import math

SIZE = 60  # of the vocabulary in tiny.py

MODEL = {"name": "bert", "layers": 2, "hidden": 32, "heads": 2, "max_positions": 40}
TEACHER = MODEL | {"layers": 4, "init": 0.1}  # says something of what it reads, though it has learnt nothing
TINYBERT = {"kl": 0.0, "lm_loss": 0.0, "cosine": 0.0, "hidden": 1.0, "attention": 1.0, "embedding": 1.0}
TEACHER_SEED = 6
VARIANTS = [{}, {"kl_positions": "masked"}, TINYBERT]
AT_INIT = {
    "kl": 0.135,  # measured: how far this teacher is from saying the same of every token
    "mlm": math.log(SIZE),
    "cosine": 1.0,  # at right angles
    "hidden": 2 * 2.0,  # two layers, each of states with variance 1 that have nothing in common
    "attention": 0.13,  # measured: the teacher's scores squared, since the student's begin near 0
    "embedding": 2.0,
}
WITHIN = 0.1  # states of width 32 are a little alike by chance
HIDES = True

# A teacher that has learnt nothing contradicts the labels, so of these two only the teacher is learnt.
BY_HEART = {"lm_loss": 0.0}
