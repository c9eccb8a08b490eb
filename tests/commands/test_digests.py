"""Changed or damaged files are neither trained on nor scored: token stores, models, a teacher's answers."""

import json
import shutil
from pathlib import Path

import pytest

from nlptool import manifests, notices, weights_record
from nlptool.cli import main

MASK = "the [MASK] bell"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.fixture
def store(tiny_store: Path, tmp_path: Path) -> Path:
    """A store that records its files, as `tokenize` writes it."""
    store = tmp_path / "tokens"
    shutil.copytree(tiny_store, store)
    facts = json.loads((store / "store.json").read_text())
    facts["files"] = manifests.recorded(
        store / f"{s}.{end}" for s in ("train", "heldout") for end in ("bin", "idx")
    )
    (store / "store.json").write_text(json.dumps(facts))
    return store


@pytest.fixture
def model(tiny_run: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_run / "final", tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["train.bin", "train.idx", "heldout.bin"])
def test_a_store_with_a_changed_bit_is_refused_and_doctor_names_the_file(
    name: str, store: Path, tiny_recipe: Path, capsys
):
    assert main(["doctor", str(store)]) == 0
    flip(store / name)
    assert main(["pretrain-mlm", str(tiny_recipe), f"store={store}", "train.steps=1"]) == 3
    told = capsys.readouterr().err
    assert f"{store / name} is not what was written" in told
    assert "nlptool tokenize" in told
    assert main(["doctor", str(store)]) == 3
    assert name in capsys.readouterr().out


def test_what_is_large_is_verified_by_doctor_alone(store: Path, monkeypatch: pytest.MonkeyPatch):
    from nlptool.text.store import TokenStore

    flip(store / "train.bin")
    monkeypatch.setattr(manifests, "AT_READ", 10)
    TokenStore(store).split("train")
    assert main(["doctor", str(store)]) == 3


def test_a_model_with_a_changed_bit_is_refused_and_doctor_names_the_file(model: Path, capsys):
    assert main(["doctor", str(model)]) == 0
    flip(model / "model.safetensors")
    assert main(["fill-mask", str(model), MASK]) == 3
    assert "model.safetensors is not what was written" in capsys.readouterr().err
    assert main(["doctor", str(model)]) == 3


def test_weights_that_were_changed_on_purpose_are_read_as_the_hint_says(model: Path, capsys):
    flip(model / "model.safetensors")
    assert main(["fill-mask", str(model), MASK]) == 3
    assert f"remove weights from its {weights_record.FILE}" in capsys.readouterr().err
    stamp = json.loads((model / weights_record.FILE).read_text())
    del stamp["weights"]
    (model / weights_record.FILE).write_text(json.dumps(stamp))
    assert main(["fill-mask", str(model), MASK]) == 0


def test_the_run_json_of_another_program_in_a_models_folder_is_left_alone(model: Path):
    (model / weights_record.FILE).write_text('{"anything": 1}')
    assert main(["fill-mask", str(model), MASK]) == 0


def test_doctor_names_a_recipe_that_cannot_be_read(tiny_run: Path, tmp_path: Path, capsys):
    shutil.copytree(tiny_run, tmp_path / "run")
    (tmp_path / "run" / "recipe.yaml").write_text("")
    assert main(["doctor", str(tmp_path / "run")]) == 3
    assert "recipe.yaml" in capsys.readouterr().out


def test_a_teachers_answer_that_is_damaged_is_asked_again(tmp_path: Path):
    import numpy as np
    import torch

    from nlptool.data.batches import Batch
    from nlptool.runs.teacher_cache import TeacherCache, faults
    from nlptool.train.distributed import DistributedContext

    class Batches:
        size = 2

        def number(self, n: int) -> int:
            return n % 2

        def get(self, n: int) -> list[Batch]:
            return [Batch({"ids": torch.full((3,), n % 2)}, {}, 3)]

    asked, told = [], list[str]()

    def answers(batch: Batch) -> dict[str, torch.Tensor]:
        number = int(batch.tensors["ids"][0])
        asked.append(number)
        return {
            "teacher_topk_ids": torch.full((3, 2), 5 + number),
            "teacher_topk_logprobs": torch.full((3, 2), -0.5),
        }

    def read() -> list[int]:
        kept = TeacherCache(
            Batches(), answers, tmp_path, DistributedContext(0, 1, torch.device("cpu")), 1, 100
        )
        found = [int(kept.get(n)[0].tensors["teacher_topk_ids"][0, 0]) for n in range(2)]
        kept.close()
        return found

    assert read() == [5, 6]
    asked.clear()
    path = next(tmp_path.glob("*.topk_ids"))
    data = np.fromfile(path, np.uint16)
    data[-1] = 77
    assert list(faults(tmp_path)) == []
    data.tofile(path)
    (fault,) = faults(tmp_path)
    assert "0-of-1-1.*: holds 1 batch of answers that are not what was written" in fault
    notices.speak_by(told.append)
    assert read() == [5, 6]
    assert told == [
        f"{tmp_path}/0-of-1-1.*: holds answers of the teacher that are not what was written; they are made anew"
    ]
    assert list(faults(tmp_path)) == []
    assert asked == [0, 1]  # the first, since nothing tells the shape before; the second, since it is damaged


def test_the_logits_of_a_teacher_are_verified_and_made_anew_where_they_are_damaged(tmp_path: Path):
    import numpy as np

    from nlptool.commands.distill_task import teacher

    path, provenance, told = tmp_path / "teacher.npy", tmp_path / teacher.PROVENANCE, list[str]()
    teacher._write(np.ones((4, 2)), path, provenance, {"length": 8})
    assert teacher.fault(provenance) is None
    assert teacher._is_cached(path, provenance, {"length": 8})
    flip(path)
    assert "teacher.npy: is not what was written" in str(teacher.fault(provenance))
    notices.speak_by(told.append)
    assert not teacher._is_cached(path, provenance, {"length": 8})
    assert told == [f"{path}: is not what was written (its digest differs); it is made anew"]


@pytest.mark.parametrize("text", ["", "[]", '{"seed": 0, "step": "x", "seconds": 1, "figures": {}}'])
def test_a_seeds_scores_that_are_damaged_are_made_anew_and_the_user_is_told(text: str, tmp_path: Path):
    from nlptool.commands.finetune import results

    told = list[str]()
    notices.speak_by(told.append)
    assert results.known(tmp_path) is None
    assert told == []
    (tmp_path / "scores.json").write_text(text)
    assert results.known(tmp_path) is None
    (line,) = told
    assert line.startswith(f"{tmp_path / 'scores.json'}: ")
    assert line.endswith("; it is made anew")


def test_doctor_and_a_finished_run_name_what_lies_beside_the_weights_and_was_changed(
    tiny_run: Path, tiny_recipe: Path, tmp_path: Path, capsys
):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / "final" / "tokenizer.json").write_text("{}")
    assert main(["pretrain-mlm", str(tiny_recipe), "--resume", "auto"]) == 0
    assert f"{run}/final/tokenizer.json has 2 bytes, not" in capsys.readouterr().err
    assert main(["doctor", str(run)]) == 3
    shutil.rmtree(run / "final")
    assert main(["pretrain-mlm", str(tiny_recipe), "--resume", "auto"]) == 0
    assert main(["doctor", str(run)]) == 0
