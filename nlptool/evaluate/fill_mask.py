"""Ask a masked language model for the words under [MASK]."""

# T tokens, M masks of all texts, V vocabulary

from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from nlptool import registry
from nlptool.errors import DataError, UsageError
from nlptool.models import heads, huggingface
from nlptool.models.config import EncoderConfig
from nlptool.text.tokenizer import Tokenizer

MASK = "[MASK]"


class Guess(NamedTuple):
    """One candidate for a masked token."""

    text: str
    probability: float


class FillMask:
    """A Hugging Face folder with an encoder, its masked-LM head and a tokenizer.

    Raises DataError when one of the three is missing.
    """

    def __init__(self, folder: Path) -> None:
        pretrained = huggingface.load_pretrained(folder)
        heads_there = {key.partition(".")[0] for key in pretrained.state}
        if not isinstance(pretrained.config, EncoderConfig) or "mlm" not in heads_there:
            raise DataError(
                f"{folder}: the model has no masked-LM head", hint="name the final/ of a pretrain-mlm run"
            )
        self.tokenizer = Tokenizer.of_model(folder, pretrained.vocab_size)
        family = registry.load("models", str(pretrained.config.model_dump()["name"]), "net")
        self.net = family.Net(pretrained.config, pretrained.vocab_size)
        self.head = heads.MaskedLM.of(self.net.config, pretrained.vocab_size)
        module = nn.ModuleDict({"backbone": self.net, "mlm": self.head})
        huggingface.load(module, pretrained.state)
        module.eval()

    @torch.inference_mode()
    def guesses(self, text: str, number: int = 5) -> list[list[Guess]]:
        """The `number` likeliest tokens under each [MASK] of a text. UsageError where there is none."""
        special = self.tokenizer.special
        pieces = text.split(MASK)
        if len(pieces) == 1:
            raise UsageError(f"no {MASK} in: {text}", hint=f"write {MASK} where a word is to be guessed")
        ids = [special["cls"]]
        for index, piece in enumerate(pieces):
            # The space before a word belongs to its token, so the one before [MASK] is what it stands for.
            ids += self.tokenizer.encode(piece.rstrip(" ") if index < len(pieces) - 1 else piece)
            ids.append(special["sep"] if index == len(pieces) - 1 else special["mask"])
        positions = self.net.config.positions
        if len(ids) > positions:
            raise UsageError(f"the text has {len(ids)} tokens, the model reads {positions}")
        ids_1T = torch.tensor([ids])
        at_1M = (ids_1T == special["mask"]).nonzero()[:, 1][None]
        logits_MV = self.head(self.net(ids_1T, at_BK=at_1M), self.net.word_embeddings)[0]
        logits_MV[:, list(special.values())] = float("-inf")
        words = logits_MV.shape[1] - len(set(special.values()))
        best = logits_MV.softmax(-1).topk(min(number, words))
        return [
            [Guess(self.tokenizer.decode([i]).strip(), p) for i, p in zip(row, shares, strict=True)]
            for row, shares in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]
