"""One process at a time writes an output folder."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.errors import UsageError
from nlptool.runs import lock


@pytest.fixture(autouse=True)
def free() -> Iterator[None]:
    yield
    lock.release()


def held_by(out: Path, **facts: object) -> Path:
    out.mkdir(exist_ok=True)
    path = out / lock.NAME
    path.write_text(json.dumps(facts))
    return path


def test_a_folder_is_held_until_it_is_given_up_and_taken_twice_by_one_process(tmp_path: Path):
    lock.hold(tmp_path / "run")
    lock.hold(tmp_path / "run")
    facts = json.loads((tmp_path / "run" / lock.NAME).read_text())
    assert (facts["host"], facts["process"]) == (socket.gethostname(), os.getpid())
    lock.release()
    assert not (tmp_path / "run").exists()


def test_another_process_of_this_host_is_told(tmp_path: Path):
    code = f"from pathlib import Path; from nlptool.runs import lock; lock.hold(Path({str(tmp_path / 'run')!r})); "
    process = subprocess.Popen(
        [sys.executable, "-c", code + "print('held', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match=rf"run: process {process.pid} writes it for \ds") as caught:
        lock.hold(tmp_path / "run")
    assert "--out" in (caught.value.hint or "")
    process.kill()
    process.communicate()
    lock.hold(tmp_path / "run")  # what a dead process held is taken over
    assert json.loads((tmp_path / "run" / lock.NAME).read_text())["process"] == os.getpid()


def test_a_process_with_the_number_of_a_dead_one_holds_nothing(tmp_path: Path):
    held_by(tmp_path / "run", host=socket.gethostname(), process=os.getpid(), began=1)
    lock.hold(tmp_path / "run")


def test_another_host_is_refused_with_the_file_to_remove(tmp_path: Path):
    path = held_by(tmp_path / "run", host="gpu7", process=4711, began=5)
    with pytest.raises(UsageError, match="process 4711 of the host gpu7") as caught:
        lock.hold(tmp_path / "run")
    assert f"remove {path}" in (caught.value.hint or "")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 1}'])
def test_a_damaged_lock_is_taken_over_unless_it_names_another_host(content: str, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / lock.NAME).write_text(content)
    if content == '{"host": 1}':
        with pytest.raises(UsageError, match="of the host 1"):
            lock.hold(tmp_path / "run")
    else:
        lock.hold(tmp_path / "run")


def test_a_run_leaves_no_lock_and_one_that_is_refused_no_folder(tiny_recipe: Path, tmp_path: Path, capsys):
    assert main(["pretrain-mlm", str(tiny_recipe), "train.steps=1"]) == 0
    assert not (tmp_path / "run" / lock.NAME).exists()
    assert (
        main(
            [
                "pretrain-mlm",
                str(tiny_recipe),
                "train.batch_size=7",
                "train.gradient_accumulation=2",
                "--out",
                str(tmp_path / "b"),
            ]
        )
        == 2
    )
    assert not (tmp_path / "b").exists()
    held_by(tmp_path / "c", host="gpu7", process=1, began=1)
    capsys.readouterr()
    assert main(["pretrain-mlm", str(tiny_recipe), "--out", str(tmp_path / "c")]) == 2
    assert "gpu7" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "c").iterdir()] == [lock.NAME]


@pytest.mark.parametrize("place", ["file/below", "loop", "dangling", "x" * 256, "/proc/x"])
@pytest.mark.parametrize("command", ["pretrain", "export", "report", "compare"])
def test_a_place_where_no_folder_can_be_is_one_line_on_every_command(
    command: str, place: str, tiny_recipe: Path, tiny_run: Path, tmp_path: Path, capsys
):
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    line = {
        "pretrain": ["pretrain-mlm", str(tiny_recipe)],
        "export": ["export", str(tiny_run)],
        "report": ["report", str(tiny_run)],
        "compare": ["compare", str(tiny_recipe)],
    }[command]
    assert main([*line, "--out", str(tmp_path / place)]) == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1
    assert "hint: " in error
    assert (tmp_path / "file").read_text() == "x"
