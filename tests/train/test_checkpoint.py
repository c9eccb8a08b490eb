from pathlib import Path

import pytest
import torch
from toy import Source, Toy, make

from nlptool.atomic_files import aside_of
from nlptool.errors import DataError
from nlptool.manifests import verify_manifest
from nlptool.train import checkpoint
from nlptool.train.config import Optimizer
from nlptool.train.optim import Adam
from nlptool.train.trainer import State


def saved(folder: Path, *steps: int, heldout: dict[int, float] | None = None) -> State:
    state = make()
    for step in steps:
        state.step, state.tokens, state.elapsed = step, 100 * step, 0.5
        checkpoint.save(state, checkpoint.path_of(folder, step), "digest", (heldout or {}).get(step))
    return state


def test_a_checkpoint_brings_everything_back(tmp_path: Path):
    state = make()
    state.module(Source().get(0)[0])["fit"].backward()
    state.optimizer.step(0.1, torch.tensor(1.0), torch.tensor(0.0))
    state.step, state.tokens, state.elapsed = 7, 700, 1.5
    checkpoint.save(state, tmp_path / "step-00000007", "digest", None)
    other = make()
    assert checkpoint.load(other, tmp_path / "step-00000007").recipe == "digest"
    assert (other.step, other.tokens, other.elapsed) == (7, 700, 1.5)
    for name, tensor in (state.module.state_dict() | state.optimizer.state_dict()).items():
        assert torch.equal(tensor, (other.module.state_dict() | other.optimizer.state_dict())[name])


def test_nothing_in_a_checkpoint_is_a_pickle(tmp_path: Path):
    saved(tmp_path, 1)
    names = sorted(path.name for path in (tmp_path / "step-00000001").iterdir())
    assert names == ["manifest.json", "model.safetensors", "optimizer.safetensors", "state.json"]


def test_the_newest_whole_checkpoint_is_found_and_the_broken_are_named(tmp_path: Path):
    saved(tmp_path, 10, 20, 30)
    model = tmp_path / "step-00000030" / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-1])
    optimizer = tmp_path / "step-00000020" / "optimizer.safetensors"
    flipped = bytearray(optimizer.read_bytes())
    flipped[-1] ^= 1
    optimizer.write_bytes(flipped)
    path, broken = checkpoint.newest(tmp_path)
    assert path == tmp_path / "step-00000010"
    assert [(b.folder.name, b.reason.split()[0]) for b in broken] == [
        ("step-00000030", "model.safetensors"),
        ("step-00000020", "optimizer.safetensors"),
    ]


def test_a_half_written_checkpoint_is_not_looked_at(tmp_path: Path):
    saved(tmp_path, 10)
    aside_of(tmp_path / "step-00000020").mkdir()
    assert checkpoint.newest(tmp_path) == (tmp_path / "step-00000010", [])


def test_only_the_newest_and_the_best_are_kept(tmp_path: Path):
    saved(tmp_path, 10, 20, 30, 40, heldout={10: 3.0, 20: 1.0, 30: 2.0, 40: 1.5})
    aside_of(tmp_path / "step-00000050").mkdir()
    checkpoint.prune(tmp_path, 1, tmp_path / "step-00000040")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000020", "step-00000040"]


def test_what_a_stopped_run_saved_goes_with_the_next_and_takes_the_place_of_no_other(tmp_path: Path):
    state = saved(tmp_path, 10, 20)
    state.step = 25
    checkpoint.save(state, tmp_path / "step-00000025", "digest", None, scheduled=False)
    checkpoint.prune(tmp_path, 3, tmp_path / "step-00000025")
    assert [checkpoint.step_of(path) for path in checkpoint.steps(tmp_path)] == [25, 20, 10]
    saved(tmp_path, 30)
    checkpoint.prune(tmp_path, 3, tmp_path / "step-00000030")
    assert [checkpoint.step_of(path) for path in checkpoint.steps(tmp_path)] == [30, 20, 10]


def test_weights_of_another_model_are_refused(tmp_path: Path):
    saved(tmp_path, 1)
    module = Toy()
    module.model[0] = torch.nn.Linear(4, 9)
    other = State(module, Adam(module, Optimizer()))
    with pytest.raises(DataError, match="not those of this recipe's model"):
        checkpoint.load(other, tmp_path / "step-00000001")


def test_a_disk_that_fills_up_leaves_nothing_of_the_new_checkpoint(tmp_path: Path, monkeypatch):
    saved(tmp_path, 10)

    def full(*_: object) -> None:
        raise checkpoint.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(DataError, match="No space left"):
        saved(tmp_path, 20)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000010"]
    assert verify_manifest(tmp_path / "step-00000010") is None
