"""What all pages have in common: one file that loads nothing, light or dark as the reader's screen."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template

from nlptool.atomic_files import read_text
from nlptool.terminal import clean

HEAD = Path(__file__).with_name("page_head.html")
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
SCRIPT = "; script-src 'unsafe-inline'"


def html_text(text: str) -> str:
    """Text from outside as HTML: no markup, and no character that a terminal would obey."""
    return escape(clean(text))


def filled(template: Path, title: str, parts: Mapping[str, str], *, width: int, script: bool = False) -> str:
    """A page. template: what follows the shared beginning of its style sheet, with $name for each of `parts`.

    title: any text; parts: HTML, beside `title`. width: of the page at most, in rem. script: whether scripts of the
    page's own run.
    """
    policy, name = POLICY + SCRIPT if script else POLICY, html_text(title)
    head = Template(read_text(HEAD)).substitute(title=name, policy=policy, width=width)
    return head + Template(read_text(template)).substitute({"title": name, **parts})
