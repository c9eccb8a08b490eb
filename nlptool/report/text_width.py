"""How wide a text of a chart is, and as much of a name as there is room for."""

from collections.abc import Sequence

from matplotlib.figure import Figure

SIZE = 8.5  # points: a chart's letters


def short(figure: Figure, name: str, widest: float) -> str:
    """The name, or as much of both its ends as there is room for in so many inches."""
    text, kept = name, len(name)
    while kept > 4 and (wide := width(figure, [text[:999]])) > widest:  # more letters fit nowhere
        kept = min(kept - 1, max(4, int(1.1 * min(kept, 999) * widest / wide)))
        text = f"{name[: (kept + 1) // 2]}…{name[-(kept // 2) :]}"
    return text


def width(figure: Figure, texts: Sequence[str]) -> float:
    """Inches that the longest of these takes."""
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    widest = 0.0
    for text in texts:
        shown = figure.text(0, 0, text, fontsize=SIZE)
        widest = max(widest, shown.get_window_extent(renderer).width / figure.dpi)
        shown.remove()
    return widest
