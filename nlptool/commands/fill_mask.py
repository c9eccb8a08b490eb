"""`nlptool fill-mask MODEL TEXT ...`: the most probable words under [MASK]."""

from collections.abc import Sequence

from nlptool.console import Console
from nlptool.formatting import percent
from nlptool.models import hub


def run(model: str, texts: Sequence[str], number: int, *, as_json: bool, console: Console) -> None:
    """Show the `number` most probable tokens under each [MASK] of each text."""
    from nlptool.evaluation.fill_mask import FillMask

    filler = FillMask(hub.folder(model))
    found = [(text, guesses) for text in texts for guesses in filler.guesses(text, number)]
    if as_json:
        console.json([{"text": text, "guesses": [g._asdict() for g in guesses]} for text, guesses in found])
        return
    rows = [
        (text, "  ".join(f"{g.text} {percent(g.probability, 0)}" for g in guesses)) for text, guesses in found
    ]
    console.table(("text", "most probable words"), rows)
