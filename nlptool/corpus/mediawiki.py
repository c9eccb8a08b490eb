"""Articles out of a dump of a wiki, such as Wikipedia's pages-articles.xml.bz2, and their text without markup.

mwparserfromhell takes wikitext apart. Templates are left out, as nothing expands them; so are files, categories,
references and, on demand, tables. Redirects and pages outside of the articles are counted.
"""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from nlptool.corpus.extra import required
from nlptool.text.corpus import Document, ReadStats
from nlptool.text.readers import LONGEST, opened
from nlptool.text.sources import File

FILES, CATEGORIES = "6", "14"  # numbers of namespaces
LEFT_OUT = re.compile(r"\s*(?:file|image|category|media|[a-z]{2,3}(?:-[a-z]+)*)\s*:", re.IGNORECASE)
"""Links to files and categories, and to the same article in other languages."""
INVISIBLE = ("ref", "references", "gallery", "math", "syntaxhighlight", "timeline", "score", "style")
EMPTY = re.compile(r" ?[(（][\s,;:、，]*[)）]")  # noqa: RUF001
"""Brackets around nothing but a template."""
BLANK = re.compile(r"\n{3,}")
PER_CENT = {ord(sign): f"%{ord(sign):02X}" for sign in '"%&?+<>\\^`{}|'}


def articles(file: File, tally: ReadStats, start: int) -> Iterator[Document]:
    """The articles of a dump as wikitext. start: bytes read before. Raises OSError where it is none or is damaged."""
    base, names = "", {FILES: "File", CATEGORIES: "Category"}
    local: re.Pattern[str] | None = None
    pages = 0
    with opened(file) as (raw, stream):
        try:
            events = ElementTree.iterparse(stream, ("start", "end"))
            _, root = next(events)
            found: dict[str, str] = {}
            for event, element in events:
                if event == "start":
                    continue
                tag = element.tag.rpartition("}")[2]
                if tag == "base":
                    base = (element.text or "").rpartition("/")[0]
                elif tag == "namespace" and (name := names.get(element.get("key", ""))) and element.text:
                    found[element.text.casefold()] = name
                elif tag == "siteinfo":
                    local = _links(found)
                elif tag == "page":
                    pages += 1
                    tally.read = start + raw.tell()
                    if (page := _article(element, tally, base, f"{file.path}:{pages}")) is not None:
                        text = (
                            page.text if local is None else local.sub(lambda m: _named(m, found), page.text)
                        )
                        yield page._replace(text=text)
                    root.clear()
        except (ElementTree.ParseError, StopIteration) as error:
            raise OSError(f"no dump of a wiki, or it breaks off: {error or 'it is empty'}") from error
    if not pages:
        raise OSError("no page of a wiki in it")


def _links(names: dict[str, str]) -> re.Pattern[str] | None:
    """Links to files and categories by what they are called in the wiki's language."""
    own = [name for name in names if name not in ("file", "category")]
    if not own:
        return None
    return re.compile(rf"\[\[\s*({'|'.join(map(re.escape, own))})\s*:", re.IGNORECASE)


def _named(found: re.Match[str], names: dict[str, str]) -> str:
    return f"[[{names.get(found[1].casefold(), 'File')}:"


def _article(page: ElementTree.Element, tally: ReadStats, base: str, place: str) -> Document | None:
    """A page; None, and counted, where it is no article."""
    parts = {child.tag.rpartition("}")[2]: child for child in page}
    if "redirect" in parts:
        tally.dropped["redirect"] += 1
        return None
    if "ns" in parts and (parts["ns"].text or "0") != "0":
        tally.dropped["page that is no article"] += 1
        return None
    revision: dict[str, Any] = {
        child.tag.rpartition("}")[2]: child.text or "" for child in parts.get("revision", ())
    }
    text = revision.get("text", "")
    if len(text) > LONGEST:
        tally.dropped[f"page of more than {LONGEST >> 20} MiB"] += 1
        return None
    title = (parts["title"].text if "title" in parts else None) or ""
    facts = {"title": title, "timestamp": revision.get("timestamp", "")}
    if base and title:
        facts["url"] = f"{base}/{title.replace(' ', '_').translate(PER_CENT)}"
    return Document(place, text, {name: value for name, value in facts.items() if value})


def text_of(wikitext: str, *, tables: bool) -> str:
    """The text of an article without its markup."""
    parser = required("mwparserfromhell", "extract")
    code = parser.parse(wikitext, skip_style_tags=False)
    nodes = [link for link in code.ifilter_wikilinks() if LEFT_OUT.match(str(link.title))]
    gone = INVISIBLE if tables else (*INVISIBLE, "table")
    nodes += [tag for tag in code.ifilter_tags() if str(tag.tag).strip().lower() in gone]
    for node in nodes:
        try:
            code.remove(node)
        except ValueError:  # it went with what was around it
            continue
    text = str(code.strip_code(normalize=True, collapse=True))
    lines = (" ".join(line.split()) for line in EMPTY.sub("", text).split("\n"))
    return BLANK.sub("\n\n", "\n".join(lines)).strip()
