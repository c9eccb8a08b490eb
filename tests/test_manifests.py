import json
from pathlib import Path

import pytest

from nlptool.errors import DataError
from nlptool.manifests import MANIFEST, atomic_folder, plain_names, verify_manifest, write_manifest


def test_a_folder_appears_whole(tmp_path: Path):
    with atomic_folder(tmp_path / "made") as aside:
        (aside / "a.txt").write_text("a")
        assert not (tmp_path / "made").exists()
    assert (tmp_path / "made" / "a.txt").read_text() == "a"
    assert [p.name for p in tmp_path.iterdir()] == ["made"]


def test_a_failure_leaves_nothing_and_keeps_what_was_there(tmp_path: Path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "old.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "made") as aside:
        (aside / "a.txt").write_text("a")
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["made"]
    assert (tmp_path / "made" / "old.txt").exists()


def test_an_old_folder_is_replaced_at_the_end(tmp_path: Path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "old.txt").write_text("old")
    with atomic_folder(tmp_path / "made") as aside:
        (aside / "new.txt").write_text("new")
    assert [p.name for p in (tmp_path / "made").iterdir()] == ["new.txt"]


def test_a_full_disk_is_a_data_error_with_the_systems_words(tmp_path: Path):
    with pytest.raises(DataError, match="No space left"), atomic_folder(tmp_path / "made"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def whole(folder: Path) -> Path:
    (folder / "a.bin").write_bytes(b"0123456789")
    write_manifest(folder)
    return folder


def test_an_untouched_folder_has_no_fault(tmp_path: Path):
    assert verify_manifest(whole(tmp_path)) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"01234", "a.bin has 5 bytes, not 10"), (b"0123456780", "digest differs"), (None, "a.bin is missing")],
)
def test_a_changed_file_is_named(tmp_path: Path, content: bytes | None, words: str):
    file = whole(tmp_path) / "a.bin"
    file.unlink() if content is None else file.write_bytes(content)
    assert words in (verify_manifest(tmp_path) or "")


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"a.bin": 3})])
def test_a_broken_manifest_is_a_fault(tmp_path: Path, text: str):
    (whole(tmp_path) / MANIFEST).write_text(text)
    assert MANIFEST in (verify_manifest(tmp_path) or "")


def test_names_that_differ_by_a_sign_have_files_of_their_own():
    given = ["a/b", "a-b", "???", "", "a b", "c", "C", "a-b--2"]
    assert plain_names(given) == [
        "a-b",
        "a-b--2",
        "unnamed",
        "unnamed--2",
        "a-b--3",
        "c",
        "C--2",
        "a-b--2--2",
    ]
