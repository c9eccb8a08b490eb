"""`nlptool fill-mask MODEL TEXT ...`: the most probable tokens for [MASK]."""

from collections.abc import Sequence

from nlptool.console import Console
from nlptool.formatting import percent
from nlptool.models import hub


def run(model: str, texts: Sequence[str], number: int, *, as_json: bool, console: Console) -> None:
    """Show the `number` most probable tokens for each [MASK] of each text."""
    from nlptool.evaluation.fill_mask import FillMask

    filler = FillMask(hub.folder(model))
    found = [(text, words) for text in texts for words in filler.predictions(text, number)]
    if as_json:
        console.json(
            [{"text": text, "predictions": [one._asdict() for one in words]} for text, words in found]
        )
        return
    rows = [
        (text, "  ".join(f"{one.text} {percent(one.probability, 0)}" for one in words))
        for text, words in found
    ]
    console.table(("text", "most probable words"), rows)
