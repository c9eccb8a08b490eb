"""Fonts for names in any script, and the width of names."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from matplotlib import font_manager
from matplotlib.figure import Figure

FONT = "DejaVu Sans"  # bundled with matplotlib
SIZE = 8.5  # points: a chart's letters
PLACEHOLDERS = "Last Resort"  # a font of boxes, which claims to have all letters


def fonts_for(texts: Sequence[str]) -> tuple[list[str], str]:
    """Font families that together have every letter of these texts, and letters that no font has."""
    families = [FONT]
    missing = {letter for text in texts for letter in text} - {"\n"}
    missing -= _known(font_manager.findfont(FONT), missing)
    for entry in _fonts() if missing else ():
        try:
            known = _known(entry.fname, missing)
        except (OSError, RuntimeError):  # a font that is missing or broken
            continue
        if known and not entry.name.startswith(PLACEHOLDERS):
            families.append(entry.name)
            missing -= known
    return families, "".join(sorted(missing))


def _fonts() -> list[font_manager.FontEntry]:
    """The installed fonts, upright ones of normal weight first."""
    manager = font_manager.fontManager
    listed = {entry.fname for entry in manager.ttflist}
    for path in set(font_manager.findSystemFonts()) - listed:  # newer than matplotlib's list of them
        with suppress(OSError, RuntimeError):
            manager.addfont(path)
    return sorted(
        manager.ttflist, key=lambda e: (str(e.weight) not in ("400", "normal"), e.style != "normal", e.name)
    )


def _known(path: str, letters: set[str]) -> set[str]:
    """Those of the letters that a font has; each is checked, since a font may have tens of thousands."""
    font = font_manager.get_font(path)
    return {letter for letter in letters if font.get_char_index(ord(letter))}


@contextmanager
def without_remarks() -> Iterator[None]:
    """Context without matplotlib's log lines about substitutes for missing bold fonts."""
    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def short(figure: Figure, name: str, widest: float) -> str:
    """The name, shortened in the middle to a width in inches."""
    text, kept = name, len(name)
    while kept > 4 and (wide := width(figure, [text[:999]])) > widest:  # more letters never fit
        kept = min(kept - 1, max(4, int(1.1 * min(kept, 999) * widest / wide)))
        text = f"{name[: (kept + 1) // 2]}…{name[-(kept // 2) :]}"
    return text


def width(figure: Figure, texts: Sequence[str]) -> float:
    """Width of the longest name in inches."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    widest = 0.0
    for text in texts:
        shown = figure.text(0, 0, text, fontsize=SIZE)
        widest = max(widest, shown.get_window_extent(renderer).width / figure.dpi)
        shown.remove()
    return widest
