"""`nlptool distill` from the command line."""

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nlptool.cli import main
from nlptool.commands.pretrain.recipe import Recipe
from nlptool.commands.pretrain.run import training_job
from nlptool.commands.pretrain.setup import PretrainSetup
from nlptool.recipe import load
from nlptool.runs import teacher_cache
from nlptool.train.distributed import DistributedContext

BERT = {"name": "bert", "layers": 4, "hidden": 16, "heads": 2, "max_positions": 64}
GPT2 = {"name": "gpt2", "layers": 4, "hidden": 16, "heads": 2, "max_positions": 64}


@pytest.fixture(scope="module")
def teacher(write_teacher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_teacher(tmp_path_factory.mktemp("bert") / "teacher", BERT)


@pytest.fixture(scope="module")
def decoder(write_teacher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_teacher(tmp_path_factory.mktemp("gpt2") / "teacher", GPT2)


@pytest.fixture
def recipe(tiny_store: Path, teacher: Path, tmp_path: Path) -> Path:
    path = tmp_path / "distil.yaml"
    path.write_text(
        f"store: {tiny_store}\n"
        f"teacher: {teacher}\n"
        "student: {layers: 2}\n"
        "objective: {name: distill}\n"
        "train: {steps: 6, batch_size: 8, sequence_length: 32, lr: 1e-3}\n"
        "evaluate: {every: 3, batches: 2}\n"
        "save: {every: 3, keep_last: 2}\n"
        f"out: {tmp_path / 'run'}\n"
    )
    return path


def begun(recipe: Path, *changes: str) -> dict[str, torch.Tensor]:
    """A student's weights before its first step."""
    plan = PretrainSetup(load(recipe, changes, Recipe).recipe)
    made = training_job(plan, DistributedContext(0, 1, torch.device("cpu")))
    made.batches.close()
    return made.objective.state_dict()


def test_a_student_begins_as_the_teachers_first_and_last_layers(recipe: Path, teacher: Path) -> None:
    state, theirs = begun(recipe), load_file(teacher / "model.safetensors")
    for own, other in ((0, 0), (1, 3)):
        expected = theirs[f"bert.encoder.layer.{other}.output.dense.weight"]
        assert torch.equal(state[f"backbone.layers.mlp.{own}.down.weight"], expected)
    assert torch.equal(
        state["backbone.embeddings.tokens.weight"], theirs["bert.embeddings.word_embeddings.weight"]
    )
    assert torch.equal(state["mlm.dense.weight"], theirs["cls.predictions.transform.dense.weight"])


def test_distilbert_embeds_as_the_bert_it_begins_as_and_loads_in_transformers(
    recipe: Path, teacher: Path, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    changes = ["student.name=distilbert", "train.lr=1e-12"]
    assert main(["distill", str(recipe), *changes]) == 0
    made, told = transformers.DistilBertForMaskedLM.from_pretrained(
        tmp_path / "run" / "final", output_loading_info=True
    )
    assert not any(told.values())
    bert = transformers.BertForMaskedLM.from_pretrained(teacher)
    ids = torch.randint(6, 300, (2, 9))
    with torch.no_grad():
        ours, theirs = made.distilbert.embeddings(ids), bert.bert.embeddings(ids)
        assert (ours - theirs).abs().max() < 1e-6
        hidden = bert.bert.encoder.layer[0](theirs)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        first = made.eval()(ids, output_hidden_states=True).hidden_states[1]
        assert (first - hidden).abs().max() < 1e-4


def test_a_gpt2_is_taught_to_half_its_layers(recipe: Path, decoder: Path, tmp_path: Path, capsys) -> None:
    transformers = pytest.importorskip("transformers")
    assert main(["distill", str(recipe), f"teacher={decoder}", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["heldout"]
    assert {"kl", "clm", "cosine", "teacher_clm", "perplexity", "bits_per_byte"} <= told.keys()
    made, info = transformers.GPT2LMHeadModel.from_pretrained(
        tmp_path / "run" / "final", output_loading_info=True
    )
    assert made.config.n_layer == 2
    assert not any(info.values())


def test_what_is_learnt_brings_the_student_nearer_to_its_teacher(recipe: Path, capsys) -> None:
    random = f"model={json.dumps(BERT | {'layers': 2})}"
    changes = [
        "~student",
        random,
        "objective.lm_loss=0",
        "train.steps=40",
        "train.lr=1e-2",
        "evaluate.every=1",
    ]
    assert main(["distill", str(recipe), *changes]) == 0
    lines = (recipe.parent / "run" / "metrics.jsonl").read_text().splitlines()
    found = [line["heldout/kl"] for line in map(json.loads, lines) if "heldout/kl" in line]
    assert found[-1] < 0.5 * found[0]


def test_the_teachers_weights_take_memory_but_no_gradients(recipe: Path, capsys) -> None:
    assert main(["plan", str(recipe), "--no-probe", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    own = told["parameters"]["total"]
    assert told["command"] == "distill"
    assert told["memory"]["gradients"] == 4 * own
    layer = 12 * 16**2 + 13 * 16
    assert told["memory"]["weights"] == 4 * (2 * own + 2 * layer)


def test_another_teacher_is_refused_when_a_run_goes_on(
    recipe: Path, teacher: Path, tmp_path: Path, capsys
) -> None:
    mine = Path(shutil.copytree(teacher, tmp_path / "mine"))
    named = f"teacher={mine}"
    assert main(["distill", str(recipe), named]) == 0
    assert main(["distill", str(recipe), named, "train.steps=8", "--resume", "auto"]) == 0
    assert main(["distill", str(recipe), "train.steps=10", "--resume", "auto"]) == 0
    assert f"another path of the same files, teacher: {mine} -> {teacher}" in capsys.readouterr().err
    state = load_file(mine / "model.safetensors")
    save_file(
        {key: t + 0.01 for key, t in state.items()}, mine / "model.safetensors", metadata={"format": "pt"}
    )
    assert (
        main(["distill", str(recipe), named, "train.steps=12", "--resume", "auto"]) == 2
    )  # at another path, too
    assert "teacher: " in capsys.readouterr().err
    shutil.rmtree(tmp_path / "run")
    shutil.rmtree(mine)
    shutil.copytree(teacher, mine)
    assert main(["distill", str(recipe), named]) == 0
    save_file(
        {key: t + 0.01 for key, t in state.items()}, mine / "model.safetensors", metadata={"format": "pt"}
    )
    assert main(["distill", str(recipe), named, "train.steps=12", "--resume", "auto"]) == 3
    assert "is not the teacher that" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        (["~teacher"], 2, "name the teacher"),
        (["teacher=/nowhere"], 2, "no Hugging Face folder at /nowhere"),
        (["~student"], 2, "give student, model or init_from"),
        (["student.layers=5"], 3, "student.layers: 5 layers cannot be taken from a teacher that has 4"),
        (["objective.name=mlm"], 2, "the command is nlptool pretrain-mlm"),
        (["objective.kl=0", "objective.lm_loss=0", "objective.cosine=0"], 2, "the last layer learns nothing"),
        (["train.sequence_length=80"], 3, "80 tokens are more than model.max_positions"),
        (
            ["~student", "model={name: bert, layers: 2, hidden: 8, heads: 2, max_positions: 64}"],
            3,
            "objective.cosine",
        ),
    ],
)
def test_what_cannot_be_is_told_in_a_line(
    recipe: Path, changes: list[str], code: int, told: str, capsys
) -> None:
    assert main(["distill", str(recipe), *changes]) == code
    assert told in capsys.readouterr().err
    assert not (recipe.parent / "run").exists()


def test_other_commands_have_no_teacher(tiny_recipe: Path, teacher: Path, capsys) -> None:
    assert main(["pretrain-mlm", str(tiny_recipe), f"teacher={teacher}"]) == 2
    assert "teacher: only nlptool distill has one" in capsys.readouterr().err
    assert main(["distill", str(tiny_recipe)]) == 2
    assert "the command is nlptool pretrain-mlm" in capsys.readouterr().err


def test_a_teacher_of_other_tokens_is_refused(recipe: Path, teacher: Path, tmp_path: Path, capsys) -> None:
    other = Path(shutil.copytree(teacher, tmp_path / "other"))
    content = json.loads((other / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    (other / "tokenizer.json").write_text(json.dumps(content))
    assert main(["distill", str(recipe), f"teacher={other}"]) == 3
    told = capsys.readouterr().err
    assert 'is "b" in the one, "a" in the other' in told
    assert "tokenizer.load=" in told


def test_a_teacher_that_cannot_guess_is_refused_unless_it_need_not(
    recipe: Path, teacher: Path, tmp_path: Path, capsys
) -> None:
    bare = Path(shutil.copytree(teacher, tmp_path / "bare"))
    state = load_file(bare / "model.safetensors")
    kept = {key: t for key, t in state.items() if key.startswith("bert.")}
    save_file(kept, bare / "model.safetensors", metadata={"format": "pt"})
    assert main(["distill", str(recipe), f"teacher={bare}"]) == 3
    assert "has no mlm, so it predicts no token" in capsys.readouterr().err
    assert main(["distill", str(recipe), f"teacher={bare}", "objective.kl=0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["heldout"]
    assert {"mlm", "mlm_accuracy"} < told.keys()
    assert not any(name.startswith("teacher") for name in told)


def test_runs_of_distillation_are_compared_exported_and_doctored(
    recipe: Path, tmp_path: Path, capsys
) -> None:
    assert main(["compare", str(recipe), "--out", str(tmp_path / "cmp"), "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["points"][-1]["flops"] > 0
    run = tmp_path / "cmp" / "distil"
    assert main(["export", str(run), "--out", str(tmp_path / "hf")]) == 0
    assert main(["doctor", str(run)]) == 0


KEEPS = (
    "objective.cosine=0",
    "objective.lm_loss=0",
    "objective.cache_top_k=12",
    "train.batch_size=48",
    "train.steps=12",
)


def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Each time that the teacher answers for a batch that will be kept."""
    from nlptool.objectives.distill.objective import DistillationObjective

    found: list[int] = []
    plain = DistillationObjective.teacher_outputs
    monkeypatch.setattr(
        DistillationObjective, "teacher_outputs", lambda self, batch: found.append(1) or plain(self, batch)
    )
    return found


def steps_of_an_epoch(recipe: Path, *changes: str) -> int:
    plan = PretrainSetup(load(recipe, changes, Recipe).recipe)
    (stage, examples), *_ = plan.stages
    return len(examples) // stage.batch_size


@pytest.mark.parametrize("where", ["all", "masked"])
def test_what_a_teacher_says_is_asked_for_once_and_kept(
    where: str, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (*KEEPS, f"objective.kl_positions={where}")
    epoch = steps_of_an_epoch(recipe, *given)
    assert 1 < epoch < 12
    calls = asked(monkeypatch)
    assert main(["distill", str(recipe), *given]) == 0
    assert len(calls) == epoch
    assert (
        main(["distill", str(recipe), *given, "objective.cache_top_k=0", "--out", str(tmp_path / "live")])
        == 0
    )
    kept, live = (first_loss(tmp_path / run) for run in ("run", "live"))
    assert 0 < kept <= live, "of the first batch; what is not kept cannot be told apart"


def first_loss(run: Path) -> float:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return next(line["kl"] for line in lines if "kl" in line)


def test_a_run_that_goes_on_asks_for_nothing_that_is_kept_and_ends_in_the_same_bits(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [*KEEPS, "train.schedule=constant", "train.gradient_accumulation=2"]
    assert main(["distill", str(recipe), *given]) == 0
    straight = load_file(tmp_path / "run" / "final" / "model.safetensors")
    out = ["--out", str(tmp_path / "parts")]
    assert main(["distill", str(recipe), *given, *out, "train.steps=9"]) == 0
    calls = asked(monkeypatch)
    assert main(["distill", str(recipe), *given, *out, "--resume", "auto"]) == 0
    assert len(calls) <= 1, "one batch is asked for to know how much a batch brings along"
    parts = load_file(tmp_path / "parts" / "final" / "model.safetensors")
    assert all(torch.equal(parts[name], straight[name]) for name in straight)


def test_what_was_kept_and_is_damaged_is_asked_for_again(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [*KEEPS, "train.schedule=constant"]
    assert main(["distill", str(recipe), *given]) == 0
    straight = load_file(tmp_path / "run" / "final" / "model.safetensors")
    out = ["--out", str(tmp_path / "parts")]
    assert main(["distill", str(recipe), *given, *out, "train.steps=9"]) == 0
    (ids,) = (tmp_path / "parts" / "teacher").glob("*.topk_ids")
    ids.write_bytes(b"")
    calls = asked(monkeypatch)
    assert main(["distill", str(recipe), *given, *out, "--resume", "auto"]) == 0
    assert len(calls) > 1
    parts = load_file(tmp_path / "parts" / "final" / "model.safetensors")
    assert all(torch.equal(parts[name], straight[name]) for name in straight)


def test_a_disk_that_fills_while_answers_are_kept_is_an_error(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    class Disk(teacher_cache.FileIO):
        room = 3000

        def write(self, data: Any) -> int:
            if not Disk.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = super().write(bytes(data[: Disk.room]))
            Disk.room -= written
            return written

    given = [*KEEPS, "train.schedule=constant"]
    with monkeypatch.context() as patch:
        patch.setattr(teacher_cache, "FileIO", Disk)
        assert main(["distill", str(recipe), *given]) == 3
    told = capsys.readouterr().err
    assert "could not be written: No space left on device" in told
    assert "free some space" in told
    assert main(["distill", str(recipe), *given, "--resume", "auto"]) == 0
    assert main(["distill", str(recipe), *given, "--out", str(tmp_path / "straight")]) == 0
    found, right = (load_file(tmp_path / run / "final" / "model.safetensors") for run in ("run", "straight"))
    assert all(torch.equal(found[name], right[name]) for name in right)


def test_more_cannot_be_kept_than_there_are_tokens(recipe: Path, capsys) -> None:
    assert main(["distill", str(recipe), *KEEPS, "objective.cache_top_k=50000"]) == 3
    assert "tokens; keep fewer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["objective.layer_map=top"], "layer_map: only hidden and attention compare layers"),
        (["objective.cache_top_k=8"], "cache_top_k: only what kl needs is cached; set cosine to 0"),
        (["objective.cache_top_k=8", "objective.kl=0", "objective.cosine=0"], "kl is 0"),
        (
            ["objective.cache_top_k=8", "objective.cosine=0", "train.batch_size=4000"],
            "not the rows of a single step",
        ),
    ],
)
def test_what_cannot_be_kept_is_told(recipe: Path, changes: list[str], said: str, capsys) -> None:
    assert main(["distill", str(recipe), *changes]) == 2
    assert said in capsys.readouterr().err
