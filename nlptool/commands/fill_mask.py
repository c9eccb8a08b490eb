"""`nlptool fill-mask MODEL TEXT ...`: the likeliest words under [MASK]."""

from collections.abc import Sequence
from pathlib import Path

from nlptool.console import Console
from nlptool.errors import UsageError


def run(model: Path, texts: Sequence[str], number: int, *, as_json: bool, console: Console) -> None:
    """Show the `number` likeliest tokens under each [MASK] of each text."""
    if not (model / "config.json").exists():
        raise UsageError(f"{model}: no Hugging Face folder", hint="name the final/ of a pretrain run")
    from nlptool.evaluate.fill_mask import FillMask

    filler = FillMask(model)
    found = [(text, guesses) for text in texts for guesses in filler.guesses(text, number)]
    if as_json:
        console.json([{"text": text, "guesses": [g._asdict() for g in guesses]} for text, guesses in found])
        return
    rows = [(text, "  ".join(f"{g.text} {g.probability:.0%}" for g in guesses)) for text, guesses in found]
    console.table(("text", "likeliest words"), rows)
