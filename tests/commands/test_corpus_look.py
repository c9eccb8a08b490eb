"""Views of a corpus: its page, card, one rule, one document, and a sample before it is built."""

import json
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ruamel.yaml import YAML

from nlptool.cli import main
from nlptool.commands.corpus.card import card as corpus_card
from nlptool.corpus import stretches
from nlptool.corpus.config import Output
from nlptool.corpus.samples import LEAST, Choice
from nlptool.report import histogram

RECIPE = """\
sources: {web: {files: web.jsonl}}
filters: {gopher_quality: {min_words: 5, max_words: null, min_stop_words: null}}
dedup: {minhash: {}}
output: {license: cc-by-4.0}
workers: 1
out: out
"""


def text(number: int) -> str:
    chance = random.Random(number)
    return " ".join(
        chance.choice(("river", "town", "mill", "bridge")) + str(chance.randrange(99)) for _ in range(60)
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus of 40 pages, of 30 that are too short, and of two near duplicates."""
    folder = tmp_path_factory.mktemp("look")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(stretches, "STRETCH", 3000)
        pages = [{"text": text(number), "url": f"https://www.example.org/{number}"} for number in range(40)]
        pages += [{"text": f"short <b>{number}</b> \x1b[31m짧다"} for number in range(30)]
        pages += [{"text": f"{text(3)} more"}, {"text": f"{text(4)} more 🙂"}]
        (folder / "web.jsonl").write_text("\n".join(map(json.dumps, pages)), "utf8")
        (folder / "r.yaml").write_text(RECIPE)
        assert main(["corpus", "r.yaml"]) == 0
    return folder


@pytest.fixture
def inside(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(["corpus", *arguments]) == 0
    return capsys.readouterr().out


def test_every_rule_is_told_with_what_came_in_and_went_out(inside: Path):
    report = json.loads((inside / "out/report.json").read_text("utf8"))
    rules = report["rules"]
    assert rules["gopher_quality.min_words"] == {
        "documents": 72,
        "dropped": 30,
        "dropped_bytes": sum(len(f"short <b>{n}</b> \x1b[31m짧다".encode()) for n in range(30)),
        "at_least": 5,
        "at_most": None,
    }
    assert (rules["dedup.minhash"]["documents"], rules["dedup.minhash"]["dropped"]) == (42, 2)
    assert report["domains"] == {"www.example.org": 38}
    for rule, shape in report["histograms"].items():
        low, high = rules[rule]["at_least"], rules[rule]["at_most"]
        beyond = [
            count
            for start, count in zip(shape["bins"], shape["counts"], strict=True)
            if (low is not None and start < low) or (high is not None and start > high)
        ]
        assert sum(beyond) == rules[rule]["dropped"] or rule == "dedup.minhash"


class Page(HTMLParser):
    """Which tags a page has, what they refer to, and its text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "rect", "line"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "onload")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "line") and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_every_rule_with_samples_and_needs_nothing_else(inside: Path):
    page = Page((inside / "out/report.html").read_text("utf8"))
    rules = json.loads((inside / "out/report.json").read_text("utf8"))["rules"]
    assert page.tags.count("section") == len(rules)
    assert page.tags.count("svg") == len(rules)
    assert page.tags.count("li") == LEAST + 2
    assert not page.links
    assert "script" not in page.tags
    assert "b" not in page.open
    assert "short <b>" in page.text
    assert "\x1b" not in page.text
    assert page.open == []  # whatever is opened is closed


def test_the_card_is_what_the_hub_reads(inside: Path):
    card = (inside / "out/README.md").read_text("utf8")
    _, head, body = card.split("---\n", 2)
    facts = YAML(typ="safe").load(head)
    assert facts["license"] == "cc-by-4.0"
    assert facts["size_categories"] == ["n<1K"]
    (config,) = facts["configs"]
    assert [path.name for path in (inside / "out").glob(config["data_files"])] == ["web-00000.jsonl.zst"]
    assert "| gopher_quality.min_words | 72 | 30 | at least 5 |" in body
    assert "nlptool tokenize demo/tokenize '~source'" in body
    setup: Any = SimpleNamespace(name="ko", output=Output(), replaced=[])
    report = json.loads((inside / "out/report.json").read_text("utf8")) | {"languages": {"ko": 40}}
    assert "nlptool tokenize demo/tokenize-ko '~source'" in corpus_card(setup, report)


def test_a_rule_is_shown_with_its_figures_and_what_it_dropped(inside: Path, capsys):
    out = shown(capsys, "out", "--show", "--rule", "gopher_quality.min_words")
    assert re.search(r"dropped +30\n", out)
    assert re.search(r"at least 5\n", out)
    assert re.search(r"█ x\n", out)
    assert "web.jsonl:" in out
    found = json.loads(shown(capsys, "r.yaml", "--show", "--rule", "gopher_quality.min_words", "--json"))
    assert len(found["samples"]) == LEAST
    near = json.loads(shown(capsys, "out", "--show", "--rule", "dedup.minhash", "--json"))["samples"]
    assert {(one["id"], one["duplicate_of"]) for one in near} == {
        ("web.jsonl:4", "web.jsonl:71"),
        ("web.jsonl:5", "web.jsonl:72"),
    }
    assert shown(capsys, "out", "--show").startswith("out: a corpus\n")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("web.jsonl:1", "kept in out/data/web-00000.jsonl.zst"),
        ("web.jsonl:50", "dropped by gopher_quality.min_words"),
        ("web.jsonl:4", "dropped by dedup.minhash as a duplicate of web.jsonl:71"),
        ("web.jsonl:71", "kept in out/data/web-00000.jsonl.zst, for 1 others, too"),
    ],
)
def test_what_became_of_a_document_is_told(name: str, told: str, inside: Path, capsys):
    assert told in shown(capsys, "out", "--show", "--id", name)
    found = json.loads(shown(capsys, "out", "--show", "--id", name, "--json"))
    assert (found["id"], found["result"]) == (name, told)


def test_a_sample_tells_what_the_whole_would_come_to_and_writes_nothing(inside: Path, capsys):
    before = sorted(inside.rglob("*"))
    arguments = ("r.yaml", "filters.gopher_quality.min_words=61", "--sample")
    report = json.loads(shown(capsys, *arguments, "72", "--json", "--out", "new"))
    assert report["rules"]["gopher_quality.min_words"]["dropped"] == 70
    few = json.loads(shown(capsys, *arguments, "20", "--json"))
    assert few["read"]["documents"] == 20
    again = json.loads(shown(capsys, *arguments, "20", "--json"))
    assert few == again
    out = shown(capsys, *arguments, "20", "--rule", "gopher_quality.min_words")
    assert "fewest words" in out
    assert sorted(inside.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["r.yaml", "--out", "nowhere", "--show"], "no corpus is there yet"),
        (["out", "--show", "--rule", "x"], "no such rule here"),
        (["out", "--show", "--id", "web.jsonl:99"], "no document of the sources has this id"),
        (["r.yaml", "--rule", "x"], "--rule requires --show"),
        (["r.yaml", "--show", "--sample", "5"], "contradict"),
        (["r.yaml", "--sample", "5", "--overwrite"], "only looks"),
        (["out"], "a folder; a recipe is a file"),
    ],
)
def test_what_cannot_be_looked_at_is_one_clear_line(arguments: list[str], told: str, inside: Path, capsys):
    assert main(["corpus", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_a_rule_keeps_its_lowest_numbers_however_the_documents_are_cut():
    numbers = [(7 * place % 101) / 101 for place in range(101)]
    choice = Choice(0.05)
    for place, number in enumerate(numbers):
        choice.offer("r", number, place)
    kept = [number for place, number in enumerate(numbers) if choice.has("r", number, place)]
    assert sorted(kept) == sorted(numbers)[:LEAST]
    many = Choice(0.5)
    for place, number in enumerate(numbers):
        many.offer("r", number, place)
    assert sum(many.has("r", number, place) for place, number in enumerate(numbers)) == 51
    none = Choice(0.0)
    none.offer("r", 0.0, 0)
    assert not none.has("r", 0.0, 0)


def test_bins_beyond_a_limit_are_marked_and_the_limit_stands_between_them():
    drawn = histogram.draw([4, 0, 9, 1], [0.0, 0.1, 0.25, 0.5], 0.1, 0.3, "x")
    assert re.findall(r'class="(in|out)"', drawn) == ["out", "in", "out"]
    assert drawn.count('class="limit"') == 2
    assert "0.25 to 0.5: 9" in drawn
    assert histogram.draw([0, 0], [0.0, 1.0], None, None, "x").startswith("<svg")
