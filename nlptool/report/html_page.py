"""The base of all pages: one file that loads nothing, light or dark as the reader's system."""

import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template

from nlptool.atomic_files import read_text
from nlptool.terminal import clean

HEAD = Path(__file__).with_name("page_head.html")
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
SCRIPT = "; script-src 'unsafe-inline'"
UNITS = r"(?:%|±|\+-|[kMGTPEZ]?(?:B|FLOP)s?(?:/s)?\b|nats?\b|bits?\b|(?:ms|s|min|h)\b)"
WITHIN = re.compile(rf"(?<=\d) (?={UNITS})|(?<=±) (?=[\d+-])|(?<=\+-) (?=\d)")
NO_BREAK = "\u00a0"


def html_text(text: str) -> str:
    """Text from outside as HTML: no markup, and no character that a terminal would obey."""
    return escape(clean(text))


def unbroken(text: str) -> str:
    """Text, or HTML without attributes, of which no line ends within a figure: `15 %`, `6.62 ± 0.14`, `1.2 GB`."""
    return WITHIN.sub(NO_BREAK, text)


def prose(text: str) -> str:
    """What a page says itself, as HTML; texts that it only shows keep the spaces that they have."""
    return unbroken(html_text(text))


def filled(template: Path, title: str, parts: Mapping[str, str], *, width: int, script: bool = False) -> str:
    """A page. template: what follows the shared beginning of its style sheet, with $name for each of `parts`.

    title: any text; parts: HTML, beside `title`. width: of the page at most, in rem. script: whether scripts of the
    page's own run.
    """
    policy, name = POLICY + SCRIPT if script else POLICY, html_text(title)
    head = Template(read_text(HEAD)).substitute(title=name, policy=policy, width=width)
    return head + Template(read_text(template)).substitute({"title": name, **parts})
