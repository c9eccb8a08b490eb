"""Dumps of wikis: articles and their text."""

import bz2
import json
from pathlib import Path

import pytest

from nlptool.cli import main
from nlptool.corpus import mediawiki, records_file
from nlptool.text.corpus import ReadStats
from nlptool.text.sources import File

DUMP = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="ko">
  <siteinfo><sitename>위키백과</sitename><base>https://ko.wikipedia.org/wiki/%EB%8C%80%EB%AC%B8</base>
    <namespaces><namespace key="0" /><namespace key="6">파일</namespace>
      <namespace key="14">분류</namespace></namespaces>
  </siteinfo>
  <page><title>서울</title><ns>0</ns><id>1</id><revision><id>5</id><timestamp>2024-05-06T07:08:09Z</timestamp>
    <text xml:space="preserve">
'''서울'''({{lang|en|Seoul}})은 [[대한민국|한국]]의 수도이다.&lt;ref&gt;출처&lt;/ref&gt;
[[파일:서울.jpg|섬네일|[[한강]]의 모습]]

== 역사 ==
* 하나
[[분류:도시]]</text></revision></page>
  <page><title>Seoul</title><ns>0</ns><redirect title="서울" />
    <revision><text>#REDIRECT [[서울]]</text></revision></page>
  <page><title>토론:서울</title><ns>1</ns><revision><text>이야기</text></revision></page>
  <page><title>What? A "day" &amp; night</title><ns>0</ns><revision><text>Night falls.</text></revision></page>
</mediawiki>
"""
ENGLISH = """{{Infobox|name=X}}
'''Seoul''' ({{lang|ko|서울}}) is the [[capital city|capital]].<ref name="a">A note.</ref> It has
[[File:S.jpg|thumb|A [[view]] of it]]
{{nowrap|ten [[million]]}} people &amp; more on {{convert|605.2|km2|sqmi|abbr=on}}.

== History ==
* One [http://example.org link]
{|
| cell || other
|}
<math>E</math>[[Category:Cities]][[fr:Séoul]]
== Notes ==
=== Sources ===
{{reflist}}
__NOTOC__
"""


def articles(path: Path, tally: ReadStats) -> list:
    suffix = path.suffix if path.suffix == ".bz2" else ""
    return list(mediawiki.articles(File(path, "text", suffix, path.stat().st_size), tally, 0))


def test_a_dump_gives_its_articles_and_counts_the_rest(tmp_path: Path):
    (tmp_path / "w.xml.bz2").write_bytes(bz2.compress(DUMP.encode()))
    tally = ReadStats()
    seoul, night = articles(tmp_path / "w.xml.bz2", tally)
    assert tally.dropped == {"redirect": 1, "page that is no article": 1}
    assert seoul.id == f"{tmp_path}/w.xml.bz2:1"
    assert seoul.fields == {
        "title": "서울",
        "timestamp": "2024-05-06T07:08:09Z",
        "url": "https://ko.wikipedia.org/wiki/서울",
    }
    assert "[[File:서울.jpg" in seoul.text
    assert "[[Category:도시]]" in seoul.text
    assert night.fields["url"] == "https://ko.wikipedia.org/wiki/What%3F_A_%22day%22_%26_night"


@pytest.mark.parametrize("damaged", ["", "no xml", "<mediawiki></mediawiki>", DUMP[:900]])
def test_what_is_no_dump_or_breaks_off_is_told(damaged: str, tmp_path: Path):
    (tmp_path / "w.xml").write_text(damaged, "utf8")
    with pytest.raises(OSError, match="wiki"):
        articles(tmp_path / "w.xml", ReadStats())


def test_an_article_loses_its_markup():
    pytest.importorskip("mwparserfromhell")
    text = mediawiki.text_of(ENGLISH, tables=False)
    told = (
        "Seoul (서울) is the capital. It has\n\nten million people & more on 605.2 km2.\n\nHistory\nOne link"
    )
    assert text == told
    assert "cell other" in mediawiki.text_of(ENGLISH, tables=True)
    assert mediawiki.text_of("서울(서울特別市, {{llang|en|Seoul}})은", tables=False) == "서울(서울特別市)은"
    sections = "== A ==\n=== B ===\n== C ==\n=== D ===\nd {{cvt|2|to|3|m}}\n==== E ====\n== F =="
    assert mediawiki.text_of(sections, tables=False) == "C\nD\nd 2 to 3 m"


@pytest.mark.parametrize(
    "markup", ["", "{{" * 3000, "[[" * 3000, "<ref>" * 500, "{|" * 500, "&#0;\ud7ff" * 50, "'" * 5000]
)
def test_what_is_hardly_wikitext_is_no_fault(markup: str):
    pytest.importorskip("mwparserfromhell")
    assert isinstance(mediawiki.text_of(markup, tables=True), str)


def test_a_dump_becomes_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    pytest.importorskip("mwparserfromhell")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.xml.bz2").write_bytes(bz2.compress(DUMP.encode()))
    recipe = {"sources": {"wiki": {"files": "w.xml.bz2", "pages": "mediawiki"}}, "workers": 1, "out": "out"}
    (tmp_path / "r.yaml").write_text(json.dumps(recipe))
    assert main(["corpus", "r.yaml"]) == 2
    assert "sources.wiki is of wikitext, whose text extract takes out" in capsys.readouterr().err
    (tmp_path / "r.yaml").write_text(json.dumps(recipe | {"extract": {}}))
    assert main(["corpus", "r.yaml", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["read"]["sources"]["wiki"]["dropped"] == {"page that is no article": 1, "redirect": 1}
    first, second = records_file.read(tmp_path / "out/data/wiki-00000.jsonl.zst")
    assert first["text"] == "서울(Seoul)은 한국의 수도이다.\n\n역사\n하나"
    assert (second["title"], second["text"]) == ('What? A "day" & night', "Night falls.")
