"""Pages by their inbound links: counted links, the list for a crawler, and the kept pages of an archive."""

import json
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.corpus import links, records_file
from nlptool.corpus.config import Links

LINKS = [
    {"url": "https://www.example.org/a/", "score": 2, "created_utc": 1500000000},
    {"url": "http://example.org/a#part", "score": 5, "created_utc": "1500000000"},
    {"url": "https://example.org/a", "score": 9, "created_utc": 1500000000},
    {"url": "https://example.org/b?q=1", "score": 3, "created_utc": 1500000000, "over_18": False},
    {"url": "https://late.org/", "score": 99, "created_utc": 1600000000},
    {"url": "https://undated.org/", "score": 99},
    {"url": "https://adult.org/", "score": 99, "created_utc": 1500000000, "over_18": True},
    {"url": "https://www.reddit.com/r/x/comments/1", "score": 99, "created_utc": 1500000000},
    {"url": "https://self.org/", "score": 99, "created_utc": 1500000000, "is_self": True},
    {"url": "https://ko.wikipedia.org/wiki/한국", "score": 99, "created_utc": 1500000000},
    {"url": "", "score": 99, "created_utc": 1500000000},
]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "links.jsonl").write_text("\n".join(map(json.dumps, LINKS)), "utf8")
    (tmp_path / "r.yaml").write_text(
        "sources: {web: {files: web.jsonl}}\n"
        "links: {files: links.jsonl, until: 2017-12-31}\n"
        "urls: {block_domains: [wikipedia.org]}\n"
        "workers: 1\nout: out\n"
    )
    return tmp_path


def test_links_count_by_karma_date_and_kind(work: Path):
    found = list(links.addresses(Links(files=("links.jsonl",))))
    assert found == [LINKS[at]["url"] for at in (1, 3, 4, 5, 9)]
    everything = Links(files=("links.jsonl",), min_karma=0, over_18=True)
    assert len(list(links.addresses(everything))) == 6


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://www.Example.org:443/a/", "http://example.org/a#x", True),
        ("https://example.org/a?q=1", "https://example.org/a?q=2", False),
        ("https://example.org/A", "https://example.org/a", False),
        ("https://[broken", "https://[broken", True),
    ],
)
def test_addresses_are_the_same_where_they_lead_to_one_page(one: str, other: str, same: bool):
    assert (links.address_key(one) == links.address_key(other)) is same


def test_a_crawler_is_told_what_to_fetch_and_the_corpus_keeps_that(work: Path, capsys):
    assert main(["corpus", "r.yaml", "--urls"]) == 0
    assert capsys.readouterr().out.splitlines() == ["http://example.org/a#part", "https://example.org/b?q=1"]
    assert not (work / "out").exists()
    pages = [
        {"text": "kept, one", "url": "https://example.org/a"},
        {"text": "not linked to", "url": "https://example.org/c"},
        {"text": "kept, without an address"},
    ]
    (work / "web.jsonl").write_text("\n".join(map(json.dumps, pages)), "utf8")
    assert main(["corpus", "r.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rules"]["links.files"]["dropped"] == 1
    kept = [one["text"] for one in records_file.read(work / "out/data/web-00000.jsonl.zst")]
    assert kept == ["kept, one", "kept, without an address"]


@pytest.mark.parametrize(
    ("content", "arguments", "code", "told"),
    [
        ('{"url": "x"}', ["--urls"], 3, "links.jsonl:1: a link has url and score"),
        ('{"score": 5}', ["--urls"], 3, "links.jsonl:1: "),
        ("{broken", ["--urls"], 3, "links.jsonl:1: "),
        ("", ["links.until=soon", "--urls"], 2, "links.until"),
        ("", ["~links", "--urls"], 2, "--urls: the recipe has no links"),
        ("", ["--urls", "--overwrite"], 2, "--urls only looks"),
    ],
)
def test_what_is_no_list_of_links_is_one_clear_line(
    content: str, arguments: list[str], code: int, told: str, work: Path, capsys
):
    (work / "links.jsonl").write_text(content, "utf8")
    assert main(["corpus", "r.yaml", *arguments]) == code
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    print(error)
