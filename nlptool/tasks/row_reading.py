"""The tokenizer, vocabulary and special tokens with which a pretrained model reads the rows of a task.

An encoder reads [CLS] A [SEP] B [SEP]. A decoder's rows are those of GPT (Radford et al. 2018, section 3.3): a start
token, the text, and an extract token, whose state is classified, since it alone has seen the whole text; a delimiter
between two texts. GPT adds new tokens for the three. Here all three are the end-of-text token, <|endoftext|> in GPT-2,
as texts begin and end with it in pretraining: no input is new to the model, and the published GPT-2 can be fine-tuned
without further tokens. The tokenizer in final/ adds it, so that transformers reads the same rows.

A decoder that is fine-tuned already keeps the special tokens that its own tokenizer adds: none, where transformers'
Trainer made it.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from nlptool.data.vocabulary import Vocabulary
from nlptool.errors import DataError
from nlptool.models import huggingface
from nlptool.models.huggingface import Pretrained
from nlptool.tasks.config import TaskConfig
from nlptool.text.row_template import RowTemplate, for_decoder
from nlptool.text.tokenizer import Tokenizer

TOKENS = "backbone.embeddings.tokens.weight"
HEAD = "classifier"


class RowReading(NamedTuple):
    """A model with the tokenizer for its rows."""

    pretrained: Pretrained
    tokenizer: Tokenizer
    vocabulary: Vocabulary


def row_reading(folder: Path, pretrained: Pretrained, task: TaskConfig) -> RowReading:
    """How the model of a folder reads a task's rows. A decoder without a padding token gets one, with an embedding.

    Raises DataError for a tokenizer that is not the model's, and for a decoder without an end-of-text token.
    """
    tokenizer = Tokenizer.of_model(folder, pretrained.vocab_size)
    template = None
    if pretrained.config.kind == "decoder" and task.frames_texts:
        end = tokenizer.special.get("eos", tokenizer.special.get("sep"))
        if end is None:
            raise DataError(
                f"{folder}: the tokenizer has no token that ends a text (eos_token)",
                hint="name it in tokenizer_config.json, if the model was trained with one",
            )
        if HEAD in pretrained.heads:
            tokenizer = _with_pad(tokenizer, huggingface.read_config(folder).get("pad_token_id"), end)
        else:
            tokenizer = for_decoder(tokenizer, end)
            pretrained = _with_row(pretrained, tokenizer.vocab_size)
        # transformers classifies the last token that is not padding, whatever the tokenizer adds after it.
        template = RowTemplate.read(tokenizer.content).without_end(tokenizer.special["pad"])
    padding = pretrained.vocab_size - tokenizer.vocab_size
    vocabulary = replace(Vocabulary.of(tokenizer), padding=padding, template=template)
    return RowReading(pretrained, tokenizer, vocabulary)


def _with_pad(tokenizer: Tokenizer, known: object, end: int) -> Tokenizer:
    """The tokenizer with the padding token of config.json, else its own, else the end of text. known: its id."""
    pad = known if isinstance(known, int) and known in tokenizer.tokens else tokenizer.special.get("pad", end)
    special = {role: tokenizer.tokens[number] for role, number in tokenizer.special.items()}
    return Tokenizer(tokenizer.content, special | {"pad": tokenizer.tokens[pad]}, tokenizer.max_length)


def _with_row(pretrained: Pretrained, rows: int) -> Pretrained:
    """The model with at least so many embeddings; those added are zero, for padding, which no token attends to."""
    missing = rows - pretrained.vocab_size
    if missing <= 0:
        return pretrained
    words_VD = pretrained.state[TOKENS]
    state = {
        **pretrained.state,
        TOKENS: torch.cat([words_VD, words_VD.new_zeros(missing, words_VD.shape[1])]),
    }
    return pretrained._replace(vocab_size=rows, state=state)
