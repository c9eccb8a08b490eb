"""Names of earlier versions: each is an error with the new name, and recipes of old runs are read with new names."""

from importlib import import_module
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.commands.specs import COMMANDS
from nlptool.errors import RecipeError
from nlptool.recipe import RecipeBlock, catalog, dump, kept, loads, renamed

SCHEMAS: dict[str, type[RecipeBlock]] = {
    spec.name: import_module(f"nlptool.commands.{spec.module}.recipe").Recipe for spec in COMMANDS
}
EARLIER = [  # command, a recipe of an earlier version, and its keys that have been renamed
    (
        "pretrain-electra",
        "tokens: s\nstart: x\nmodel: {name: albert, types: 1, positions: 8, embedding: 8}\n"
        "objective: {name: electra, learn: all_tokens, faithful: code, generator: 1, weight: 1}\n"
        "train: {batch: 8, length: 8, accumulate: 1, floor: 0, clip: 1, recompute: true}\nsave: {keep: 1}\nout: o\n",
        "tokens>store start>init_from model.types>type_vocab_size model.positions>max_positions "
        "model.embedding>embedding_size objective.learn>loss objective.faithful>masking "
        "objective.generator>generator_size objective.weight>discriminator_weight train.batch>batch_size "
        "train.length>sequence_length train.accumulate>gradient_accumulation train.floor>min_lr_ratio "
        "train.clip>max_grad_norm train.recompute>activation_checkpointing save.keep>keep_last",
    ),
    (
        "distill",
        "store: s\nobjective: {name: distill, corrupt: [1, 0, 0], soft: 1, lm: 1, soft_at: all, keep: 1, layers: top}\n"
        "train: {steps: 1, stages: [{length: 8, batch: 8, share: 1}]}\nout: o\n",
        "objective.corrupt>mask_split objective.soft>kl objective.lm>lm_loss objective.soft_at>kl_positions "
        "objective.keep>cache_top_k objective.layers>layer_map train.stages.0.length>sequence_length "
        "train.stages.0.batch>batch_size",
    ),
    (
        "tokenize",
        "source: {files: a, bad: drop, documents: line}\ntokenizer: {vocab: 300}\nout: o\n",
        "source.bad>on_error source.documents>document_boundary tokenizer.vocab>vocab_size",
    ),
    (
        "finetune",
        "task: {name: text_generation, form: woz, tokens: 9, metrics: [exact]}\nstart: m\ndropout: {net: 0}\n"
        "train: {layer_decay: 0.9}\nout: o\n",
        "task.form>format task.tokens>max_new_tokens start>init_from dropout.net>hidden "
        "train.layer_decay>layerwise_lr_decay",
    ),
    (
        "finetune",
        "task: {name: kagnet, inputs: [a], choices: [b, c], labels: [x, y], graph: g, embeddings: e, net: {}}\n"
        "init_from: m\nout: o\n",
        "task.embeddings>entity_embeddings task.net>network",
    ),
    (
        "knowledge",
        "source: {files: a, valid: b}\nsplit: {valid: 0.1}\nout: o\n",
        "source.valid>validation split.valid>validation",
    ),
    ("pretrain-transe", "graph: g\nobjective: {name: transe}\nbest: true\nout: o\n", "best>evaluate.select"),
    (
        "distill-task",
        "task: glue/sst2\nteacher: t\nstart: m\naugment: {copies: 3}\ntwin: true\nout: o\n",
        "start>init_from augment.copies>copies_per_row twin>baseline_student",
    ),
    (
        "prompt",
        "models: m\nshots: 1\nout: o\ntasks:\n- name: mine\n  task: {name: generate_until, prompt: p, answer: a, "
        "stop: [x], metrics: [exact], prepare: quac, header: h, separator: s, tokens: 1, sentences: 1, beams: 2, "
        "source: {made: arithmetic}}\n",
        "shots>num_fewshot tasks.0.task.prepare>preprocess tasks.0.task.header>description "
        "tasks.0.task.separator>fewshot_delimiter tasks.0.task.tokens>max_new_tokens "
        "tasks.0.task.sentences>max_sentences tasks.0.task.beams>num_beams tasks.0.task.source.made>synthetic",
    ),
]
VALUES = [  # command, a recipe of an earlier version, the key and its value
    *(
        ("finetune", f"task: {{name: {old}}}\ninit_from: m\nout: o\n", "task.name", old, new)
        for old, (new, *_) in renamed.VALUES["name"].items()
        if new in ("text_generation", "classification", "extractive_qa", "token_classification")
        or old == "choose"
    ),
    *(
        (
            "prompt",
            f"models: m\nout: o\ntasks: [{{name: a, task: {{name: {old}}}}}]\n",
            "tasks.0.task.name",
            old,
            new,
        )
        for old, new in (
            ("answer", "generate_until"),
            ("choices", "multiple_choice"),
            ("continuation", "loglikelihood"),
        )
    ),
    ("distill", "store: s\nobjective: {name: distil}\nout: o\n", "objective.name", "distil", "distill"),
    *(
        (
            "pretrain-electra",
            f"store: s\nobjective: {{name: electra, loss: {old}}}\n",
            "objective.loss",
            old,
            new,
        )
        for old, (new,) in renamed.VALUES["loss"].items()
    ),
    (
        "prompt",
        "models: m\nout: o\ntasks: [{name: a, task: {name: multiple_choice, prompt: p, choices: '{a}', "
        "metrics: [accuracy_per_character]}}]\n",
        "tasks.0.task.metrics.0",
        "accuracy_per_character",
        "acc_norm",
    ),
]


def pairs(keys: str) -> list[tuple[str, str]]:
    """Dotted keys of an earlier version and of today."""
    both = [pair.split(">") for pair in keys.split()]
    return [(old, f"{old.rpartition('.')[0]}.{new}".removeprefix(".")) for old, new in both]


@pytest.mark.parametrize(("command", "text", "keys"), EARLIER, ids=[command for command, *_ in EARLIER])
def test_each_earlier_key_says_its_name_of_today_and_that_is_not_missing(command: str, text: str, keys: str):
    with pytest.raises(RecipeError) as error:
        loads(text, SCHEMAS[command])
    lines = str(error.value).split("\n")
    for old, new in pairs(keys):
        assert [line for line in lines if line.endswith(f": {old} is now {new}")], old
        assert not [line for line in lines if f" {new}: missing" in line], new


def test_every_key_of_the_table_is_tried_above():
    tried = {
        (old.rpartition(".")[2], new.rpartition(".")[2]) for *_, keys in EARLIER for old, new in pairs(keys)
    }
    moved = {(old, one.now.rpartition(".")[2]) for old, one in renamed.MOVED.items()}
    assert tried == {(old, new) for old, news in renamed.KEYS.items() for new in news} | moved


@pytest.mark.parametrize(("command", "text", "key", "old", "new"), VALUES)
def test_each_earlier_value_says_its_name_of_today(command: str, text: str, key: str, old: str, new: str):
    with pytest.raises(RecipeError, match=rf"{key}: {old} is now {new}"):
        loads(text, SCHEMAS[command])


def test_every_value_of_the_table_is_tried_above():
    known = {
        (key, old, new)
        for key, table in renamed.VALUES.items()
        for old, news in table.items()
        for new in news
    }
    tried = {
        (next(k for k in reversed(key.split(".")) if k.isalpha()), old, new) for *_, key, old, new in VALUES
    }
    assert tried == known


def test_an_earlier_key_of_the_command_line_says_its_name_of_today(tiny_recipe: Path, capsys):
    assert main(["pretrain-mlm", str(tiny_recipe), "train.batch=8"]) == 2
    assert "command line: train.batch=8: train.batch is now train.batch_size" in capsys.readouterr().err
    assert main(["pretrain-mlm", str(tiny_recipe), "~train.batch"]) == 2
    assert "batch is now train.batch_size" in capsys.readouterr().err


@pytest.mark.parametrize("folder", [*renamed.FOLDERS, *renamed.RECIPES])
def test_each_earlier_recipe_says_its_name_of_today(folder: str, capsys):
    new = renamed.FOLDERS.get(folder, renamed.RECIPES.get(folder))
    names = [name for name in catalog.shipped() if name == new or name.startswith(f"{new}/")]
    assert names
    for name in names:
        old = name.replace(str(new), folder, 1)
        assert main(["recipes", "show", old]) == 2
        assert f"{old} is now {name}" in capsys.readouterr().err


KEPT = """\
tokens: store
model:
  name: bert
  layers: 2
  positions: 64
  types: 2
objective:
  name: distil
  soft: 5.0
  lm: 2.0
  soft_at: all
  keep: 0
  layers: uniform
  corrupt: [0.8, 0.1, 0.1]
train:
  batch: 8
  steps: 12
  stages:
    - length: 16
      batch: 4
      share: 1.0
  clip: 1.0
save:
  keep: 2
out: run
"""


def test_the_recipe_that_an_earlier_version_kept_is_read_under_the_names_of_today(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text(KEPT)
    recipe = kept(tmp_path, SCHEMAS["distill"])
    text = dump(recipe)
    assert "kl_positions: all" in text
    assert "name: distill" in text
    assert "keep_last: 2" in text
    assert "    - sequence_length: 16" in text
    assert loads(text, SCHEMAS["distill"]) == recipe


def test_a_key_that_has_become_one_of_a_block_is_read_there(tmp_path: Path):
    kept_text = (
        "graph: g\nobjective: {name: transe}\ntrain: {steps: 1, batch_size: 1}\nevaluate: {every: 5}\n"
    )
    for value, now in (("true", "best"), ("false", "last")):
        (tmp_path / "recipe.yaml").write_text(f"{kept_text}best: {value}\nout: o\n")
        evaluate = kept(tmp_path, SCHEMAS["pretrain-transe"]).evaluate
        assert (evaluate.select, evaluate.every) == (now, 5)


def test_each_earlier_recipe_is_read_under_the_names_of_today():
    for command, text, keys in EARLIER:
        from nlptool.recipe.field_types import FieldType
        from nlptool.recipe.source import parse

        source = parse(text, "recipe")
        data = renamed.translated(source.data, FieldType.of(SCHEMAS[command]))
        for _, new in pairs(keys):
            inside = data
            for key in new.split("."):
                inside = inside[int(key) if key.isdigit() else key]


@pytest.mark.parametrize(
    ("command", "old", "new"),
    [(c, old, new) for c, table in renamed.OPTIONS.items() for old, new in table.items()],
)
def test_each_earlier_option_says_its_name_of_today(command: str, old: str, new: str, capsys):
    assert main([command, "x", old, "3"]) == 2
    assert f"{old} is now {new}" in capsys.readouterr().err
