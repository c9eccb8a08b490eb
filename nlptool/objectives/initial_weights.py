"""Initial weights of a pretraining run: the vocabulary of a pretrained model, and the names of its parameters."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from nlptool.errors import DataError
from nlptool.formatting import counted
from nlptool.models import hub, huggingface
from nlptool.models.config import ModelConfig
from nlptool.models.huggingface import Pretrained
from nlptool.objectives.base import Objective
from nlptool.text import extension, tokenizer_json
from nlptool.text.imported import FINGERPRINT
from nlptool.text.tokenizer import Tokenizer

FILES = ("tokenizer.json", "vocab.txt", "vocab.json")
SIZES = ("layers", "hidden", "heads", "intermediate", "embedding_size")


def read(name: str, tokenizer: Tokenizer, store: str, *, extend: bool = False) -> Pretrained:
    """Read a pretrained model. Raises DataError where its vocabulary differs from the store's.

    Its embeddings may have more rows than tokens, as padding, if its tokenizer lies beside them. extend: the store's
    tokenizer may be an extension of its own, for whose tokens rows are added.
    """
    folder = hub.folder(name)
    found = huggingface.load_pretrained(folder)
    remedy = f"make the store with its tokenizer: nlptool tokenize ... tokenizer.load={name}"
    theirs = _tokenizer(folder, found)
    if extend and theirs is not None and (pieces := extension.pieces_of(theirs, tokenizer)) is not None:
        return resized(found, theirs.vocab_size, pieces)
    size = found.vocab_size if theirs is None else theirs.vocab_size
    if size != tokenizer.vocab_size:
        raise DataError(
            f"{name}: has a vocabulary of {size:,} tokens, {store} one of {tokenizer.vocab_size:,}",
            hint=remedy,
        )
    if theirs is None:  # its tokens are known by their fingerprint, or not at all
        known = huggingface.read_config(folder).get(FINGERPRINT)
        other = None if known is None or tokenizer.is_called(known) else "the fingerprint differs"
    else:
        other = tokenizer_json.difference(theirs, tokenizer)
    if other is not None:
        raise DataError(f"{name}: its tokenizer is not that of {store}: {other}", hint=remedy)
    return found


def _tokenizer(folder: Path, model: Pretrained) -> Tokenizer | None:
    """The tokenizer of a model folder, if it has one."""
    there = any((folder / file).exists() for file in FILES)
    return Tokenizer.of_model(folder, model.vocab_size) if there else None


def remarks(start: str | None, tokenizer: Tokenizer) -> list[str]:
    """A note on rows added to the embeddings of a pretrained model."""
    folder = None if start is None else hub.folder(start)
    if folder is None or not any((folder / file).exists() for file in FILES):
        return []
    theirs = Tokenizer.of_model(folder, huggingface.read_config(folder)["vocab_size"])
    pieces = extension.pieces_of(theirs, tokenizer)
    if pieces is None:
        return []
    unknown = sum(not old for old in pieces.values())
    note = f"{start}: {counted(len(pieces), 'tokens')} added, whose embeddings begin as means of their old pieces"
    return [note + (f"; {unknown:,} had none and begin as the mean of all" if unknown else "")]


def resized(model: Pretrained, tokens: int, pieces: Mapping[int, Sequence[int]]) -> Pretrained:
    """The model with a row for each added token, the mean of the rows of its old pieces.

    A token without old pieces gets the mean of all rows (Hewitt 2021), so that it is about as likely as any other,
    and takes little probability from them. tokens: rows that are kept; padding is removed. pieces: old ids by new
    id, following `tokens`.
    """

    def longer(tensor: Tensor) -> Tensor:
        kept = tensor[:tokens]
        means = [kept[list(pieces[new])].mean(0) if pieces[new] else kept.mean(0) for new in sorted(pieces)]
        return torch.cat([kept, torch.stack(means)])

    state = {
        key: longer(tensor) if key in huggingface.ROWS else tensor for key, tensor in model.state.items()
    }
    return model._replace(vocab_size=tokens + len(pieces), state=state)


def rows(models: Sequence[Pretrained | None], tokens: int) -> int:
    """Rows of the embeddings of all models of a run: those of the pretrained one, of several the smallest number."""
    return min((model.vocab_size for model in models if model is not None), default=tokens)


def state(
    pretrained: Pretrained, start: str | None, shape: Objective, model: ModelConfig, tokenizer: Tokenizer
) -> dict[str, Tensor]:
    """The weights under the objective's names, with those of further exported models, such as ELECTRA's generator.

    Raises DataError where such a model differs in size from the recipe's.
    """
    states = {"": pretrained.state}
    for name, spec in shape.folders(model).items():
        folder = hub.folder(start) / name if name and start is not None else None
        if folder is None or not (folder / huggingface.CONFIG).is_file():
            continue
        beside = huggingface.load_pretrained(folder)
        theirs_too = _tokenizer(folder, beside)
        if theirs_too is not None and (pieces := extension.pieces_of(theirs_too, tokenizer)) is not None:
            beside = resized(beside, theirs_too.vocab_size, pieces)
        beside = huggingface.cut(beside, pretrained.vocab_size)
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
    """Number of positions that training has reached in the initial model: `start`, or the teacher."""
    origin = teacher if start is None else hub.folder(start)
    assert origin is not None  # the recipe has one of the two
    return huggingface.trained_positions(origin, config)
