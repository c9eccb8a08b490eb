"""`nlptool inspect` shows the trainer's inputs."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from nlptool import registry
from nlptool.cli import main
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.launch import ALONE
from nlptool.objectives.electra import objective as electra
from nlptool.recipe import load
from nlptool.text.token_texts import TokenTexts
from nlptool.text.tokenizer import Tokenizer
from nlptool.train import distributed

CASES = [
    pytest.param(name, variant, id="-".join([name, *map(str, variant.values())]))
    for name in registry.names("objectives")
    if not hasattr(facts := import_module(f"objectives.facts.{name}"), "GRAPH")  # whose rows are triples
    for variant in facts.VARIANTS
]


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["inspect", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_every_objective_shows_the_rows_of_its_step(
    name: str, variant: dict, tmp_path: Path, tiny_store: Path, write_teacher, write_linked, capsys
) -> None:
    facts = import_module(f"objectives.facts.{name}")
    train = {"steps": 8, "batch_size": 6, "sequence_length": 32, "lr": 1e-3, "gradient_accumulation": 2}
    recipe: dict[str, Any] = {
        "store": str(tiny_store),
        "model": facts.MODEL,
        "objective": {"name": name, **variant},
        "train": train,
        "out": str(tmp_path / "run"),
    }
    if hasattr(facts, "TEACHER"):
        recipe["teacher"] = str(write_teacher(tmp_path / "teacher", facts.TEACHER))
    if registry.config("objectives", name).reads_entities:
        recipe |= write_linked(tmp_path, facts.MODEL["entity_size"])
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    found = shown(capsys, str(path), "--rows", "5", "--batch", "3")
    assert len(found["rows"]) == 5
    setup = PretrainSetup(load(path, (), Recipe).recipe)
    if name != "electra":  # whose rows a model makes
        batches = setup.batches(setup.shape, distributed.join(ALONE)).get(3)
        ids = torch.cat([batch["ids"] for batch in batches])
        for row, own in zip(found["rows"], ids.tolist(), strict=False):
            assert row["ids"][: row["tokens"]] == own[: row["tokens"]]
        if "mlm" in setup.shape.weights:
            labels = torch.cat([batch["labels"] for batch in batches])
            assert [row["to_predict"] for row in found["rows"]] == (labels >= 0).sum(1)[:5].tolist()
    assert not (tmp_path / "run").exists()


def test_electra_shows_what_its_discriminator_reads_in_the_first_step(
    tiny_store: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "electra.yaml"
    path.write_text(
        f"store: {tiny_store}\n"
        "model: {name: electra, layers: 1, hidden: 16, heads: 2, max_positions: 32, dropout: 0.2}\n"
        "objective: {name: electra}\n"
        "train: {steps: 1, batch_size: 4, sequence_length: 32, lr: 1e-3}\n"
        f"seed: 3\nout: {tmp_path / 'run'}\n"
    )
    rows = shown(capsys, str(path))["rows"]
    read, corrupt = [], electra.corrupt

    def recording(*given: Any) -> electra.Corrupted:
        read.append(corrupt(*given))
        return read[-1]

    monkeypatch.setattr(electra, "corrupt", recording)
    assert main(["pretrain-electra", str(path)]) == 0
    first = next(one for one in read if len(one.shown) == 4)  # FLOPs are counted on a row before
    assert [row["ids"] for row in rows] == first.shown.tolist()
    assert [row["replaced"] for row in rows] == first.replaced.sum(1).tolist()


def test_a_terminal_reads_masks_and_what_stood_there(tiny_recipe: Path, tiny_store: Path, capsys) -> None:
    assert main(["inspect", str(tiny_recipe), "--rows", "1"]) == 0
    out = capsys.readouterr().out
    found = shown(capsys, str(tiny_recipe), "--rows", "1")["rows"][0]
    masked = [mark for mark in found["parts"][0]["marks"] if mark["kind"] == "masked"]
    assert masked
    for mark in masked:
        assert f"⟦[MASK]→{mark['label']}⟧" in out
    unmarked = re.sub(r"⟦[^⟧]*⟧", "", out.splitlines()[-1])
    assert "[CLS]" in unmarked


def test_a_page_stands_by_itself_and_is_not_overwritten_unasked(tiny_recipe: Path, tmp_path: Path, capsys):
    page = tmp_path / "rows.html"
    assert main(["inspect", str(tiny_recipe), "--out", str(page)]) == 0
    text = page.read_text()
    assert '<mark class="masked"' in text
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace("http-equiv", "")
    assert "<script" not in text
    assert main(["inspect", str(tiny_recipe), "--out", str(page)]) == 2
    assert main(["inspect", str(tiny_recipe), "--out", str(page), "--overwrite"]) == 0


def test_documents_of_a_store_are_shown_by_sentences(tiny_store: Path, capsys) -> None:
    found = shown(capsys, str(tiny_store), "--rows", "3")
    assert (found["documents"], found["documents_held_out"]) == (60, 6)
    assert [row["title"] for row in found["rows"]] == ["document 0", "document 20", "document 40"]
    tokenizer = Tokenizer.load(tiny_store / "tokenizer")
    for row in found["rows"]:
        assert len(row["parts"]) == row["sentences"] == 12
        assert "".join(part["text"] for part in row["parts"]) == tokenizer.decode(row["ids"])


def test_a_labelled_row_is_shown_with_its_label_and_what_is_cut_off(tiny_run: Path, tmp_path: Path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    texts = {"good": "the old town " * 9, "bad": "a small <b>bell</b>"}
    lines = [json.dumps({"text": text, "label": label}) for label, text in texts.items()]
    for split in ("train", "validation"):
        (data / f"{split}.jsonl").write_text("\n".join(lines))
    task = tmp_path / "mood.yaml"
    task.write_text("name: classification\ninputs: [text]\nlabels: [good, bad]\nmetrics: [accuracy]\n")
    recipe = tmp_path / "tune.yaml"
    recipe.write_text(
        f"task: {task}\n"
        f"data: {data}\ninit_from: {tiny_run / 'final'}\n"
        f"train: {{batch_size: 2, sequence_length: 24, epochs: 1}}\nout: {tmp_path / 'run'}\n"
    )
    rows = {row["label"]: row for row in shown(capsys, str(recipe))["rows"]}
    assert rows.keys() == texts.keys()
    (cut,) = [mark["text"] for part in rows["good"]["parts"] for mark in part["marks"]]
    kept = rows["good"]["parts"][0]["text"].removeprefix("[CLS]").removesuffix("[SEP]")
    assert kept + cut == texts["good"]
    assert "tokens_cut_off" not in rows["bad"]
    page = tmp_path / "page.html"
    assert main(["inspect", str(recipe), "--out", str(page)]) == 0
    assert "<b>" not in page.read_text()


def test_a_prompt_is_shown_with_its_examples_and_the_right_answer(tiny_decoder: Path, tmp_path: Path, capsys):
    task = tmp_path / "place.yaml"
    task.write_text(
        'name: multiple_choice\nprompt: "the {place} is"\nchoices: ["old", "small"]\nlabel: gold\n'
        "metrics: [accuracy]\n"
    )
    data = tmp_path / "place"
    data.mkdir()
    rows = [{"place": place, "gold": gold} for place, gold in (("town", 0), ("bell", 1), ("river", 0))]
    for split in ("train", "validation"):
        (data / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = tmp_path / "prompt.yaml"
    recipe.write_text(
        f"models: {tiny_decoder}\ntasks: {task}\ndata: {tmp_path}\nnum_fewshot: [0, 1]\nout: {tmp_path / 'run'}\n"
    )
    found = shown(capsys, str(recipe), "--rows", "2")["rows"]
    assert [row["few_shot_examples"] for row in found] == [0, 0, 1, 1]
    context, *answers = found[0]["parts"]
    assert context["text"] == "the town is"
    assert [(one["name"], one["text"]) for one in answers] == [("right", " old"), ("wrong", " small")]
    assert found[2]["parts"][0]["text"].endswith("\n\nthe town is")


def test_what_has_no_rows_says_which_recipes_have(tmp_path: Path, capsys) -> None:
    assert main(["inspect", "demo/tokenize"]) == 2
    told = capsys.readouterr().err
    assert "nlptool tokenize" in told
    assert "nlptool inspect STORE" in told
    assert main(["inspect", str(tmp_path)]) == 2


def test_a_character_of_several_tokens_is_shown_whole_unless_a_part_is_marked() -> None:
    tokenizer = Tokenizer.train(["the old town"], 300)
    texts, ids = TokenTexts(tokenizer), tokenizer.encode("a 강 🙂")
    assert "".join(span.text for span in texts.spans(ids)) == "a 강 🙂"
    (place,) = [at for at, token in enumerate(ids) if texts.name(token) == "\\xea"]
    parts = [span.text for span in texts.spans(ids, {place})]
    assert "\\xea" in parts
    assert "강" not in parts
