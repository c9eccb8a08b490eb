"""Hostile model folders, through every command that reads one: a result or a one-line error, and no code is run."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hostile import Trial, campaign, hostile_world
from hostile_models import DTYPES, KINDS, PANICS, Change, replacing, split, strange
from trials import MOST
from worlds import exported, world_of

from nlptool import registry

FAMILIES = ("model", *sorted({*registry.names("models")} - {"bert"}), "bert-bell", "electra-bell", "kagnet")
"""Folders of the world: each family, BERT first, and three that are fine-tuned."""
TEXT = f"the river {'x' * 60} [MASK]."
COMMANDS = (
    ["fill-mask", "stranger", TEXT],
    ["evaluate", "stranger", "--store", "store", "--max-chars", "40"],
    ["evaluate", "stranger", "--task", "data/validation.jsonl", "--out", "rated"],
    ["predict", "stranger", "--text", TEXT],
    ["predict", "stranger", "data/validation.jsonl", "--out", "answers.csv", "--keep"],
    ["generate", "stranger", "--text", TEXT, "--max-new-tokens", "4"],
    ["embed", "stranger", "--text", TEXT],
    ["export", "stranger", "--out", "hf", "--license", "mit"],
    ["doctor", "stranger"],
    ["plan", "tune.yaml", "init_from=stranger"],
    ["finetune", "tune.yaml", "train.steps=1", "init_from=stranger", "--overwrite"],
    ["prompt", "ask.yaml", "models=[stranger]"],
    ["pretrain-mlm", "bert.yaml", "~model", "init_from=stranger", "train.steps=1", "out=new"],
    ["pretrain-clm", "gpt.yaml", "~model", "init_from=stranger", "train.steps=1", "out=new"],
    ["distill", "smaller.yaml", "teacher=stranger", "train.steps=1"],
    ["distill-task", "taskwise.yaml", "teacher=stranger", "intermediate.steps=1", "prediction.steps=1"],
    ["compare", "bert.yaml", "~model", "--vary", "init_from=stranger,model", "train.steps=1", "--out", "both"],
    ["inspect", "tune.yaml", "init_from=stranger", "--out", "rows.html"],
    ["inspect", "ask.yaml", "models=[stranger]", "--out", "rows.html"],
    ["tokenize", "tokenize.yaml", "~tokenizer.vocab_size", "tokenizer.load=stranger", "out=other"],
)  # fmt: skip


def made(family: str, change: Change | None, keeps: bool = False) -> Change:
    """A change of a world: a family's folder becomes a stranger's, and is changed. keeps: its record of a run, too."""

    def apply(world: Path) -> None:
        folder = world / "stranger"
        shutil.copytree(world / family, folder)
        if not keeps:
            strange(folder)
        if change is not None:
            change(folder)

    return apply


def trials(kind: str, world: Path, families: Sequence[str] = FAMILIES) -> Iterator[Trial]:
    """Each change of each family's folder under each command."""
    for family in families:
        for what, change in KINDS[kind](world / family):
            for line in COMMANDS:
                yield Trial(
                    line[0], f"{family} {what}", made(family, change, what.startswith("run.json")), line
                )


QUICK = ("fill-mask", "embed", "doctor")


@pytest.mark.parametrize("kind", KINDS)
def test_some_hostile_folders_end_in_one_line(kind: str):
    world = world_of(exported)
    quick = [trial for trial in trials(kind, world, FAMILIES[:1]) if trial.line[0] in QUICK]
    quick = [trial for trial in quick if not trial.what.endswith(DTYPES)]  # which take torch to make
    campaign(f"model folders: {kind}", world, quick, 1).require_right()


@pytest.mark.parametrize("change", [split(PANICS[0]), replacing(*[({"Regex": "."}, "aa")] * 40)])
def test_a_tokenizer_that_panics_or_multiplies_its_input_is_named(change: Change):
    trial = Trial("tokenizers", "bad", made("model", change), COMMANDS[0], (3,))
    campaign("tokenizers", world_of(exported), [trial]).require_right()


@pytest.mark.slow
@pytest.mark.usefixtures("all_imports")
@pytest.mark.parametrize("kind", KINDS)
def test_all_hostile_folders_end_in_one_line(kind: str):
    campaign(
        f"model folders: {kind}", hostile_world(), trials(kind, hostile_world()), MOST or 2_000
    ).require_right()
