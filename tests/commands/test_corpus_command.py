"""`nlptool corpus` from end to end: the same bytes whatever the number of workers, restarts and shards."""

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nlptool.cli import main
from nlptool.commands.corpus import shards
from nlptool.corpus import engine, records_file, stretches
from nlptool.runs import lock

RECIPE = """\
sources:
  web: {files: web.jsonl, on_bad: x}
  books: {files: [one.txt, two.txt]}
filters: {gopher_quality: {min_words: 5, min_stop_words: null}}
dedup: {minhash: {}}
output: {dropped: 1.0}
workers: 1
out: out
"""
TOOL = """\
import sys
from nlptool.cli import main
from nlptool.corpus import stretches
if __name__ == "__main__":
    stretches.STRETCH = 2000
    sys.exit(main(sys.argv[1:]))
"""
PLACES = [
    "river",
    "town",
    "mill",
    "bridge",
    "spring",
    "winter",
    "water",
    "stone",
    "garden",
    "letter",
    "window",
    "harbour",
    "field",
    "market",
]


def sentence(number: int) -> str:
    chance = random.Random(number)
    return " ".join(f"{chance.choice(PLACES)}{chance.randrange(9)}" for _ in range(60))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a recipe and its sources: 60 pages, some twice or too short, and two books of paragraphs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stretches, "STRETCH", 4000)
    pages = [{"text": sentence(number), "url": f"https://example.org/{number}"} for number in range(50)]
    pages += [{"text": sentence(number) + " more", "date": "2020-01-02"} for number in range(5)]
    pages += [{"text": sentence(7)}, {"text": "짧다 🙂"}, {"text": "too short\x1b[31m"}]
    lines = [json.dumps(page, ensure_ascii=False) for page in pages]
    (tmp_path / "web.jsonl").write_text("\n".join(lines), "utf8")
    for name, first in (("one", 100), ("two", 110)):
        (tmp_path / f"{name}.txt").write_text("\n\n".join(sentence(first + at) for at in range(10)), "utf8")
    (tmp_path / "r.yaml").write_text(RECIPE.replace(", on_bad: x", ""))
    return tmp_path


def corpus(*arguments: str) -> int:
    return main(["corpus", "r.yaml", *arguments])


def contents(out: Path) -> dict[str, bytes]:
    """All that is written, but for what names the run."""
    others = {"recipe.yaml", "command.txt", "environment.json", ".nlptool-lock"}
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    own = re.compile(
        rb'(<title>|<h1>|pretty_name: "|\n# |\nout: )' + out.name.encode()
    )  # in the page and the card
    return {name: own.sub(rb"\1", data) for name, data in found.items() if name not in others}


def kept(out: Path) -> list[dict[str, Any]]:
    return [record for path in sorted((out / "data").iterdir()) for record in records_file.read(path)]


def test_a_corpus_holds_what_passed_with_its_provenance(work: Path, capsys):
    assert corpus("--json") == 0
    report = json.loads(capsys.readouterr().out)
    records = kept(work / "out")
    assert len(records) == report["kept"]["documents"] == 70
    assert report["kept"]["words"] == sum(len(record["text"].split()) for record in records)
    assert report["read"]["documents"] == 78
    assert report["blocks"]["gopher_quality"]["dropped"] == {"gopher_quality.min_words": 2}
    assert report["blocks"]["dedup"]["dropped"] == {"dedup.exact": 1, "dedup.minhash": 5}
    assert sum(report["histograms"]["gopher_quality.min_words"]["counts"]) == 78
    first = next(record for record in records if record["text"] == sentence(10))
    assert first == {
        "id": "web.jsonl:11",
        "text": sentence(10),
        "source": "web",
        "url": "https://example.org/10",
    }
    longer = next(record for record in records if record["text"] == sentence(3) + " more")
    assert (longer["date"], longer["copies"]) == ("2020-01-02", 1)
    assert sorted(path.name for path in (work / "out/data").iterdir()) == [
        "books-00000.jsonl.zst",
        "web-00000.jsonl.zst",
    ]
    short = list(records_file.read(work / "out/dropped/gopher_quality.min_words.jsonl.zst"))
    assert {(one["value"], one["limit"]) for one in short} == {(2, 5)}
    near = list(records_file.read(work / "out/dropped/dedup.minhash.jsonl.zst"))
    assert {one["duplicate_of"] for one in near} == {f"web.jsonl:{51 + number}" for number in range(5)}


def test_what_others_read_is_zstandard_and_tokenize_takes_the_folder(work: Path, capsys):
    assert corpus() == 0
    tool = subprocess.run(["zstd", "-dc", "out/data/web-00000.jsonl.zst"], capture_output=True, check=False)
    if tool.returncode == 0:
        assert len(tool.stdout.decode().splitlines()) == 50
    capsys.readouterr()
    recipe = "source: {files: out}\ntokenizer: {vocab_size: 300}\nworkers: 1\nout: store\n"
    (work / "t.yaml").write_text(recipe)
    assert main(["tokenize", "t.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["documents"] == 70


def test_the_number_of_workers_and_shards_changes_no_byte(work: Path):
    assert corpus() == 0
    alone = contents(work / "out")
    assert corpus("--workers", "2", "--out", "two") == 0
    assert contents(work / "two") == alone
    for number in (2, 3, 1):
        assert corpus("--shard", f"{number}/3", "--out", "shards") == 0
    assert len(engine.parts(work / "shards/stretches")) > 3
    assert not (work / "shards/corpus.json").exists()
    assert corpus("--resume", "auto", "--out", "shards") == 0
    assert contents(work / "shards") == alone


def test_a_part_that_another_process_has_is_left_to_it(work: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(shards, "PATIENCE", 0.0)
    assert corpus("--shard", "2/3") == 0
    other = work / "out/stretches/.shard-1-of-3"
    other.mkdir()
    parent = {"host": socket.gethostname(), "process": os.getppid(), "began": lock._began(os.getppid())}
    (other / lock.NAME).write_text(json.dumps(parent))
    for arguments in (["--shard", "1/3"], ["--shard", "2/4"], ["--resume", "auto"]):
        assert corpus(*arguments) == 2
        assert f".shard-1-of-3: process {os.getppid()} writes it" in capsys.readouterr().err
    assert corpus("--shard", "3/3") == 0
    (other / lock.NAME).write_text(json.dumps(parent | {"began": -1}))  # it has died
    assert corpus("--resume", "auto") == 0
    assert len(kept(work / "out")) == 70


def test_a_stopped_run_goes_on_with_what_was_done(work: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    assert corpus("--out", "whole") == 0
    write, done = engine.write_stretch, []

    def stopping(path: Path, *given: Any) -> None:
        if len(done) == 3:
            raise KeyboardInterrupt
        write(path, *given)
        done.append(path.name)

    monkeypatch.setattr(engine, "write_stretch", stopping)
    assert corpus() == 130
    (work / "out/stretches/.000000-000009.nlptool-partial").mkdir()  # as a kill would leave it
    again: list[str] = []
    monkeypatch.setattr(
        engine, "write_stretch", lambda path, *given: (again.append(path.name), write(path, *given))
    )
    assert corpus("--resume", "auto") == 0
    assert not {*again} & {*done}
    assert contents(work / "out") == contents(work / "whole")
    capsys.readouterr()
    assert corpus("--resume", "auto", "--json") == 0
    assert json.loads(capsys.readouterr().out)["kept"]["documents"] == 70


def test_a_corpus_of_a_corpus_drops_nothing_more(work: Path, capsys):
    assert corpus() == 0
    capsys.readouterr()
    assert corpus("~sources.books", "sources.web.files=out", "--out", "again", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kept"]["documents"] == report["read"]["documents"] == 70


def test_parquet_holds_the_same_documents(work: Path):
    import pyarrow.parquet

    assert corpus() == 0
    assert corpus("output.format=parquet", "output.file_mb=1", "--out", "table") == 0
    rows = [
        row
        for path in sorted((work / "table/data").iterdir())
        for row in pyarrow.parquet.read_table(path).to_pylist()
    ]
    assert [{k: v for k, v in row.items() if v is not None} for row in rows] == kept(work / "out")


def test_languages_personal_data_and_benchmarks_are_seen_to(work: Path, capsys):
    pytest.importorskip("fasttext")
    question = "Where did the keeper of the old lighthouse hide the silver key before the storm came in?"
    body = "The river runs through the old town, and nobody knows who built the bridge that stands there. "
    pages = [
        {"text": body * 8 + question + " " + body * 8},
        {"text": body + "Write to kim.minsu@daum.net or call; the number is 900101-1234568."},
        {"text": "La rivière traverse la vieille ville, et personne ne sait quand le pont fut bâti. " * 3},
        {"text": "나라가 바로 서려면 국민이 먼저 일어나야 합니다. 여러분의 힘을 믿습니다."},
        {"text": "All about it is in the encyclopedia.", "url": "https://ko.wikipedia.org/wiki/x"},
    ]
    (work / "web.jsonl").write_text("\n".join(json.dumps(page) for page in pages), "utf8")
    recipe = {
        "sources": {"web": {"files": "web.jsonl"}},
        "urls": {"block_domains": ["wikipedia.org"]},
        "language": {"keep": ["en", "ko"]},
        "pii": {},
        "decontaminate": {"tasks": [{"name": "keeper", "task": "lambada", "data": "questions.jsonl"}]},
        "workers": 1,
        "out": "out",
    }
    (work / "questions.jsonl").write_text(json.dumps({"text": f"{question} Under the stairs"}), "utf8")
    (work / "r.yaml").write_text(json.dumps(recipe))
    assert corpus("--json") == 0
    blocks = json.loads(capsys.readouterr().out)["blocks"]
    dropped = {rule: count for block in blocks.values() for rule, count in block["dropped"].items()}
    assert dropped == {"urls.block_domains": 1, "language.keep": 1}
    assert (blocks["pii"]["changed"], blocks["decontaminate"]["changed"]) == (1, 1)
    cut, personal, korean = kept(work / "out")
    assert "silver key" not in cut["text"]
    assert personal["text"].endswith("Write to email@example.com or call; the number is 000000-0000000.")
    assert (personal["language"], korean["language"]) == ("en", "ko")


@pytest.mark.slow
def test_the_korean_recipe_keeps_98_percent_of_speeches(tmp_path: Path, capsys):
    pytest.importorskip("fasttext")
    speeches = Path(__file__).parents[3] / "shared/data/pretrain_ko/speeches.jsonl.xz"
    if not speeches.exists():
        pytest.skip("the speeches are not at hand")
    changes = [f"sources.web.files={speeches}", "--out", str(tmp_path / "out"), "--json"]
    assert main(["corpus", "corpus/korean", *changes]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kept"]["documents"] >= 0.98 * report["read"]["documents"]


@pytest.mark.slow
def test_killed_at_any_moment_a_run_ends_with_the_same_bytes(work: Path):
    """50 SIGKILLs at moments drawn over the length of a run, each followed by --resume auto and other workers."""
    (work / "tool.py").write_text(TOOL)
    steps = ["lines={}", "repeated_lines={max_documents: 30}", "mix={weights: {web: 2, books: 1}}"]
    line = [sys.executable, "tool.py", "corpus", "r.yaml", *steps, "--resume", "auto", "--out"]
    where = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    began = time.monotonic()
    assert subprocess.run([*line, "whole"], env=where, check=False, capture_output=True).returncode == 0
    length = time.monotonic() - began
    chance, kills = random.Random(0), 0
    while kills < 50:
        process = subprocess.Popen(
            [*line, "out", "--workers", str(chance.randint(1, 3))],
            env=where,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            process.wait(chance.uniform(0.2, 1) * length)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
            process.wait()
        if (work / "out/corpus.json").exists() and not (work / "out/stretches").exists():
            assert contents(work / "out") == contents(work / "whole")
            shutil.rmtree(work / "out")
    assert subprocess.run([*line, "out"], env=where, check=False, capture_output=True).returncode == 0
    assert contents(work / "out") == contents(work / "whole")


def test_what_a_kill_behind_the_last_file_has_left_is_removed(work: Path):
    assert corpus() == 0
    finished = contents(work / "out")
    (work / "out/stretches/0").mkdir(parents=True)
    (work / "out/stretches/0/left").write_text("x")
    assert corpus("--resume", "auto") == 0
    assert contents(work / "out") == finished


def test_a_dry_run_writes_nothing(work: Path, capsys):
    assert corpus("--dry-run", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["blocks"] == ["gopher_quality"]
    assert facts["sources"]["books"] == {
        "files": 2,
        "bytes": sum((work / f"{name}.txt").stat().st_size for name in ("one", "two")),
    }
    assert not (work / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["sources.web.files=nowhere.jsonl"], 3, "sources.web: nowhere.jsonl: no such file"),
        (["filters.gopher_quality.min_wrds=3"], 2, "did you mean min_words"),
        (["sources={}"], 2, "sources"),
        (["sources.a/b.files=web.jsonl"], 2, "letters, digits"),
        (["--shard", "4/3"], 2, "expected I/N"),
        (["--shard", "1/3", "--overwrite"], 2, "contradict"),
        (
            ["filters.gopher_quality.min_words=1000"],
            3,
            "no document is left; the rule gopher_quality.min_words",
        ),
        (["sources.web.field=body"], 3, "web.jsonl:1: no field 'body'"),
        (["sources.web.field=body", "--dry-run"], 3, "sources.web.on_error=drop"),
        (["sources.web.delimiter=;"], 2, "sources.web.delimiter: none of the files is csv"),
        (["--resume", "runs/other"], 2, "--resume auto"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    arguments: list[str], code: int, told: str, work: Path, capsys
):
    assert corpus(*arguments) == code
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_another_recipe_or_other_sources_are_not_mixed_into_what_was_begun(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.setattr(engine, "statistics", lambda parts: (_ for _ in ()).throw(KeyboardInterrupt))
    assert corpus() == 130
    assert corpus("--resume", "auto", "dedup.exact=false") == 2
    assert "dedup.exact: true -> false" in capsys.readouterr().err
    (work / "two.txt").write_text("other text")
    assert corpus("--resume", "auto") == 3
    assert "its sources have changed since it was begun (books)" in capsys.readouterr().err


def test_what_cannot_be_read_is_counted_where_that_is_asked_for(work: Path, capsys):
    with (work / "web.jsonl").open("ab") as file:
        file.write(b'\n{"text": "\xff"}\n{"no": 1}\n{broken\n{"text": null}\n')
    assert corpus("--out", "stops") == 3
    assert "web.jsonl:59" in capsys.readouterr().err
    assert corpus("sources.web.on_error=drop", "--json") == 0
    dropped = json.loads(capsys.readouterr().out)["read"]["sources"]["web"]["dropped"]
    assert dropped == {"blank": 1, "broken JSON": 1, "invalid UTF-8": 1, "no field": 1}
