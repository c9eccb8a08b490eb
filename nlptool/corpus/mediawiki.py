"""Articles of a wiki dump, such as Wikipedia's pages-articles.xml.bz2, and their text without markup.

mwparserfromhell parses the wikitext. Templates are removed, since nothing expands them, except those that wrap words
of a sentence; so are files, categories, references, empty sections and, if requested, tables. Redirects and pages in
other namespaces are counted.
"""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from nlptool.extras import required
from nlptool.text.corpus import Document, ReadStats
from nlptool.text.readers import LONGEST, opened
from nlptool.text.sources import File

FILES, CATEGORIES = "6", "14"  # namespaces of articles
LEFT_OUT = re.compile(r"\s*(?:file|image|category|media|[a-z]{2,3}(?:-[a-z]+)*)\s*:", re.IGNORECASE)
"""Links to files and categories, and to the same article in other languages."""
INVISIBLE = ("ref", "references", "gallery", "math", "syntaxhighlight", "timeline", "score", "style")
AROUND = ("lang", "nobr", "nowrap", "small", "transl", "transliteration")
"""Templates whose last argument is part of a sentence."""
QUANTITIES, RANGE = ("convert", "cvt"), ("to", "and", "or", "by", "x", "-", "–", "+/-")  # noqa: RUF001
NUMBER = re.compile(r"[-+−]?[\d.,/]+")  # noqa: RUF001
SWITCH = re.compile(r"__[^\W\d_a-z]{3,}__")
"""Behaviour switches: __NOTOC__, __목차없음__."""
EMPTY = re.compile(r" ?[(（][\s,;:、，]*[)）]")  # noqa: RUF001
"""Brackets that are empty without their template."""
LOOSE = re.compile(r"(?<=[(（])[\s,;、，]+|[\s,;、，]+(?=[)）])")  # noqa: RUF001
"""Punctuation beside a template within brackets."""
HEADING = "\x01"
"""Marks a heading, once for each level; it does not occur in XML."""
BLANK = re.compile(r"\n{3,}")
PER_CENT = {ord(sign): f"%{ord(sign):02X}" for sign in '"%&?+<>\\^`{}|'}


def articles(file: File, tally: ReadStats, start: int) -> Iterator[Document]:
    """The articles of a dump as wikitext. start: bytes read before. Raises OSError where it is not a whole dump."""
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
    """Prefixes of links to files and categories in the wiki's language."""
    own = [name for name in names if name not in ("file", "category")]
    if not own:
        return None
    return re.compile(rf"\[\[\s*({'|'.join(map(re.escape, own))})\s*:", re.IGNORECASE)


def _named(found: re.Match[str], names: dict[str, str]) -> str:
    return f"[[{names.get(found[1].casefold(), 'File')}:"


def _article(page: ElementTree.Element, tally: ReadStats, base: str, place: str) -> Document | None:
    """A page; None, and counted, if it is not an article."""
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
    parser = required("mwparserfromhell", "extract", "corpus")
    code = parser.parse(wikitext, skip_style_tags=False)
    nodes = [link for link in code.ifilter_wikilinks() if LEFT_OUT.match(str(link.title))]
    gone = INVISIBLE if tables else (*INVISIBLE, "table")
    nodes += [tag for tag in code.ifilter_tags() if str(tag.tag).strip().lower() in gone]
    for node in nodes:
        try:
            code.remove(node)
        except ValueError:  # removed together with what it was in
            continue
    for template in reversed(code.filter_templates()):
        if words := _words(template):
            code.replace(template, words)
    for heading in code.ifilter_headings():
        heading.title = HEADING * heading.level + str(heading.title).strip()
    text = SWITCH.sub("", str(code.strip_code(normalize=True, collapse=True)))
    text = LOOSE.sub("", EMPTY.sub("", text))
    lines = _with_content([" ".join(line.split()) for line in text.split("\n")])
    return BLANK.sub("\n\n", "\n".join(lines)).strip()


def _words(template: Any) -> str:
    """The words that a template shows in a sentence; empty for other templates."""
    name = str(template.name).strip().lower()
    if name not in (*AROUND, *QUANTITIES):
        return ""
    given = [str(parameter.value).strip() for parameter in template.params if not parameter.showkey]
    if name in AROUND:
        return given[-1] if given else ""
    unit = next((at for at, one in enumerate(given) if one not in RANGE and not NUMBER.fullmatch(one)), 0)
    return " ".join(given[: unit + 1])


def _with_content(lines: list[str]) -> list[str]:
    """Lines without heading marks, and without headings of empty sections."""
    found: list[str] = []
    following = 1  # level of the next heading; 0: text comes before it
    for line in reversed(lines):
        title = line.lstrip(HEADING)
        level = len(line) - len(title)
        if level and level >= following > 0:
            continue
        if level or title:
            following = level
        found.append(title)
    return found[::-1]
