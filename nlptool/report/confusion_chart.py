"""A chart of a confusion matrix: labels downward, predictions to the right, rows normalised to shares."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from nlptool.atomic_files import write_bytes, write_text
from nlptool.extras import install

CELL, LETTER, MOST_NUMBERS = 0.55, 0.08, 14  # inches of a class and of a letter; classes whose numbers fit


def draw(classes: Sequence[str], counts: Sequence[Sequence[int]], out: Path, name: str) -> list[str]:
    """Write OUT/NAME.svg and .png; returns notes."""
    if find_spec("matplotlib") is None:
        return [f"no picture: matplotlib is not installed; {install('report')}"]
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from rich.cells import cell_len

    from nlptool.report import drawing

    look = drawing.Style.of(classes)
    table = np.asarray(counts, float)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    left = 0.45 + LETTER * max(map(cell_len, look.names))
    inside, top = CELL * len(classes), 0.1 + 0.75 * left
    width, height = left + inside + 0.75 * left, top + inside + 0.35
    with drawing.styled(look):
        figure = Figure(figsize=(width, height), facecolor="none")
        FigureCanvasAgg(figure)
        plot = figure.add_axes((left / width, 0.35 / height, inside / width, inside / height))
        plot.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        places = range(len(classes))
        plot.set_xticks(places, look.names, rotation=45, ha="left", rotation_mode="anchor")
        plot.set_yticks(places, look.names)
        plot.xaxis.tick_top()
        plot.tick_params(length=0, colors=drawing.MUTED)
        plot.set_xlabel("prediction", color=drawing.MUTED)
        plot.set_ylabel("label", color=drawing.MUTED)
        plot.spines[:].set_visible(False)
        if len(classes) <= MOST_NUMBERS:
            for row in places:
                for column in places:
                    ink = "white" if shares[row, column] > 0.6 else drawing.INK
                    plot.text(column, row, f"{counts[row][column]:,}", ha="center", va="center", color=ink)
    write_text(out / f"{name}.svg", drawing.svg(figure, look, letters=False))
    write_bytes(out / f"{name}.png", drawing.png(figure, look))
    return [look.remark] if look.remark else []
