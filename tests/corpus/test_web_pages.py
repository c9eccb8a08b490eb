"""Web pages from archives and folders, and text extraction."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from nlptool.cli import main
from nlptool.corpus import web
from nlptool.corpus.config import CorpusSource, Extract
from nlptool.corpus.document import Document, Dropped, Figures
from nlptool.corpus.extract import Block
from nlptool.corpus.extractor import text_of
from nlptool.corpus.html import attributes, decoded, nesting
from nlptool.corpus.records_file import read
from nlptool.errors import DataError
from nlptool.text import sources
from nlptool.text.corpus import ReadStats

pytest.importorskip("fastwarc")
pytest.importorskip("trafilatura")
SHARED = Path(__file__).parents[3] / "shared/data"
ENGLISH = "The river runs through the old town, and nobody knows who built the bridge that stands there. "
KOREAN = "강은 오래된 마을을 지나 흐르고, 다리를 누가 놓았는지는 아무도 모릅니다. "


def page(text: str, charset: str = "utf-8") -> bytes:
    menu = "<nav><ul><li><a href='/'>Home</a></li><li><a href='/x'>About us</a></li></ul></nav>"
    meta = f'<meta charset="{charset}">' if charset else ""
    html = (
        f"<!doctype html><html><head>{meta}<title>A page</title></head><body>{menu}<article><h1>The bridge</h1>"
        f"<p>{text * 3}</p><p>{text * 2}</p></article><footer>Cookie settings</footer></body></html>"
    )
    return html.encode("cp949" if charset == "euc-kr" else "utf-8")


def response(url: str, body: bytes, *headers: str, status: str = "200 OK", kind: str = "response") -> bytes:
    http = (
        "\r\n".join([f"HTTP/1.1 {status}", *(headers or ("Content-Type: text/html",)), "", ""]).encode()
        + body
    )
    facts = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-05-06T07:08:09Z\r\n"
        f"WARC-Record-ID: <urn:uuid:12345678-1234-1234-1234-123456789abc>\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    return facts.encode() + http + b"\r\n\r\n"


def pages_of(path: Path, **keys: Any) -> tuple[list[Document], ReadStats]:
    source = CorpusSource(files=(str(path),), pages=keys.pop("pages", "warc"), **keys)
    tally = ReadStats()
    return list(web.of_files(source, sources.files(source, markup=True), tally)), tally  # type: ignore[arg-type]


def test_an_archive_becomes_a_corpus_of_its_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    html = "Content-Type: text/html; charset=utf-8"
    packed = page(ENGLISH.replace("river", "railway"))
    chunk = page(ENGLISH.replace("river", "canal"))
    chunked = f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n0\r\n\r\n"
    records = [
        response("https://a.org/1", page(ENGLISH)),
        response("https://a.kr/2", page(KOREAN, "euc-kr"), html),  # the header is wrong
        response("https://a.org/3", gzip.compress(packed), html, "Content-Encoding: gzip"),
        response("https://a.org/4", chunked, html, "Transfer-Encoding: chunked"),
        response("https://a.org/5", page(ENGLISH), status="404 Not Found"),
        response("https://a.org/6", b"\x89PNG", "Content-Type: image/png"),
        response("https://a.org/7", b"<html><body></body></html>"),
        response("https://a.org/8", b"<p " + b"a=1 " * 200_000 + b">x</p>"),
        response("https://a.org/9", b"<div>" * 50_000 + b"x"),
        response("https://a.org/10", b"x", kind="request"),
    ]
    (tmp_path / "a.warc.gz").write_bytes(b"".join(map(gzip.compress, records)))
    (tmp_path / "html").mkdir()
    (tmp_path / "html/b.html").write_bytes(page(ENGLISH.replace("river", "road")))
    (tmp_path / "html/urls.tsv").write_text("b\thttps://b.org/b\n")
    recipe = {
        "sources": {
            "crawl": {"files": "a.warc.gz", "pages": "warc"},
            "saved": {"files": "html", "pages": "html", "page_urls": "html/urls.tsv"},
        },
        "extract": {"min_chars": 20},
        "output": {"dropped": 1.0},
        "workers": 1,
        "out": "out",
    }
    (tmp_path / "r.yaml").write_text(json.dumps(recipe))
    assert main(["corpus", "r.yaml", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["blocks"]["extract"]["dropped"] == {
        "extract.max_attributes": 1,
        "extract.max_nesting": 1,
        "extract.min_chars": 1,
    }
    assert report["read"]["sources"]["crawl"]["dropped"] == {"HTTP status other than 200": 1, "not HTML": 1}
    crawl = list(read(tmp_path / "out/data/crawl-00000.jsonl.zst"))
    assert [(one["id"], one["url"]) for one in crawl] == [
        ("a.warc.gz:1", "https://a.org/1"),
        ("a.warc.gz:2", "https://a.kr/2"),
        ("a.warc.gz:3", "https://a.org/3"),
        ("a.warc.gz:4", "https://a.org/4"),
    ]
    assert crawl[0]["date"] == "2024-05-06T07:08:09Z"
    for one, word in zip(crawl, ("river", "강은", "railway", "canal"), strict=True):
        assert word in one["text"]
        assert not any(menu in one["text"] for menu in ("About us", "Cookie", "<"))
    (saved,) = read(tmp_path / "out/data/saved-00000.jsonl.zst")
    assert (saved["url"], "road" in saved["text"]) == ("https://b.org/b", True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"extract": None}, "extract: missing; sources.web is of HTML"),
        ({"sources": {"web": {"files": "."}}}, "extract: no source is of pages"),
        ({"sources": {"web": {"pages": "warc"}}}, "sources.web.files: missing"),
    ],
)
def test_pages_and_extract_go_together(
    change: dict[str, Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.chdir(tmp_path)
    recipe = {"sources": {"web": {"files": ".", "pages": "warc"}}, "extract": {}, "out": "../out"} | change
    (tmp_path / "r.yaml").write_text(json.dumps(recipe))
    assert main(["corpus", "r.yaml", "--dry-run"]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        ("강물".encode("cp949"), None, "강물"),
        ("강물".encode("cp949"), "utf-8", "강물"),
        ("강물 똠".encode("cp949"), "EUC-KR", "강물 똠"),
        (b'<meta charset="euc-kr">' + "강물".encode("cp949"), None, '<meta charset="euc-kr">강물'),
        ("강물 é".encode(), "iso-8859-1", "강물 é"),
        ("café".encode("latin1"), "iso-8859-1", "café"),
        ("naïve “x”".encode("cp1252"), None, "naïve “x”"),
        (("word " * 100 + "x").encode() + b"\xff", None, "word " * 100 + "x\ufffd"),
        ("강물".encode("utf-16"), None, "강물"),
        (b"plain", "no-such-thing", "plain"),
        (b"plain", "base64", "plain"),
        (b"", "utf-8", ""),
    ],
)
def test_a_page_is_read_in_the_encoding_it_is_in(body: bytes, charset: str | None, text: str):
    assert decoded(body, charset) == text


def test_nesting_and_attributes_are_measured():
    assert nesting("<div>" * 30 + "</div>" * 30, 10) == 30
    assert nesting("<div>x</div>" * 30, 10) <= 10
    assert nesting("<p>a<br><img src=x>" * 5 + "</p>" * 5, 2) == 5
    assert nesting("<" * 10_000, 10) == 0
    assert attributes("<p " + "a=1 " * 300 + ">", 100) == 300
    assert attributes("<p " + "a=1 " * 300, 100) == 300  # never closed
    assert attributes(f"<path d='{'M 1 2 ' * 300}'>가나다", 100) <= 1
    assert attributes("1 < 2 " + "and so on " * 300, 100) == 0


def test_a_page_that_takes_too_long_costs_its_process_and_no_other_page():
    block = Block(Extract(seconds=0.05), {"web": "html"})
    slow = Document("1", "web", "<table>" + "<tr><td>a b c</td></tr>" * 100_000 + "</table>", {})
    try:
        dropped = block(slow, Figures())
        assert isinstance(dropped, Dropped)
        assert (dropped.rule, dropped.limit) == ("extract.seconds", 0.05)
        block._config = Extract()
        found = block(Document("2", "web", page(ENGLISH).decode(), {}), Figures())
        assert isinstance(found, Document)
        assert ENGLISH.strip() in found.text
        other = Document("3", "books", "<p>not a page</p>", {})
        assert block(other, Figures()) is other
        assert block._process is not None
        block._process._process.kill()
        block._process._process.join()  # the pipe is broken before the next page is sent
        died = block(Document("4", "web", page(ENGLISH).decode(), {}), Figures())
        assert isinstance(died, Dropped)
        assert died.rule == "extract.crash"
    finally:
        block.close()


OPTIONS = {"fast": True, "tables": True, "favor_precision": False}


@pytest.mark.parametrize(
    "html", ["", "x", "<" * 1000, "&amp" * 1000, "\ud800 surrogate", "<svg>" * 50, "<!--"]
)
def test_what_is_hardly_a_page_is_no_fault(html: str):
    text = html.encode("utf8", "replace").decode()
    assert isinstance(text_of(text, ("trafilatura", "resiliparse"), OPTIONS, 1), str)


def test_a_second_extractor_saves_what_the_first_gives_up():
    html = "<html><body><div>Short words.</div></body></html>"
    assert text_of(html, ("resiliparse",), OPTIONS, 5) == text_of(
        html, ("trafilatura", "resiliparse"), OPTIONS, 500
    )


def test_bodies_are_unchunked_and_inflated_only_where_they_are_so():
    assert web.unchunked(b"3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n") == b"abcde"
    assert web.unchunked(b"<html>\r\n") == b"<html>\r\n"
    assert web.unchunked(b"3\r\nabc\r\nzz\r\nde") == b"abczz\r\nde"
    assert web.inflated(gzip.compress(b"abc"), 31) == web.inflated(zlib.compress(b"abc"), 15) == b"abc"
    assert web.inflated(b"<html>", 31) == b"<html>"


def test_records_that_break_off_are_told_or_counted(tmp_path: Path):
    whole = response("https://a.org/1", page(ENGLISH)) + response("https://a.org/2", page(ENGLISH))
    (tmp_path / "a.warc").write_bytes(whole[:-200])
    with pytest.raises(DataError, match=r"a\.warc:2: the record breaks off"):
        pages_of(tmp_path / "a.warc")
    header = whole.index(b"\r\n\r\n", len(whole) // 2)
    for cut in (header - 20, whole.rindex(b"WARC/1.0") + 30):
        (tmp_path / "c.warc").write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"c\.warc:2: the record breaks off within its header"):
            pages_of(tmp_path / "c.warc")
    pages, tally = pages_of(tmp_path / "a.warc", on_error="drop")
    assert (len(pages), tally.dropped) == (1, {"damaged file": 1})
    (tmp_path / "b.warc").write_bytes(b"no archive at all\n" * 50)
    with pytest.raises(DataError, match=r"b\.warc"):
        pages_of(tmp_path / "b.warc")


def test_wet_is_text_already(tmp_path: Path):
    text = ENGLISH.encode()
    record = (
        b"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://a.org\r\nContent-Type: text/plain\r\n"
        b"WARC-Record-ID: <urn:uuid:12345678-1234-1234-1234-123456789abc>\r\nWARC-Date: 2024-05-06T07:08:09Z\r\n"
        + f"Content-Length: {len(text)}\r\n\r\n".encode()
        + text
        + b"\r\n\r\n"
    )
    (tmp_path / "a.wet.gz").write_bytes(gzip.compress(record))
    (found,), _ = pages_of(tmp_path / "a.wet.gz", pages="wet")
    assert (found.text, found.fields) == (ENGLISH, {"url": "https://a.org", "date": "2024-05-06T07:08:09Z"})  # type: ignore[attr-defined]


@pytest.mark.skipif(not (SHARED / "warc").is_dir(), reason="the archives are not at hand")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("clipped.warc.gz", "breaks off"),
        ("example-bad.warc.gz.bad", ""),
        ("example-iana.org-chunked.warc", ""),
        ("example-trunc.warc", "damaged"),
        ("example-wrong-chunks.warc.gz", ""),
        ("example.arc.gz", "an ARC archive"),
        ("whirlwind.warc.gz", ""),
    ],
)
def test_archives_of_others_are_read_or_refused_in_one_line(name: str, told: str):
    path = SHARED / "warc" / name
    if told:
        with pytest.raises(DataError, match=told):
            pages_of(path)
        assert sum(pages_of(path, on_error="drop")[1].dropped.values()) >= 1
    else:
        pages, _ = pages_of(path)
        assert pages
        assert "<" in pages[0].text


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "html_extraction").is_dir(), reason="the pages are not at hand")
def test_articles_come_out_of_181_pages_with_an_f1_of_955():
    """scrapinghub/article-extraction-benchmark: overlap of 4-grams of words, each page weighing the same."""
    from collections import Counter
    from re import findall

    def grams(text: str) -> Counter[tuple[str, ...]]:
        words = findall(r"\w+", text)
        return Counter(tuple(words[at : at + 4]) for at in range(max(1, len(words) - 3)))

    truth = json.loads((SHARED / "html_extraction/ground-truth.json").read_text("utf8"))
    sums = [0.0, 0.0, 0.0]
    for name, article in truth.items():
        html = decoded(gzip.decompress((SHARED / f"html_extraction/html/{name}.html.gz").read_bytes()))
        true, found = grams(article["articleBody"]), grams(text_of(html, ("trafilatura",), OPTIONS, 1))
        both = (true & found).total()
        counts = (both, found.total() - both, true.total() - both)
        for at, count in enumerate(counts):
            sums[at] += count / max(sum(counts), 1)
    f1 = 2 * sums[0] / (2 * sums[0] + sums[1] + sums[2])
    assert len(truth) == 181
    assert f1 >= 0.955, f1
