"""Fonts for names in any script: matplotlib's own, and of this machine's what that one lacks."""

from collections.abc import Sequence
from contextlib import suppress

from matplotlib import font_manager

FONT = "DejaVu Sans"  # which matplotlib brings
PLACEHOLDERS = "Last Resort"  # a font of boxes, which has all letters and shows none


def fonts_for(texts: Sequence[str]) -> tuple[list[str], str]:
    """Font families that have every letter of these texts between them, and the letters that no font has."""
    families = [FONT]
    missing = {letter for text in texts for letter in text} - {"\n"}
    missing -= _known(font_manager.findfont(FONT), missing)
    for entry in _fonts() if missing else ():
        try:
            known = _known(entry.fname, missing)
        except (OSError, RuntimeError):  # a font that is gone or broken
            continue
        if known and not entry.name.startswith(PLACEHOLDERS):
            families.append(entry.name)
            missing -= known
    return families, "".join(sorted(missing))


def _fonts() -> list[font_manager.FontEntry]:
    """The fonts of this machine, upright ones of normal weight first."""
    manager = font_manager.fontManager
    listed = {entry.fname for entry in manager.ttflist}
    for path in set(font_manager.findSystemFonts()) - listed:  # newer than matplotlib's list of them
        with suppress(OSError, RuntimeError):
            manager.addfont(path)
    return sorted(
        manager.ttflist, key=lambda e: (str(e.weight) not in ("400", "normal"), e.style != "normal", e.name)
    )


def _known(path: str, letters: set[str]) -> set[str]:
    """Those of the letters that a font can show; it is asked for each, for it may know tens of thousands."""
    font = font_manager.get_font(path)
    return {letter for letter in letters if font.get_char_index(ord(letter))}
