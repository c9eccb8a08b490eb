"""`nlptool corpus` with steps over all documents: repeated lines and shares of sources."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nlptool.cli import main
from nlptool.corpus import records_file, second_pass, stretches

WORDS = ["river", "town", "mill", "bridge", "spring", "winter", "stone", "garden", "letter", "window"]
RECIPE: dict[str, Any] = {
    "sources": {"web": {"files": "web.jsonl"}, "books": {"files": "books.jsonl"}},
    "lines": {"max_removed": None},
    "repeated_lines": {"max_documents": 8, "min_chars": 20},
    "dedup": {"minhash": {}},
    "mix": {"weights": {"web": 3, "books": 1}},
    "output": {"dropped": 1.0},
    "workers": 1,
    "out": "out",
}


def prose(number: int, words: int = 40) -> str:
    chance = random.Random(number)
    return " ".join(f"{chance.choice(WORDS)}{chance.randrange(9)}" for _ in range(words))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """60 pages of three sites with menus and counters; two are menus alone. 60 books without."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stretches, "STRETCH", 3000)
    pages = []
    for number in range(60):
        site = "abc"[number % 3]
        text = f"Home of {site}\n\n{prose(number)}\n{number} likes\nTerms of {site}: page {number}\n쿠키를 씁니다 🙂"
        pages.append({"text": text, "url": f"https://{site}.example/{number}"})
    pages += [{"text": "Home of a\nTerms of a: page 1", "url": "https://a.example/x"}] * 2
    pages += [{"text": f"Home of a\n{prose(7)}", "url": "https://b.example/7"}]  # one more of page 7
    books = [{"text": prose(1000 + number)} for number in range(60)]
    for name, rows in (("web", pages), ("books", books)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "r.yaml").write_text(json.dumps(RECIPE))
    return tmp_path


def corpus(*arguments: str) -> int:
    return main(["corpus", "r.yaml", *arguments])


def kept(out: Path) -> list[dict[str, Any]]:
    return [one for path in sorted((out / "data").iterdir()) for one in records_file.read(path)]


def figures(out: Path) -> dict[str, bytes]:
    names = [
        *(out / "data").iterdir(),
        *(out / "dropped").iterdir(),
        *(out / "index").iterdir(),
        out / "report.json",
    ]
    return {str(path.relative_to(out)): path.read_bytes() for path in names}


def test_menus_leave_before_duplicates_are_looked_for_and_shares_are_kept(work: Path, capsys):
    assert corpus("--json") == 0
    report = json.loads(capsys.readouterr().out)
    records = kept(work / "out")
    assert all("Terms" not in one["text"] and "likes" not in one["text"] for one in records)
    assert report["kept"]["words"] == sum(len(one["text"].split()) for one in records)
    own = [one for one in records if one["source"] == "web"]
    assert {one["text"].splitlines()[-1] for one in own} >= {
        prose(int(one["id"][10:]) - 1) for one in own[:5]
    }
    assert report["blocks"]["lines"]["changed"] == 60
    assert report["blocks"]["repeated_lines"]["dropped"] == {"repeated_lines.min_chars": 2}
    assert report["blocks"]["dedup"]["dropped"] == {"dedup.minhash": 1}
    assert report["repeated_lines"][0]["documents"] == 22
    assert {"Home of a", "쿠키를 씁니다 🙂"} <= {one["line"] for one in report["repeated_lines"]}
    characters = Counter({one["source"]: 0 for one in records})
    for one in records:
        characters[one["source"]] += len(one["text"])
    share = characters["web"] / characters.total()
    assert share == pytest.approx(report["mix"]["web"]["share"], abs=1e-9)
    assert share == pytest.approx(0.75, abs=0.03)
    assert report["mix"]["web"]["kept_characters"] == report["mix"]["web"]["characters"]
    assert report["blocks"]["mix"]["dropped"]["mix.weights"] == 120 - len(records)
    assert {"repeated_lines", "mix.weights"} <= {rule.removesuffix(".min_chars") for rule in report["rules"]}
    page = (work / "out/report.html").read_text()
    assert "Terms of a: page" in page
    assert "by weight" in page
    assert corpus("--show", "--id", "web.jsonl:61") == 0
    assert "dropped by repeated_lines.min_chars" in capsys.readouterr().out


@pytest.mark.slow
def test_two_workers_change_no_byte(work: Path):
    assert corpus() == 0
    assert corpus("--workers", "2", "--out", "two") == 0
    assert figures(work / "two") == figures(work / "out")


def test_shards_and_a_stopped_second_pass_change_no_byte(work: Path, monkeypatch: pytest.MonkeyPatch):
    assert corpus() == 0
    alone = figures(work / "out")
    for number in (2, 1):
        assert corpus("--shard", f"{number}/2", "--out", "shards") == 0
    write, done = second_pass._write, []

    def stopping(path: Path, *given: Any) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        write(path, *given)
        done.append(path)

    monkeypatch.setattr(second_pass, "_write", stopping)
    assert corpus("--resume", "auto", "--out", "shards") == 130
    assert len(done) == 2
    monkeypatch.setattr(second_pass, "_write", write)
    assert corpus("--resume", "auto", "--out", "shards") == 0
    assert figures(work / "shards") == alone


def test_a_smaller_corpus_is_within_a_larger_one_whatever_the_order(work: Path):
    assert corpus("~repeated_lines", "mix.max_chars=4000", "--out", "small") == 0
    assert corpus("~repeated_lines", "mix.max_chars=8000", "--out", "large") == 0
    lines = (work / "web.jsonl").read_text().splitlines()
    (work / "web.jsonl").write_text("\n".join(reversed(lines)))
    assert corpus("~repeated_lines", "mix.max_chars=4000", "--out", "turned") == 0
    small, large, turned = (
        {one["text"] for one in kept(work / name)} for name in ("small", "large", "turned")
    )
    assert small < large
    assert turned == small
    assert 3000 < sum(map(len, small)) <= 4000
    assert corpus("~repeated_lines", "mix.max_chars=4000", "seed=1", "--out", "other") == 0
    assert {one["text"] for one in kept(work / "other")} != small


def test_a_sample_and_a_dry_run_show_both(work: Path, capsys):
    assert corpus("--sample", "60", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert "repeated_lines" in report["blocks"]
    assert set(report["mix"]) == {"web", "books"}
    assert corpus("--dry-run") == 0
    told = capsys.readouterr().out
    assert "those in more than 8 documents of one site" in told
    assert "web 3, books 1" in told


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["mix.weights.pages=1"], 2, "no source of this name; there are web, books"),
        (["~mix.weights.books"], 2, "missing: books; every source has a weight"),
        (["mix.weights.books=0"], 2, "a weight above 0"),
        (
            ["filters={gopher_quality: {min_words: 41, min_stop_words: null}}"],
            3,
            "no document of sources.books is left",
        ),
        (["repeated_lines.min_chars=10000"], 3, "the rule repeated_lines.min_chars dropped most"),
        (["repeated_lines.scope=page"], 2, "one of site, corpus"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    arguments: list[str], code: int, told: str, work: Path, capsys
):
    assert corpus(*arguments) == code
    assert told in capsys.readouterr().err
