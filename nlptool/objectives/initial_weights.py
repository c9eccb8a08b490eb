"""The weights that a pretraining run begins with: which tokens they stand for, and under which names."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from nlptool.errors import DataError
from nlptool.models import hub, huggingface
from nlptool.models.config import ModelConfig
from nlptool.models.huggingface import Pretrained
from nlptool.objectives.base import Objective
from nlptool.text import fingerprints
from nlptool.text.imported import FINGERPRINT
from nlptool.text.tokenizer import Tokenizer

FILES = ("tokenizer.json", "vocab.txt", "vocab.json")
SIZES = ("layers", "hidden", "heads", "intermediate", "embedding_size")


def read(name: str, tokenizer: Tokenizer, store: str) -> Pretrained:
    """A pretrained net. Raises DataError where it reads other tokens than the store has.

    Its embeddings may have more rows than there are tokens, as padded ones have, where its own tokenizer lies there
    to say so.
    """
    folder = hub.folder(name)
    found = huggingface.load_pretrained(folder)
    remedy = f"make the store with its tokenizer: nlptool tokenize ... tokenizer.load={name}"
    theirs = None
    if any((folder / file).exists() for file in FILES):
        theirs = Tokenizer.of_model(folder, found.vocab_size)
    size = found.vocab_size if theirs is None else theirs.vocab_size
    if size != tokenizer.vocab_size:
        raise DataError(
            f"{name}: has a vocabulary of {size:,} tokens, {store} one of {tokenizer.vocab_size:,}",
            hint=remedy,
        )
    if theirs is None:  # what its tokens are is known by their fingerprint, or not at all
        known = huggingface.read_config(folder).get(FINGERPRINT)
        other = None if known is None or tokenizer.is_called(known) else "the fingerprint differs"
    else:
        other = fingerprints.difference(theirs, tokenizer)
    if other is not None:
        raise DataError(f"{name}: its tokenizer is not that of {store}: {other}", hint=remedy)
    return found


def rows(nets: Sequence[Pretrained | None], tokens: int) -> int:
    """Rows of the embeddings of all nets of a run: those of the pretrained one, of several the fewest."""
    return min((net.vocab_size for net in nets if net is not None), default=tokens)


def state(
    pretrained: Pretrained, start: str | None, shape: Objective, model: ModelConfig
) -> dict[str, Tensor]:
    """The weights under the objective's names, with those of nets that were exported beside, as ELECTRA's generator.

    Raises DataError where such a net has another size than the recipe asks for.
    """
    states = {"": pretrained.state}
    for name, spec in shape.folders(model).items():
        folder = hub.folder(start) / name if name and start is not None else None
        if folder is None or not (folder / huggingface.CONFIG).is_file():
            continue
        beside = huggingface.cut(huggingface.load_pretrained(folder), pretrained.vocab_size)
        theirs, ours = beside.config.model_dump(), spec.config.model_dump()
        if differing := [key for key in SIZES if theirs.get(key) != ours.get(key)]:
            differences = ", ".join(f"{key} {theirs.get(key)} and not {ours.get(key)}" for key in differing)
            raise DataError(
                f"{folder}: is not the {name} that the recipe makes: it has {differences}",
                hint=f"set the keys of objective as they were, or move {folder} away for random weights",
            )
        states[name] = beside.state
    return shape.from_folders(states)


def trained_positions(start: str | None, teacher: Path | None, config: ModelConfig) -> int:
    """How many positions the training of what a run begins with has reached: `start`, or layers of a teacher."""
    origin = teacher if start is None else hub.folder(start)
    assert origin is not None  # the recipe has one of the two
    return huggingface.trained_positions(origin, config)
