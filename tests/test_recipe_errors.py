"""Invalid recipes: each is refused within a second, with place, expectation and suggestion."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from nlptool.cli import main

GOOD = """\
store: corpus
model:
  name: bert
  layers: 2
  hidden: 64
  heads: 4
  max_positions: 128
objective:
  name: mlm
  mask_rate: 0.15
train:
  steps: 10
  batch_size: 8
  sequence_length: 128
  lr: 3e-4
  optimizer:
    eps: 1e-6
evaluate:
  every: 5
out: run
"""


class Case(NamedTuple):
    """A way to break GOOD: replace `old` by `new` in it, add arguments; and what must be said."""

    name: str
    said: tuple[str, ...]
    old: str = ""
    new: str = ""
    arguments: tuple[str, ...] = ()


YAML = [
    Case("a tab for indentation", ("r.yaml:4: not valid YAML: a tab",), "  layers", "\tlayers"),
    Case(
        "a colon too many", ("r.yaml:1: not valid YAML: a key where none can stand",), "corpus", "corpus: x"
    ),
    Case("an indentation too deep", ("r.yaml:5: not valid YAML",), "  hidden", "    hidden"),
    Case("an indentation too shallow", ("r.yaml:5: not valid YAML: the indentation",), "  hidden", " hidden"),
    Case("an open bracket", ("not valid YAML: a bracket that is never closed",), "out: run", "out: [run"),
    Case("an open quote", ("not valid YAML: a quote that is never closed",), "out: run", "out: 'run"),
    Case("a lone word", ("r.yaml:2: not valid YAML: expected key: value",), "model:", "model"),
    Case("an unquoted @", ("r.yaml:1: not valid YAML", "quote it"), "corpus", "@corpus"),
    Case(
        "an unknown alias", ("r.yaml:1: not valid YAML: found undefined alias 'corpus'",), "corpus", "*corpus"
    ),
    Case(
        "an alias that holds itself",
        ("r.yaml:1: store.0: an alias that contains itself",),
        "corpus",
        "&a [*a]",
    ),
    Case(
        "a control character", ("r.yaml:1: not valid YAML: a control character, 0x00",), "corpus", "cor\0pus"
    ),
    Case("a tag", ("r.yaml:1: store: a recipe has no tags",), "corpus", "!!python/name:os.system corpus"),
    Case("a key that is a list", ("r.yaml:1: a key must be a word",), "store:", "? [a]\n:"),
    Case("two documents", ("r.yaml:20: not valid YAML: a second document",), "out: run", "---\nout: run"),
    Case(
        "a duplicate key",
        ("r.yaml:21: out: given twice; first at ", "r.yaml:20"),
        "out: run",
        "out: run\nout: x",
    ),
    Case(
        "a duplicate key deep down",
        ("r.yaml:5: model.layers: given twice",),
        "  hidden",
        "  layers: 3\n  hidden",
    ),
    Case("no text at all", ("r.yaml:1: the recipe is empty", "nlptool recipes ls"), GOOD, ""),
    Case("comments only", ("r.yaml:1: the recipe is empty",), GOOD, "# nothing\n"),
    Case("a list at the top", ("r.yaml:1: expected key: value lines, found a list",), GOOD, "- a\n"),
    Case("text at the top", ("r.yaml:1: expected key: value lines, found text",), GOOD, "hello\n"),
]

KEYS = [
    Case(
        "a typo at the top",
        ("r.yaml:21: ouput: unknown key; did you mean out?",),
        "out: run",
        "out: run\nouput: x",
    ),
    Case("a typo one level down", ("r.yaml:15: train.lrr: unknown key; did you mean lr?",), "lr:", "lrr:"),
    Case(
        "a typo two levels down",
        ("r.yaml:17: train.optimizer.epz: unknown key; did you mean eps?",),
        "eps: 1e-6",
        "epz: 1e-6",
    ),
    Case(
        "a typo in a chosen block",
        ("r.yaml:5: model.hiden: unknown key; did you mean hidden?",),
        "hidden:",
        "hiden:",
    ),
    Case(
        "a key of another model",
        ("r.yaml:7: model.embedding_size: unknown key of bert; albert and electra have it",),
        "max_positions",
        "embedding_size",
    ),
    Case(
        "a key of another block",
        ("r.yaml:7: model.lr: unknown key here; it belongs under train:",),
        "max_positions",
        "lr",
    ),
    Case(
        "a key that belongs deeper",
        ("r.yaml:15: train.eps: unknown key here; it belongs under train.optimizer:",),
        "lr:",
        "eps:",
    ),
    Case(
        "a key with no likeness",
        ("r.yaml:19: evaluate.zzz: unknown key; expected one of every, batches",),
        "every",
        "zzz",
    ),
    Case("a missing key", ("r.yaml:1: store: missing; expected text",), "store: corpus\n", ""),
    Case(
        "a missing block",
        ("train: missing; expected a block with the keys",),
        "train:",
        "seed: 3\nevaluate2:",
    ),
    Case("no name in a chosen block", ("r.yaml:2: model.name: missing; expected",), "  name: bert\n", ""),
    Case(
        "a misspelt name",
        ("r.yaml:3: model.name: expected", 'found the text "brt"; did you mean bert?'),
        "bert",
        "brt",
    ),
    Case(
        "text for a chosen block",
        ("model: expected a block with name:",),
        "model:\n  name: bert\n",
        "model: bert\nx:\n",
    ),
]

VALUES = [
    Case(
        "lr: fast", ('r.yaml:15: train.lr: expected a number above 0; found the text "fast"',), "3e-4", "fast"
    ),
    Case("a negative rate", ("r.yaml:15: train.lr: expected a number above 0; found -0.1",), "3e-4", "-0.1"),
    Case("not a number", ("r.yaml:15: train.lr: expected a number above 0; found nan",), "3e-4", ".nan"),
    Case(
        "a fraction of a step",
        ("r.yaml:12: train.steps: expected a whole number above 0; found 1.5",),
        "10",
        "1.5",
    ),
    Case(
        "a quoted number",
        ("r.yaml:13: train.batch_size: expected a whole number", "drop the quotes"),
        "batch_size: 8",
        "batch_size: '8'",
    ),
    Case(
        "true for a number",
        ("train.batch_size: expected a whole number above 0; found true",),
        "batch_size: 8",
        "batch_size: true",
    ),
    Case(
        "nothing after a colon",
        ("r.yaml:13: train.batch_size: expected a whole number above 0; found nothing",),
        "batch_size: 8",
        "batch_size:",
    ),
    Case(
        "a list for a number",
        ("train.batch_size: expected a whole number above 0; found a list of 1",),
        "batch_size: 8",
        "batch_size: [8]",
    ),
    Case(
        "a number for text",
        (
            "r.yaml:1: store: expected text or a list, each entry a block with the keys path, weight; found 3; write "
            'it in quotes, "3"',
        ),
        "corpus",
        "3",
    ),
    Case(
        "a number for a block",
        ("r.yaml:18: evaluate: expected a block with the keys every, batches; found 5",),
        "evaluate:\n  every: 5",
        "evaluate: 5",
    ),
    Case(
        "yes for true",
        ("train.compile: expected true or false", "write true or false"),
        "lr: 3e-4",
        "compile: yes",
    ),
    Case(
        "a misspelt choice",
        (
            "train.schedule: expected one of linear, linear_bert, linear_from_peak, cosine",
            "did you mean linear?",
        ),
        "lr: 3e-4",
        "schedule: liner",
    ),
    Case(
        "a budget without unit",
        ("train.budget: expected an amount with its unit",),
        "steps: 10",
        "budget: 10",
    ),
    Case(
        "a budget and steps",
        ("r.yaml:11: train: give either steps or budget, not both",),
        "steps: 10",
        "steps: 10\n  budget: 1 h",
    ),
    Case(
        "a rate above one",
        ("r.yaml:10: objective.mask_rate: expected a number above 0 and below 1; found 1.5",),
        "0.15",
        "1.5",
    ),
    Case(
        "a bad entry of a list",
        ("train.optimizer.betas.1: expected a number",),
        "eps: 1e-6",
        "betas: [0.9, x]",
    ),
    Case("a list too short", ("train.optimizer.betas.1: missing",), "eps: 1e-6", "betas: [0.9]"),
    Case(
        "heads that do not divide hidden",
        ("r.yaml:6: model.heads: heads (5) must divide hidden (64)",),
        "heads: 4",
        "heads: 5",
    ),
]

ACROSS = [
    Case(
        "rows longer than positions",
        ("r.yaml:14: train.sequence_length: 256", "model.max_positions (128)"),
        "sequence_length: 128",
        "sequence_length: 256",
    ),
    Case(
        "rows longer by the command line",
        ("command line: train.sequence_length=256: 256 tokens",),
        arguments=("train.sequence_length=256",),
    ),
    Case(
        "a batch that does not split",
        ("r.yaml:13: train.batch_size: 8",),
        "lr:",
        "gradient_accumulation: 3\n  lr:",
    ),
    Case("no store", ("r.yaml:1: store: no token store at nowhere",), "corpus", "nowhere"),
    Case(
        "model and start",
        ("r.yaml", "give either model or init_from, not both"),
        "out: run",
        "out: run\ninit_from: x",
    ),
]

COMMAND_LINE = [
    Case(
        "an unknown key",
        ("command line: train.lrr=1: unknown key; did you mean lr?",),
        arguments=("train.lrr=1",),
    ),
    Case(
        "a wrong value",
        ("command line: train.lr=fast: expected a number above 0",),
        arguments=("train.lr=fast",),
    ),
    Case(
        "an unknown block",
        ("command line: trian.lr=1: trian: unknown key; did you mean train?",),
        arguments=("trian.lr=1",),
    ),
    Case(
        "a key without value",
        ("command line: train.lr: expected key=value or ~key",),
        arguments=("train.lr",),
    ),
    Case("an empty value", ("command line: train.lr=: no value after =",), arguments=("train.lr=",)),
    Case(
        "a value that is not YAML", ("command line: train.lr=[1: not valid YAML",), arguments=("train.lr=[1",)
    ),
    Case(
        "removing what is not there",
        ("command line: ~train.lrr: the recipe has no train.lrr; did you mean train.lr?",),
        arguments=("~train.lrr",),
    ),
    Case("removing what is needed", ("command line: ~store: missing; expected text",), arguments=("~store",)),
    Case(
        "a key inside text",
        ('command line: store.x=1: store is "corpus", not a block',),
        arguments=("store.x=1",),
    ),
    Case(
        "an index that is not there",
        ("command line: train.stages.0.batch_size=1: the recipe has no train.stages",),
        arguments=("train.stages.0.batch_size=1",),
    ),
    Case(
        "a key as an option",
        ("no option --train.lr", "without dashes: train.lr=3e-4"),
        arguments=("--train.lr", "3e-4"),
    ),
    Case("a misspelt option", ("no option --dryrun", "did you mean --dry-run?"), arguments=("--dryrun",)),
    Case("an option without value", ("Option '--out' requires an argument",), arguments=("--out",)),
    Case("two ways at once", ("contradict",), arguments=("--resume", "auto", "--overwrite")),
    Case("a checkpoint that is not there", ("--resume nowhere",), arguments=("--resume", "nowhere")),
]

CASES = YAML + KEYS + VALUES + ACROSS + COMMAND_LINE


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with what looks like a token store."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "store.json").write_text("{}")
    return tmp_path


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command line that must be refused says; fails where it is not refused as it should be."""
    started = time.process_time()
    code = main(arguments)
    seconds = time.process_time() - started
    printed = capsys.readouterr()
    assert code == 2
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert "Traceback" not in printed.err
    assert "pydantic" not in printed.err
    assert seconds < 1
    return printed.err


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_broken_recipe_is_refused(case: Case, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert case.old in GOOD
    text = GOOD.replace(case.old, case.new, 1) if case.old else GOOD
    (place / "r.yaml").write_text(text)
    said = refused(["pretrain-mlm", "r.yaml", *case.arguments], capsys)
    for words in case.said:
        assert words in said


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


def test_every_problem_is_told_at_once_in_the_order_of_lines(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "r.yaml").write_text(GOOD.replace("layers", "layer").replace("3e-4", "fast") + "out: twice\n")
    said = refused(["pretrain-mlm", "r.yaml", "train.batchs=3", "~evaluate.x"], capsys)
    assert said.splitlines() == [
        "error: 5 problems in r.yaml",
        "  r.yaml:4: model.layer: unknown key; did you mean layers?",
        '  r.yaml:15: train.lr: expected a number above 0; found the text "fast"',
        "  r.yaml:21: out: given twice; first at r.yaml:20",
        "  command line: train.batchs=3: unknown key; did you mean batch_size?",
        "  command line: ~evaluate.x: the recipe has no evaluate.x; evaluate holds every",
    ]


def test_a_recipe_that_is_not_there_is_compared_with_those_that_are(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "bert.yaml").write_text(GOOD)
    assert "did you mean bert.yaml" in refused(["pretrain-mlm", "brt.yaml"], capsys)
    assert "did you mean bert/base" in refused(["pretrain-mlm", "bert/bse"], capsys)
    assert "nlptool recipes ls" in refused(["pretrain-mlm", "zzzzzz"], capsys)


def test_a_folder_is_no_recipe(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "corpus: a folder; a recipe is a file" in refused(["pretrain-mlm", "corpus"], capsys)


def test_bytes_that_are_not_utf_8_are_placed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "r.yaml").write_bytes(b"seed: 1\nstore: caf\xe9\n")
    assert "r.yaml:2: not UTF-8 (byte 0xe9)" in refused(["pretrain-mlm", "r.yaml"], capsys)


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "r.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert refused(["pretrain-mlm", "r.yaml", "~out"], capsys).startswith(
        "error: command line: ~out: missing"
    )


def test_an_output_folder_that_holds_something_names_both_remedies(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "r.yaml").write_text(GOOD)
    (place / "run").mkdir()
    (place / "run" / "metrics.jsonl").write_text("")
    said = refused(["pretrain-mlm", "r.yaml"], capsys)
    assert "--resume auto" in said
    assert "--overwrite" in said


@pytest.mark.parametrize("old_and_new", [("lr:", "lrr:"), ("corpus", "nowhere"), (GOOD, "")])
def test_from_the_shell_a_broken_recipe_costs_less_than_a_second(
    old_and_new: tuple[str, str], place: Path
) -> None:
    (place / "r.yaml").write_text(GOOD.replace(*old_and_new))
    command = [sys.executable, "-m", "nlptool", "pretrain-mlm", "r.yaml"]
    before = os.times()
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    after = os.times()  # of the processor, so that a busy machine changes nothing
    assert result.returncode == 2
    assert result.stderr.startswith("error: r.yaml:")
    assert sum(after[2:4]) - sum(before[2:4]) < 1


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("train.epochs=3", "did you mean budget, e.g. 3 epochs?"),
        ("train.learning_rate=1", "did you mean lr?"),
        ("learning_rate=1", "did you mean lr under train:?"),
        ("train.num_train_epochs=3", "did you mean budget"),
        ("model.num_hidden_layers=3", "did you mean layers?"),
    ],
)
def test_a_key_of_another_tool_is_answered_with_ours(key: str, told: str, tmp_path: Path, capsys):
    assert told in refused(["pretrain-mlm", "demo/bert", key], capsys)
