"""A corpus without the documents of another one."""

import json
import random
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.corpus import records_file, stretches

RECIPE = """\
sources: {web: {files: new.jsonl}}
dedup: {minhash: {}, against: [old]}
output: {dropped: 1.0}
workers: 1
out: out
"""


def text(number: int) -> str:
    chance = random.Random(number)
    return " ".join(f"{chance.choice(('river', 'town', 'mill'))}{chance.randrange(99)}" for _ in range(60))


def write(name: str, texts: list[str]) -> None:
    Path(name).write_text("\n".join(json.dumps({"text": one}) for one in texts), "utf8")


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of two sources, whose files are not in the order of their names, and a text twice."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stretches, "STRETCH", 2000)
    write("z.jsonl", [text(number) for number in range(12)])
    write("a.jsonl", [text(number) for number in (20, 3, 21, 22)])
    (tmp_path / "old.yaml").write_text(
        "sources: {z: {files: z.jsonl}, a: {files: a.jsonl}}\ndedup: {minhash: {}}\nworkers: 1\nout: old\n"
    )
    assert main(["corpus", "old.yaml"]) == 0
    (tmp_path / "r.yaml").write_text(RECIPE)
    return tmp_path


def test_what_another_corpus_holds_or_is_like_it_is_dropped(old: Path, capsys):
    near, longer = text(21).replace("river", "rivers", 1), f"{text(5)} and more"
    write("new.jsonl", [text(3), text(50), near, longer, text(50), f"{text(51)} x", text(51)])
    capsys.readouterr()
    assert main(["corpus", "r.yaml", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["blocks"]["dedup"]["dropped"] == {"dedup.against": 3, "dedup.exact": 1, "dedup.minhash": 1}
    assert report["rules"]["dedup.against"]["dropped"] == 3
    kept = [one["text"] for path in (old / "out/data").iterdir() for one in records_file.read(path)]
    assert kept == [text(50), f"{text(51)} x"]
    dropped = list(records_file.read(old / "out/dropped/dedup.against.jsonl.zst"))
    assert {(one["text"], one["duplicate_of"]) for one in dropped} == {
        (text(3), "z.jsonl:4"),
        (near, "a.jsonl:3"),
        (longer, "z.jsonl:6"),
    }
    assert all(one["value"] >= 0.7 for one in dropped)


def test_a_third_corpus_is_compared_with_both(old: Path):
    write("new.jsonl", [text(60), text(4)])
    assert main(["corpus", "r.yaml"]) == 0
    write("third.jsonl", [text(60), text(4), text(70)])
    assert (
        main(
            [
                "corpus",
                "r.yaml",
                "sources.web.files=third.jsonl",
                "dedup.against=[old, out]",
                "--out",
                "third",
            ]
        )
        == 0
    )
    kept = [one["text"] for path in (old / "third/data").iterdir() for one in records_file.read(path)]
    assert kept == [text(70)]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["dedup.against=nowhere"], 2, "dedup.against.0: no corpus at nowhere"),
        (["dedup.against=new.jsonl"], 2, "dedup.against.0: no corpus at new.jsonl: that is a file"),
        (["dedup.minhash.bands=10"], 2, "old was made with another dedup.minhash"),
    ],
)
def test_what_cannot_be_compared_with_is_one_clear_line(
    arguments: list[str], code: int, told: str, old: Path, capsys
):
    write("new.jsonl", [text(1)])
    assert main(["corpus", "r.yaml", *arguments, "--dry-run"]) == code
    assert told in capsys.readouterr().err


def test_another_corpus_that_has_changed_is_noticed(old: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    from nlptool.corpus import engine

    write("new.jsonl", [text(1), text(2), text(80)])
    with monkeypatch.context() as patch:
        patch.setattr(engine, "statistics", lambda parts: (_ for _ in ()).throw(KeyboardInterrupt))
        assert main(["corpus", "r.yaml"]) == 130
    assert main(["corpus", "old.yaml", "~sources.a", "--overwrite"]) == 0
    assert main(["corpus", "r.yaml", "--resume", "auto"]) == 3
    assert "its sources have changed since it was begun (dedup.against)" in capsys.readouterr().err
