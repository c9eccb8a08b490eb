"""Decoding of web pages, and checks that a page is safe to hand to an extractor.

Tags with very many attributes and very deep nesting keep extractors busy for minutes, in C code that no signal
interrupts; so both are measured first, in time linear in the page.
"""

import codecs
import re

import numpy as np

META = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.IGNORECASE)
HEAD = 4096  # bytes in which a page declares its encoding
# Encodings that browsers use for these labels (WHATWG Encoding Standard, section 4.2).
READ_AS = {
    "euc-kr": "cp949",
    "euc_kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "iso-8859-9": "cp1254",
}
SINGLE_BYTE = "cp125"
MAX_BROKEN = 0.005  # largest share of invalid characters in a page of UTF-8
VOID = frozenset(
    (
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    )
)  # tags without an end tag
TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def decoded(body: bytes, charset: str | None = None) -> str:
    """Decode a page.

    In this order: byte order mark, charset of the HTTP header, charset of the page's meta tag, UTF-8, CP949 if the
    result is Hangul, UTF-8 with a few invalid characters, Windows-1252. A declared encoding that does not decode the
    bytes is skipped, and so is a single-byte one, which decodes anything, where the bytes are valid UTF-8.
    """
    for mark, name in BOMS:
        if body.startswith(mark):
            return body.decode(name, "replace")
    meta = META.search(body, 0, HEAD)
    declared = [charset, meta[1].decode("ascii") if meta else None]
    codec_names = [name for name in map(_codec, declared) if name is not None]
    single = [name for name in codec_names if name.startswith(SINGLE_BYTE)]
    for name in codec_names:
        if name not in single and (text := _strict(body, name)) is not None:
            return text
    if (text := _strict(body, "utf-8")) is not None:
        return text
    if single:
        return body.decode(single[0], "replace")
    korean = _strict(body, "cp949")
    if korean is not None and any("\uac00" <= character <= "\ud7a3" for character in korean):
        return korean
    text = body.decode("utf-8", "replace")
    return text if text.count("\ufffd") <= MAX_BROKEN * len(text) else body.decode("cp1252", "replace")


def _codec(label: str | None) -> str | None:
    """The name of Python's codec for a label; None if it is not a text encoding."""
    if not label:
        return None
    name = READ_AS.get(label.strip().strip("\"'").lower(), label.strip())
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    return found.name if getattr(found, "_is_text_encoding", True) else None


def _strict(body: bytes, name: str) -> str | None:
    try:
        return body.decode(name)
    except (UnicodeError, ValueError):
        return None


def nesting(html: str, enough: int) -> int:
    """Largest number of tags open at a time; an upper bound of it where it is at most `enough`."""
    data = np.frombuffer(html.encode("utf8", "replace") + b"  ", np.uint8)
    starts = np.flatnonzero(data[:-1] == ord("<"))
    behind = data[starts + 1]
    letter = ((behind | 32) >= ord("a")) & ((behind | 32) <= ord("z"))
    open_tags = np.cumsum(letter.astype(np.int64) - (behind == ord("/")))
    bound = int((open_tags - np.minimum.accumulate(np.minimum(open_tags, 0))).max(initial=0))
    if bound <= enough:
        return bound
    depth = deepest = 0
    for end, name in TAG.findall(html):
        if name.lower() in VOID:
            continue
        depth = max(depth - 1, 0) if end else depth + 1
        deepest = max(deepest, depth)
    return deepest


def attributes(html: str, enough: int) -> int:
    """Largest number of attributes of one tag; may be 0 where it is at most `enough`."""
    data = np.frombuffer(html.encode("utf-32-le", "replace"), np.uint32)
    starts, ends = np.flatnonzero(data == ord("<")), np.flatnonzero(data == ord(">"))
    places = np.searchsorted(ends, starts)
    closed = np.append(ends, len(data))[places]
    most = 0
    last = -1
    for start, end in zip(starts.tolist(), closed.tolist(), strict=True):
        if end - start > 2 * enough and end != last and html[start + 1 : start + 2].isalpha():
            most = max(most, len(QUOTED.sub("''", html[start:end]).split()) - 1)
            last = end
    return most
