"""Memory of commands that read rows."""

import json
import random
from pathlib import Path

import pytest
from trials import ROOT, copy, run
from worlds import WORDS, asked, world_of

FEW, MANY = 16_000, 48_000  # the first rows take more, by what is allocated once
HELD = 6_000  # bytes of a row: its text, its requests, their digest and responses, and the line that is written of it


def grown(rows: int) -> int:
    """Bytes that `prompt` takes of so many rows, which an encoder scores."""
    rng, world = random.Random(1), copy(world_of(asked), Path(ROOT.name) / "trial")
    lines = (
        json.dumps({"sentence": " ".join(rng.choices(WORDS, k=rng.randrange(3, 30))), "label": 0})
        for _ in range(rows)
    )
    (world / "data/order/validation.jsonl").write_text("\n".join(lines) + "\n")
    done = run(["prompt", "ask.yaml", "--out", "new"], world, patience=600)
    assert done.code == 0, done
    return done.grown


@pytest.mark.slow
def test_prompting_an_encoder_takes_no_more_memory_for_a_row_than_the_row_and_its_answers():
    assert grown(MANY) - grown(FEW) < (MANY - FEW) * HELD
