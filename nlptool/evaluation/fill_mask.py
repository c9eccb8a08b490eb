"""Predictions of a masked language model for [MASK] tokens."""

# T tokens, M masks of all texts, V vocabulary

from pathlib import Path
from typing import NamedTuple

import torch

from nlptool.errors import DataError, UsageError
from nlptool.models import heads, huggingface
from nlptool.models.base import Inputs
from nlptool.models.open_pretrained import open_encoder
from nlptool.text.tokenizer import Tokenizer

MASK = "[MASK]"


class Prediction(NamedTuple):
    """One candidate for a masked token."""

    text: str
    probability: float


class FillMask:
    """A Hugging Face folder with an encoder, its masked-LM head and a tokenizer.

    Raises DataError when one of the three is missing, or the tokenizer has no mask token.
    """

    def __init__(self, folder: Path) -> None:
        pretrained = huggingface.load_pretrained(folder)
        if "mlm" not in pretrained.heads:
            beside = folder / "generator"  # the masked-LM head of ELECTRA's generator
            there = (beside / huggingface.CONFIG).is_file()
            raise DataError(
                f"{folder}: the model has no masked-LM head",
                hint=f"{beside} has one" if there else "name the final/ of a pretrain-mlm run",
            )
        self.tokenizer = Tokenizer.of_model(folder, pretrained.vocab_size)
        self.special = self.tokenizer.ids_of("cls", "sep", "mask", where=str(folder))
        self.head = heads.MaskedLM.of(pretrained.encoder_config, pretrained.vocab_size)
        self.model = open_encoder(pretrained, {"mlm": self.head})

    @torch.inference_mode()
    def predictions(self, text: str, number: int = 5) -> list[list[Prediction]]:
        """The `number` most probable tokens at each mask of a text, as transformers' fill-mask gives them.

        Probabilities are over all rows of the embeddings, special tokens too. The text may contain [MASK] or the
        tokenizer's own mask token. UsageError where there is none.
        """
        mask = self.tokenizer.tokens[self.special["mask"]]
        ids = self.tokenizer.encode_masked(text.replace(MASK, mask))
        if self.special["mask"] not in ids:
            raise UsageError(f"no {MASK} in: {text}", hint=f"write {MASK} in place of the word to predict")
        ids = [self.special["cls"], *ids, self.special["sep"]]
        positions = self.model.config.max_positions
        if len(ids) > positions:
            raise UsageError(
                f"the text has {len(ids)} tokens, the model reads {positions}", hint="shorten it"
            )
        ids_1T = torch.tensor([ids])
        at_1M = (ids_1T == self.special["mask"]).nonzero()[:, 1][None]
        hidden_1MD = self.model(Inputs(ids=ids_1T, output_positions=at_1M))
        shares_MV = self.head(hidden_1MD, self.model.word_embeddings)[0].softmax(-1)
        best = shares_MV.topk(min(number, shares_MV.shape[1]))
        return [
            [Prediction(self.tokenizer.decode([i]).strip(), p) for i, p in zip(row, shares, strict=True)]
            for row, shares in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]
