"""On real questions and with the same demonstrations, scores are lm-eval's to the last digit; a random model asks as
well as a trained one."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nlptool.cli import main
from nlptool.commands.prompt.recipe import Recipe
from nlptool.models import huggingface
from nlptool.models.gpt2.config import Config
from nlptool.prompting.fewshot import sample_examples
from nlptool.prompting.requests import read_task
from nlptool.recipe import load
from nlptool.text.tokenizer import Tokenizer

pytest.importorskip("lm_eval")
import datasets
import lm_eval
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

pytestmark = pytest.mark.slow

LIMIT = 30
FOUNDRY = "zero_shot/{}.jsonl.gz"
GRAMMAR = ("adjunct_island", "complex_NP_island", "ellipsis_n_bar_1", "superlative_quantifiers_1")


def piqa(row: dict[str, Any]) -> dict[str, Any]:
    goal = row["query"].removeprefix("Question: ").removesuffix("\n")
    return {"goal": goal, "sol1": row["choices"][0], "sol2": row["choices"][1], "label": row["gold"]}


def arc(row: dict[str, Any]) -> dict[str, Any]:
    names = [str(place) for place in range(1, len(row["choices"]) + 1)]
    choices = {"text": row["choices"], "label": names}
    return {
        "question": row["query"].removeprefix("Question: "),
        "choices": choices,
        "answerKey": names[row["gold"]],
    }


def boolq(row: dict[str, Any]) -> dict[str, Any]:
    passage, _, question = row["query"].removeprefix("Passage: ").rpartition("\nQuestion: ")
    return {"passage": passage[:200], "question": question.removesuffix("?"), "label": row["gold"]}


def lambada(row: dict[str, Any]) -> dict[str, Any]:
    return {"text": f"{row['context']} {row['continuation']}"}


TASKS: dict[str, tuple[str, str, Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "piqa": ("piqa", FOUNDRY.format("piqa"), piqa, "validation"),
    "arc/easy": ("arc_easy", FOUNDRY.format("arc_easy"), arc, "test"),
    "superglue/boolq": ("boolq", FOUNDRY.format("boolq"), boolq, "validation"),
    "lambada": ("lambada_openai", "lambada/test.jsonl", lambada, "test"),
    **{f"blimp/{name}": (f"blimp_{name}", f"blimp/{name}.jsonl.gz", dict, "train") for name in GRAMMAR},
}
NAMES = {
    "accuracy": "acc,none",
    "acc_norm": "acc_norm,none",
    "perplexity": "perplexity,none",
}


@pytest.fixture(scope="module")
def decoder(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GPT-2 that reads 2,048 tokens of a byte-level vocabulary, which spells any text."""
    folder = tmp_path_factory.mktemp("decoder") / "gpt"
    torch.manual_seed(0)
    tokenizer = Tokenizer.load(tiny_store / "tokenizer").bare()
    config = Config(layers=2, hidden=32, heads=2, max_positions=2048, init=0.2)
    tokenizer.save(folder)
    state = nn.ModuleDict({"backbone": config.build(tokenizer.vocab_size)}).state_dict()
    huggingface.save_pretrained(folder, config, state, tokenizer.special)
    return folder


@pytest.fixture(scope="module")
def manager() -> TaskManager:
    return TaskManager()


def read(path: Path) -> list[dict[str, Any]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.splitlines()[: 3 * LIMIT]]


@pytest.mark.parametrize("shots", [0, 1, 5])
@pytest.mark.parametrize("name", TASKS)
def test_scores_are_lm_evals(
    name: str, shots: int, decoder: Path, manager: TaskManager, shared_data: Path, tmp_path: Path, monkeypatch
):
    if shots and not name.startswith(("piqa", "arc", "superglue")):
        pytest.skip(
            "lm-eval's few-shot examples for lambada have two spaces before the word; for blimp it has none"
        )
    theirs, file, form, split = TASKS[name]
    rows = [form(row) for row in read(shared_data / file)]
    room, _, part = name.partition("/") if name.startswith("blimp") else (name, "", split)
    (tmp_path / room).mkdir(parents=True)
    text = "".join(json.dumps(row) + "\n" for row in rows[:LIMIT])
    (tmp_path / room / f"{part}.jsonl").write_text(text)
    if name.startswith(("piqa", "arc", "superglue")):
        examples = "".join(json.dumps(row) + "\n" for row in rows[LIMIT:])
        (tmp_path / room / "train.jsonl").write_text(examples)
    given = {"models": str(decoder), "tasks": room, "data": str(tmp_path), "num_fewshot": shots}
    (tmp_path / "r.yaml").write_text(json.dumps(given | {"out": str(tmp_path / "out")}))
    assert main(["prompt", str(tmp_path / "r.yaml")]) == 0
    (found,) = json.loads((tmp_path / "out" / "results.json").read_text())
    assert (found["cut"], found["fewer_shots"]) == (0, 0)

    lists = {"validation": rows[:LIMIT], "test": rows[:LIMIT], "train": rows[LIMIT:]}
    if name.startswith("blimp"):  # whose questions are called train
        lists["train"] = rows[:LIMIT]
    splits = {key: datasets.Dataset.from_list(value) for key, value in lists.items()}
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.DatasetDict(splits))
    (task,) = manager.load([theirs])["tasks"].values()
    (spec,) = load(tmp_path / "r.yaml", [], Recipe).recipe.tasks
    run = read_task(spec, tmp_path, shots, None, 0)
    (pool,) = run.pools.values() if shots else [None]
    place_of = {json.dumps(row): number for number, row in enumerate(rows[:LIMIT])}
    plain, asked = task.fewshot_context, []

    def context(doc: dict[str, Any], *rest: Any, **more: Any) -> Any:
        asked.append(json.dumps({key: doc[key] for key in rows[0]}))
        return plain(doc, *rest, **more)

    def sample(n: int, eval_doc: Any = None) -> list[dict[str, Any]]:
        number = place_of[asked[-1]]
        chosen = sample_examples(pool, run.instances[number], number, shots, 0)
        source = lists["train"]
        return [source[int(one.place.rpartition(":")[2]) - 1] for one in chosen]

    task.fewshot_context, task.sampler.sample = context, sample
    model = HFLM(pretrained=str(decoder), dtype="float32", batch_size=4, device="cpu")
    told = lm_eval.simple_evaluate(model, tasks=[task], num_fewshot=shots, bootstrap_iters=0)["results"][
        theirs
    ]
    for ours, other in NAMES.items():
        if ours in found["scores"] and other in told:
            assert found["scores"][ours]["value"] == pytest.approx(told[other], rel=1e-4)
            compared = ours
    assert compared
