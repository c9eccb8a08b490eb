"""Distillation of a fine-tuned model into a small one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nlptool.cli import main
from nlptool.models import huggingface
from nlptool.models.bert.config import Config as Bert
from nlptool.runs import loop
from nlptool.text.tokenizer import Tokenizer
from nlptool.train import checkpoint

WORDS = ("the", "river", "old", "town", "a", "small", "house", "winter", "wood", "stone", "light")


def rows(number: int, seed: int) -> list[dict]:
    """Sentences; the label is whether there is a bell in them."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(number):
        label = int(rng.random() < 0.4)
        words = [*rng.choice(WORDS, rng.integers(3, 9)), *(["bell"] if label else [])]
        made.append({"sentence": " ".join(rng.permutation(words)), "label": label})
    return made


def write(folder: Path, **splits: list[dict]) -> None:
    folder.mkdir(exist_ok=True)
    for name, made in splits.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))


@pytest.fixture(scope="module")
def taught(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/, a task, a model of four layers that has been fine-tuned on it, and a recipe."""
    folder = tmp_path_factory.mktemp("taught")
    write(folder / "data", train=rows(200, 0), validation=rows(60, 1))
    (folder / "bell.yaml").write_text(
        "name: classification\ninputs: [sentence]\nlabels: [silent, bell]\nmetrics: [accuracy]\n"
    )
    torch.manual_seed(0)
    tokenizer, model = Tokenizer.load(tiny_store / "tokenizer"), Bert(layers=4, hidden=32, heads=2, init=0.1)
    state = {f"backbone.{name}": t for name, t in model.build(tokenizer.vocab_size).state_dict().items()}
    tokenizer.save(folder / "model")
    huggingface.save_pretrained(folder / "model", model, state, tokenizer.special)
    (folder / "tune.yaml").write_text(
        f"task: {folder}/bell.yaml\ndata: {folder}/data\ninit_from: {folder}/model\n"
        f"train: {{epochs: 5, batch_size: 16, sequence_length: 32, lr: 3e-3}}\nout: {folder}/teacher\n"
    )
    assert main(["finetune", str(folder / "tune.yaml")]) == 0
    return folder


@pytest.fixture
def work(taught: Path, tmp_path: Path) -> Path:
    """A folder with a recipe that takes a second or two."""
    stage = "batch_size: 16, sequence_length: 32, lr: 3e-3"
    (tmp_path / "distil.yaml").write_text(
        f"task: {taught}/bell.yaml\ndata: {taught}/data\nteacher: {taught}/teacher/seed-0/final\nlayers: 2\n"
        f"intermediate: {{epochs: 2, {stage}}}\nprediction: {{epochs: 2, {stage}}}\nout: {tmp_path}/run\n"
    )
    return tmp_path


SHORT = ("intermediate.steps=2", "prediction.steps=2")


def distil(work: Path, *arguments: str) -> int:
    return main(["distill-task", str(work / "distil.yaml"), *arguments])


def scores(work: Path, run: str = "run") -> dict:
    return json.loads((work / run / "scores.json").read_text())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(a: Path, b: Path) -> bool:
    one, two = weights(a), weights(b)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_student_of_half_the_layers_says_mostly_what_its_teacher_says(work: Path, taught: Path, capsys):
    assert distil(work, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == scores(work)
    teacher, student = told["models"]["teacher"], told["models"]["student"]
    finetuned = json.loads((taught / "teacher/scores.json").read_text())
    assert teacher["mean"]["accuracy"] == finetuned["mean"]["accuracy"] > 0.9
    assert student["kept"]["accuracy"] == student["mean"]["accuracy"] / teacher["mean"]["accuracy"] > 0.9
    assert "layer.1." in "".join(weights(work / "run/prediction/seed-0/final"))
    assert "layer.2." not in "".join(weights(work / "run/prediction/seed-0/final"))
    assert student["parameters"] < teacher["parameters"]
    assert student["bytes"] == 4 * student["parameters"]
    assert student["faster"]["one"] == pytest.approx(teacher["latency"] / student["latency"])
    assert "baseline_student" not in told["models"]


def test_the_table_stands_on_the_screen_and_in_the_folder(work: Path, capsys):
    assert distil(work, "seeds=2", "baseline_student=true", *SHORT) == 0
    out = capsys.readouterr().out
    assert "60 rows; scores of the last step" in out
    assert [line.split("  ")[0] for line in out.splitlines()[2:]] == [
        "teacher",
        "student",
        "without a teacher",
    ]
    written = (work / "run/retention.md").read_text().splitlines()
    assert written[:2] == ["scores of the last step", ""]
    assert [line.split(" | ")[0] for line in written[4:]] == ["| teacher", "| student", "| without a teacher"]
    found = scores(work)["models"]
    mean, deviation = (100 * found["student"][key]["accuracy"] for key in ("mean", "std"))
    assert f"{mean:.1f} ± {deviation:.1f} %" in out
    assert [run["seed"] for run in found["baseline_student"]["runs"]] == [0, 1]
    assert found["baseline_student"]["parameters"] == found["student"]["parameters"]


def test_a_twin_takes_as_many_steps_as_both_stages(work: Path):
    assert distil(work, "baseline_student=true", "intermediate.steps=1", "prediction.steps=2") == 0
    lines = (work / "run/baseline_student/seed-0/metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 3


def test_the_first_stage_comes_nearer_to_the_teacher_and_leaves_the_head_alone(work: Path):
    assert distil(work, "intermediate.epochs=4", "prediction.steps=1") == 0
    run = work / "run/intermediate/seed-0"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for term in ("hidden", "attention"):
        found = [line[f"heldout/{term}"] for line in lines if f"heldout/{term}" in line]
        assert len(found) == 4
        assert found[-1] < 0.8 * found[0]
    before, after = weights(work / "run/start"), weights(run / "final")
    for name in ("classifier.weight", "bert.pooler.dense.weight"):
        assert torch.equal(before[name], after[name])
    assert not torch.equal(
        before["bert.embeddings.word_embeddings.weight"], after["bert.embeddings.word_embeddings.weight"]
    )


def test_a_student_begins_from_alternate_layers_of_its_teacher_with_its_head(work: Path, taught: Path):
    assert distil(work, "prediction.steps=1", "intermediate=null") == 0
    teacher, start = weights(taught / "teacher/seed-0/final"), weights(work / "run/start")
    for mine, theirs in ((0, 0), (1, 3)):
        name = "bert.encoder.layer.{}.intermediate.dense.weight"
        assert torch.equal(start[name.format(mine)], teacher[name.format(theirs)])
    assert torch.equal(start["classifier.weight"], teacher["classifier.weight"])
    assert not (work / "run/intermediate").exists()


def test_a_run_that_goes_on_gives_the_same_bits(work: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoint, "prune", lambda folder, keep, written: None)
    every = ["seeds=2", "evaluate.every=2", "intermediate.steps=4", "prediction.steps=3", "dropout.head=0.2"]
    assert distil(work, *every) == 0
    shutil.copytree(work / "run", work / "whole")
    shutil.rmtree(work / "run/prediction/seed-0")
    shutil.rmtree(work / "run/prediction/seed-1")
    second = work / "run/intermediate/seed-1"
    shutil.rmtree(second / "final")
    for path in sorted((second / "checkpoints").iterdir())[1:]:
        shutil.rmtree(path)
    assert distil(work, *every, "--resume", "auto") == 0
    for stage in ("intermediate", "prediction"):
        for seed in ("seed-0", "seed-1"):
            assert same(work / "run" / stage / seed / "final", work / "whole" / stage / seed / "final")
    resumed, whole = (scores(work, name)["models"]["student"]["mean"] for name in ("run", "whole"))
    assert resumed == whole


def test_what_is_finished_is_not_done_again(work: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    assert distil(work, *SHORT) == 0
    monkeypatch.setattr(loop, "TrainingRun", None)
    assert distil(work, *SHORT, "--resume", "auto") == 0
    told = capsys.readouterr().err
    assert "run/intermediate/seed-0: is finished" in told
    assert "run/prediction/seed-0: is finished" in told


@pytest.mark.slow
def test_the_second_stage_can_be_done_again_otherwise_after_the_same_first_one(work: Path, capsys):
    assert distil(work, *SHORT) == 0
    before = (work / "run/intermediate/seed-0/final/model.safetensors").stat().st_mtime_ns
    assert distil(work, *SHORT, "prediction.lr=1e-3", "--resume", "auto") == 2
    assert "prediction/seed-0: is finished, but was trained with another recipe" in capsys.readouterr().err
    shutil.rmtree(work / "run/prediction")
    for change in ("intermediate.batch_size=8", "intermediate.sequence_length=16"):
        assert distil(work, *SHORT, change, "--resume", "auto") == 2
        assert f"{change.partition('=')[0]}: " in capsys.readouterr().err
    assert distil(work, *SHORT, "prediction.lr=1e-3", "--resume", "auto") == 0
    assert (work / "run/intermediate/seed-0/final/model.safetensors").stat().st_mtime_ns == before


def test_a_teacher_that_was_another_is_refused_when_a_run_goes_on(work: Path, taught: Path, capsys):
    assert distil(work, "prediction.steps=1", "intermediate=null") == 0
    shutil.copytree(taught / "teacher/seed-0/final", work / "other")
    assert distil(work, f"teacher={work}/other", "--resume", "auto") == 2
    assert f"-> {work}/other" in capsys.readouterr().err


def test_another_teacher_in_the_same_place_is_refused_when_a_run_goes_on(work: Path, taught: Path, capsys):
    shutil.copytree(taught / "teacher/seed-0/final", work / "model")
    assert distil(work, *SHORT, f"teacher={work}/model") == 0
    state = load_file(work / "model/model.safetensors")
    save_file({name: tensor * 1.5 for name, tensor in state.items()}, work / "model/model.safetensors")
    (work / "model/run.json").unlink()  # which has the digest of what was there
    assert distil(work, *SHORT, f"teacher={work}/model", "--resume", "auto") == 3
    assert "is not the teacher that" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_goes_on_where_its_folder_is_named_otherwise_or_was_moved(
    work: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(work)
    assert distil(work, *SHORT, "--out", "here") == 0
    assert distil(work, *SHORT, "--out", f"{work}/here", "--resume", "auto") == 0
    (work / "here").rename(work / "there")
    assert distil(work, *SHORT, "--out", "there", "--resume", "auto") == 0
    assert "there/prediction/seed-0: is finished" in capsys.readouterr().err


@pytest.mark.slow
def test_the_teacher_is_asked_again_where_rows_are_cut_elsewhere(work: Path):
    assert distil(work, *SHORT) == 0
    first = (work / "run/teacher.npy").read_bytes()
    shutil.rmtree(work / "run/prediction")
    assert distil(work, *SHORT, "prediction.sequence_length=5", "--resume", "auto") == 0
    assert (work / "run/teacher.npy").read_bytes() != first
    assert distil(work, *SHORT, "prediction.sequence_length=5", "--out", str(work / "fresh")) == 0
    assert (work / "run/teacher.npy").read_bytes() == (work / "fresh/teacher.npy").read_bytes()


def test_rows_with_a_fault_leave_nothing(work: Path, capsys):
    write(work / "data", train=[*rows(20, 0), {"sentence": "a", "label": "horn"}], validation=rows(6, 1))
    assert distil(work, *SHORT, f"data={work}/data") == 3
    assert "train.jsonl:21" in capsys.readouterr().err
    assert sorted(path.name for path in work.iterdir()) == ["data", "distil.yaml"]


def test_texts_without_a_word_have_no_copies_and_are_no_fault(work: Path, taught: Path):
    rows = [{"sentence": f"{n} 21 !!", "label": n % 2} for n in range(20)]
    write(work / "numbers", train=rows, validation=rows[:8])
    assert distil(work, *SHORT, f"data={work}/numbers", "augment.copies_per_row=2") == 0


@pytest.mark.slow
def test_the_twin_is_scored_as_often_as_the_student(work: Path):
    assert (
        distil(
            work,
            "intermediate=null",
            "prediction.epochs=1",
            "augment.copies_per_row=2",
            "baseline_student=true",
        )
        == 0
    )
    lines = {
        kind: (work / f"run/{kind}/seed-0/metrics.jsonl").read_text().count("heldout/accuracy")
        for kind in ("prediction", "baseline_student")
    }
    assert lines["prediction"] == lines["baseline_student"] == 1


def test_a_pretrained_student_is_taught_with_a_fresh_head(work: Path, taught: Path, tiny_store: Path, capsys):
    tokenizer, model = Tokenizer.load(tiny_store / "tokenizer"), Bert(layers=2, hidden=16, heads=2, init=0.1)
    state = {f"backbone.{name}": t for name, t in model.build(tokenizer.vocab_size).state_dict().items()}
    tokenizer.save(work / "small")
    huggingface.save_pretrained(work / "small", model, state, tokenizer.special)
    assert distil(work, "~layers", f"init_from={work}/small", *SHORT) == 0
    assert "from random weights: classifier\n" in capsys.readouterr().err
    assert not (work / "run/start").exists()
    assert weights(work / "run/prediction/seed-0/final")["classifier.weight"].shape == (2, 16)


def test_copies_are_labelled_by_the_teacher_and_not_for_the_twin(work: Path, capsys):
    settings = [
        "augment.copies_per_row=3",
        "baseline_student=true",
        "prediction.steps=1",
        "intermediate.steps=1",
    ]
    assert distil(work, *settings) == 0
    count = json.loads((work / "run/rows/rows.json").read_text())["rows"]
    assert 600 < count["train"] <= 800
    assert count["validation"] == 60
    assert np.load(work / "run/teacher.npy").shape == (count["train"], 2)
    assert json.loads((work / "run/baseline_student/rows/rows.json").read_text())["rows"]["train"] == 200
    assert distil(work, *settings, "--out", str(work / "again")) == 0
    for name in ("train.bin", "train.labels"):
        assert (work / "run/rows" / name).read_bytes() == (work / "again/rows" / name).read_bytes()
    assert distil(work, *settings, "augment.copies_per_row=4", "--resume", "auto") == 2
    assert "augment.copies_per_row: 3 -> 4" in capsys.readouterr().err


def test_a_masked_language_model_finds_other_words(work: Path, tiny_run: Path):
    settings = [
        "augment.copies_per_row=2",
        "augment.probability=1",
        "prediction.steps=2",
        "intermediate=null",
    ]
    assert distil(work, *settings) == 0
    assert distil(work, *settings, f"augment.model={tiny_run}/final", "--out", str(work / "masked")) == 0
    sizes = [
        json.loads((work / run / "rows/rows.json").read_text())["rows"]["train"] for run in ("run", "masked")
    ]
    assert min(sizes) > 500
    assert (work / "run/rows/train.bin").read_bytes() != (work / "masked/rows/train.bin").read_bytes()


def test_a_model_without_a_head_for_words_is_refused_before_anything_is_written(
    work: Path, taught: Path, capsys
):
    assert distil(work, f"augment.model={taught}/model") == 3
    assert "has no masked-LM head" in capsys.readouterr().err
    assert distil(work, "augment.model=nowhere") == 2
    assert "augment.model=nowhere: no Hugging Face folder at nowhere" in capsys.readouterr().err
    assert not (work / "run").exists()


def test_transformers_loads_the_student(work: Path):
    transformers = pytest.importorskip("transformers")
    assert distil(work, *SHORT) == 0
    final = work / "run/prediction/seed-0"
    classify = transformers.pipeline("text-classification", str(final / "final"))
    (said,) = classify(rows(60, 1)[0]["sentence"])
    line = json.loads((final / "predictions/validation.jsonl").read_text().splitlines()[0])
    assert said["label"] == line["prediction"]
    assert said["score"] == pytest.approx(max(line["scores"].values()), abs=1e-5)


def test_choices_can_be_taught(work: Path, taught: Path):
    rng = np.random.default_rng(0)
    made = [
        {
            "q": "the old town",
            "a": "a bell" if label else "wood",
            "b": "stone" if label else "a bell",
            "label": 1 - label,
        }
        for label in rng.integers(0, 2, 80).tolist()
    ]
    write(work / "choices", train=made[:60], validation=made[60:])
    (work / "choose.yaml").write_text(
        "name: multiple_choice\ninputs: [q]\nchoices: [a, b]\nlabels: [a, b]\nmetrics: [accuracy]\n"
    )
    task = [f"task={work}/choose.yaml", f"data={work}/choices"]
    tuning = [*task, "train.epochs=1", "--out", str(work / "chooser")]
    assert main(["finetune", str(taught / "tune.yaml"), *tuning]) == 0
    assert distil(work, *task, f"teacher={work}/chooser/seed-0/final", *SHORT) == 0
    found = scores(work)["models"]
    tuned = json.loads((work / "chooser/scores.json").read_text())
    assert found["teacher"]["mean"]["accuracy"] == tuned["mean"]["accuracy"]


@pytest.mark.slow
def test_a_dry_run_tells_the_flops_that_the_runs_then_count(work: Path, capsys):
    assert distil(work, "--dry-run", "--json", *SHORT) == 0
    told = json.loads(capsys.readouterr().out)["flops"]
    assert distil(work, *SHORT) == 0
    for stage in ("intermediate", "prediction"):
        (path,) = (work / "run" / stage / "seed-0" / "checkpoints").glob("step-*/state.json")
        assert told[stage] == pytest.approx(json.loads(path.read_text())["flops"], rel=0.1)


def test_a_dry_run_reads_every_row_and_writes_nothing(work: Path, capsys):
    assert distil(work, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == {"train": 200, "validation": 60}
    assert told["steps"] == {"intermediate": 25, "prediction": 25}
    assert told["parameters"]["student"] < told["parameters"]["teacher"]
    assert distil(work, "--dry-run", "baseline_student=true") == 0
    shown = capsys.readouterr().out
    assert "25 + 25 with one seed, and as many without a teacher" in shown
    assert "without the teacher's one reading of the rows" in " ".join(shown.split())
    assert not (work / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["init_from=here", "layers=2"], "give one of init_from, layers and model, not init_from and layers"),
        (["init_from=somewhere"], "init_from takes the place of layers"),
        (["~layers"], "give one of init_from, layers and model"),
        (["~layers", "init_from=nowhere"], "init_from=nowhere: no Hugging Face folder at nowhere"),
        (["teacher=nowhere"], "teacher=nowhere: no Hugging Face folder at nowhere"),
        (["layers=5"], "layers: 5 layers cannot be taken from a teacher that has 4"),
        (
            ["prediction.batch_size=10", "prediction.gradient_accumulation=4"],
            "prediction.batch_size=10: 10 sequences cannot be cut into 4",
        ),
        (["intermediate.compile=true"], "intermediate.compile"),
        (["prediction.precision=bf16"], "prediction.precision: bf16 needs a GPU"),
        (["data=nowhere"], "no folder nowhere"),
        (["seeds=[1, 1]"], "different whole numbers"),
        (
            ["task.graph=g", "task.entity_embeddings=v", "augment.copies_per_row=1"],
            "augment: words are replaced, and links to the graph would be lost",
        ),
        (["--resume", "elsewhere"], "its own output folder"),
    ],
)
def test_a_recipe_that_cannot_be_carried_out_is_refused(work: Path, arguments: list[str], said: str, capsys):
    assert distil(work, *arguments) == 2
    assert said in capsys.readouterr().err
    assert not (work / "run").exists()


def test_a_teacher_without_a_head_does_not_know_the_task(work: Path, taught: Path, capsys):
    assert distil(work, f"teacher={taught}/model") == 3
    assert "has no classifier and no pooler, so it is not fine-tuned on the task" in capsys.readouterr().err
    assert not (work / "run").exists()


def test_a_teacher_of_other_classes_is_refused(work: Path, taught: Path, capsys):
    (work / "other.yaml").write_text(
        "name: classification\ninputs: [sentence]\nlabels: [bell, silent]\nmetrics: [accuracy]\n"
    )
    assert distil(work, f"task={work}/other.yaml") == 3
    told = capsys.readouterr().err
    assert "its classes are 0 silent, 1 bell; those of the task are 0 bell, 1 silent" in told
    assert """in the model's order: labels: ["silent", "bell"]""" in told
    (work / "other.yaml").write_text(
        "name: classification\ninputs: [sentence]\nlabels: [silent, bell, drum]\nmetrics: [accuracy]\n"
    )
    assert distil(work, f"task={work}/other.yaml") == 3
    assert "those of the task are 0 silent, 1 bell, 2 drum" in capsys.readouterr().err


def test_the_order_in_which_a_teacher_names_its_classes_says_nothing(work: Path, taught: Path):
    shutil.copytree(taught / "teacher/seed-0/final", work / "teacher")
    config = json.loads((work / "teacher/config.json").read_text())
    config["id2label"] = {"1": "bell", "0": "silent"}
    (work / "teacher/config.json").write_text(json.dumps(config))
    assert distil(work, f"teacher={work}/teacher", "--dry-run") == 0


def test_classes_that_differ_by_case_alone_are_different_ones(work: Path, taught: Path, capsys):
    shutil.copytree(taught / "teacher/seed-0/final", work / "teacher")
    config = json.loads((work / "teacher/config.json").read_text())
    config["id2label"] = {"0": "may", "1": "May"}
    (work / "teacher/config.json").write_text(json.dumps(config))
    (work / "other.yaml").write_text(
        "name: classification\ninputs: [sentence]\nlabels: [May, may]\nmetrics: [accuracy]\n"
    )
    assert distil(work, f"task={work}/other.yaml", f"teacher={work}/teacher", "--dry-run") == 3
    assert "its classes are 0 may, 1 May; those of the task are 0 May, 1 may" in capsys.readouterr().err


def test_a_student_that_reads_other_tokens_is_refused(work: Path, taught: Path, capsys):
    shutil.copytree(taught / "model", work / "student")
    path = work / "student/tokenizer.json"
    content = json.loads(path.read_text())
    vocab = content["model"]["vocab"]
    a, b = (token for token, number in vocab.items() if number in (300, 301))
    vocab[a], vocab[b] = vocab[b], vocab[a]
    path.write_text(json.dumps(content))
    assert distil(work, "~layers", f"init_from={work}/student") == 3
    assert f'token 300 is "{b}" in the one, "{a}" in the other' in capsys.readouterr().err
    assert not (work / "run").exists()


def test_a_student_with_other_heads_is_refused_where_attention_is_compared(
    work: Path, tiny_store: Path, capsys
):
    tokenizer, model = Tokenizer.load(tiny_store / "tokenizer"), Bert(layers=2, hidden=32, heads=4)
    state = {f"backbone.{name}": t for name, t in model.build(tokenizer.vocab_size).state_dict().items()}
    tokenizer.save(work / "small")
    huggingface.save_pretrained(work / "small", model, state, tokenizer.special)
    start = ["~layers", f"init_from={work}/small", "prediction.steps=1"]
    assert distil(work, *start, "--dry-run") == 2
    assert "the student has 4 attention heads, the teacher 2" in capsys.readouterr().err
    assert distil(work, *start, "intermediate=null") == 0


@pytest.mark.slow
def test_a_rank_without_a_validation_batch_is_no_fault(work: Path):
    write(work / "data", train=rows(40, 0), validation=rows(6, 3))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    line = ["distill-task", str(work / "distil.yaml"), f"data={work}/data", *SHORT]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, "-m", "nlptool", *line], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_ranks_reach_what_one_reaches(work: Path):
    quiet = [
        "dropout.hidden=0",
        "dropout.attention=0",
        "dropout.head=0",
        "augment.copies_per_row=1",
        "baseline_student=true",
        *SHORT,
    ]
    assert distil(work, *quiet) == 0
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launch, "-m", "nlptool", "distill-task", str(work / "distil.yaml"), *quiet]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--out", str(work / "two")], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    one, two = (scores(work, name)["models"] for name in ("run", "two"))
    for name in ("teacher", "student", "baseline_student"):
        cost = one[name]["mean"]["cross_entropy"]
        assert two[name]["mean"]["cross_entropy"] == pytest.approx(cost, abs=1e-4)


@pytest.mark.slow
def test_a_student_may_be_any_model_with_random_weights(work: Path, taught: Path, capsys):
    other = ["~layers", "model={name: bert, layers: 1, hidden: 16, heads: 2, max_positions: 40}"]
    assert distil(work, *other, "intermediate.steps=60", "prediction.steps=60", "baseline_student=true") == 0
    start = huggingface.load_pretrained(work / "run" / "start")
    assert start.config.model_dump()["hidden"] == 16
    assert Tokenizer.load(work / "run" / "start").fingerprint == Tokenizer.load(taught / "model").fingerprint
    scores = json.loads((work / "run" / "scores.json").read_text())
    assert scores["models"]["student"]["parameters"] < scores["models"]["teacher"]["parameters"]
    assert distil(work, *other, "prediction.sequence_length=64", "--overwrite") == 2
    assert (
        "prediction.sequence_length=64: 64 tokens are more than model.max_positions (40)"
        in capsys.readouterr().err
    )


def test_a_student_of_another_kind_is_refused_before_anything_is_written(work: Path, capsys):
    assert distil(work, "~layers", "model={name: gpt2, layers: 1, hidden: 16, heads: 2}") == 2
    told = capsys.readouterr().err
    assert "model.name: gpt2 is a decoder, and the teacher" in told
    assert "an encoder: they read a row with other tokens around its texts" in told
    assert distil(work, "layers=2", "model={name: bert}") == 2
    assert "give one of init_from, layers and model, not layers and model" in capsys.readouterr().err
    assert not (work / "run").exists()
