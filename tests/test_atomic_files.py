import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlptool.atomic_files import (
    MARK,
    Shape,
    append_line,
    misfit,
    read_json,
    read_records,
    read_text,
    replacing,
    write_json,
    write_text,
)
from nlptool.errors import DataError, UsageError


@pytest.fixture
def small_files():
    """No file may be larger than 1,000 bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_what_is_written_reads_back(tmp_path: Path):
    value = {"이름": "값 👩‍🚀", "numbers": [1, 2.5, None]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json", dict) == value
    assert "이름" in (tmp_path / "a.json").read_text("utf8")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_before_the_call_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path, seen = tmp_path / "a.json", []

    def forced(descriptor: int) -> None:
        on = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        seen.append((on.name, on.is_file() and bool(on.stat().st_size), path.exists()))

    monkeypatch.setattr(os, "fsync", forced)
    write_json(path, {"whole": True})
    assert [name for name, _, _ in seen] == [f".a.json{MARK}", tmp_path.name]
    assert [(holds, named) for _, holds, named in seen] == [(True, False), (False, True)]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, small_files: None):
    path = tmp_path / "a.json"
    write_json(path, {"before": 1})
    with pytest.raises(DataError, match=r"a\.json: could not be written") as caught:
        write_json(path, ["x" * 2000])
    assert "free some space" in (caught.value.hint or "")
    assert json.loads(path.read_text()) == {"before": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_line_that_does_not_fit_is_taken_back(tmp_path: Path, small_files: None):
    path = tmp_path / "lines.jsonl"
    for _ in range(9):
        append_line(path, json.dumps({"x": "y" * 90}))
    with pytest.raises(DataError, match=r"lines\.jsonl"):
        append_line(path, json.dumps({"x": "y" * 300}))
    assert len(read_records(path)) == 9
    assert path.read_bytes().endswith(b"}\n")


def test_a_fault_in_the_block_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write("after")
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert not list(tmp_path.glob(f"*{MARK}"))


def test_what_holds_the_same_already_is_not_touched(tmp_path: Path):
    path = tmp_path / "a.txt"
    write_text(path, "same\r\n")
    os.utime(path, (1, 1))
    write_text(path, "same\r\n")
    assert path.stat().st_mtime == 1
    write_text(path, "other\n")
    assert path.stat().st_mtime != 1


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "real" / "file.txt")
    write_text(tmp_path / "link.txt", "x")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real" / "file.txt").read_text() == "x"


@pytest.mark.parametrize("name", ["x" * 300, "file/below"])
def test_a_place_where_no_file_can_be_is_a_usage_error(name: str, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="could not be written") as caught:
        write_text(tmp_path / name, "x")
    assert "--out" in (caught.value.hint or "")


def test_permissions_follow_the_umask(tmp_path: Path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_loop(path: Path) -> None:
    path.symlink_to(path)


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(100)),
    "cut": lambda path: path.write_text('{"a": 1, "b'),
    "a list": lambda path: path.write_text("[1]"),
    "UTF-16": lambda path: path.write_bytes('{"a": 1}'.encode("utf-16")),
    "deep": lambda path: path.write_text("[" * 100_000),
    "folder": lambda path: path.mkdir(),
    "dangling link": lambda path: path.symlink_to(path.with_name("nowhere")),
    "loop": make_loop,
    "pipe": make_pipe,
    "device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_cannot_be_read_is_named_with_its_path_and_a_remedy(damage: str, tmp_path: Path):
    path = tmp_path / "facts.json"
    DAMAGE[damage](path)
    with pytest.raises(DataError, match=r"facts\.json") as caught:
        read_json(path, dict, "make it again")
    assert caught.value.hint == "make it again"


def test_a_missing_file_is_for_the_caller(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json", dict)


def test_a_byte_order_mark_is_no_text(tmp_path: Path):
    (tmp_path / "a").write_bytes("\ufeff{}".encode())
    assert read_text(tmp_path / "a") == "{}"


def test_a_last_line_that_was_cut_is_left_out_and_a_broken_one_is_named(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert read_records(path) == [{"step": 1}, {"step": 2}]
    path.write_text('{"step": 1}\nnull\n')
    with pytest.raises(DataError, match=r"a\.jsonl:2: is not a JSON object"):
        read_records(path)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"n": 1, "by": {"a": 0.5}}, None),
        ({"n": 1, "by": {}, "note": None}, None),
        ({"n": True, "by": {}}, "n is a truth value, not a number"),
        ({"by": {}}, "n is missing"),
        ({"n": 10**40, "by": {}}, "n is a number of more than 63 bits"),
        ({"n": 1, "by": {"a": "b"}}, "by.a is a string, not a number"),
        ({"n": 1, "by": {"a": None}}, None),
        ({"n": 1, "by": {}, "note": [7]}, "note.0 is a number, not a string"),
        ([], "it is a list, not an object"),
    ],
)
def test_a_value_of_another_shape_is_named_by_its_key(value: object, told: str | None):
    shape: Shape = {"n": int, "by": {str: float | None}, "note?": [str]}
    assert misfit(value, shape) == told
