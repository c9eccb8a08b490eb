"""The properties of a tokenizer that training needs: sizes, special ids, word boundaries. No torch here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nlptool.errors import DataError
from nlptool.text.row_template import RowTemplate

if TYPE_CHECKING:
    from nlptool.text.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The tokens of a store.

    first_class, last_class: int8 [size]; token t begins a word iff first_class[t] differs
    from last_class of the token before it.
    """

    size: int
    special: Mapping[str, int]
    """Ids by role: "pad", "unk", "cls", "sep", "mask", and "eos" where there is one."""
    first_class: NDArray[np.int8]
    last_class: NDArray[np.int8]
    bytes: NDArray[np.int32] | None = None
    """[size], bytes of text that each token stands for, special tokens 0; None where they do not add up to it."""
    decode: Callable[[Sequence[int]], str] | None = None
    """Decodes ids as transformers' pipelines do: without special tokens."""
    padding: int = 0
    """Rows of a model's embeddings without a token, as in pretrained models with padded embeddings."""

    knows_word_boundaries: bool = True
    """Whether tokens show word boundaries; if not, every token counts as a word."""
    template: RowTemplate | None = None
    """Special tokens around the texts of a decoder's rows; None: [CLS] and [SEP], for an encoder."""

    @classmethod
    def of(cls, tokenizer: "Tokenizer") -> "Vocabulary":
        """The vocabulary of a tokenizer."""
        first, last = tokenizer.word_boundaries()
        return cls(
            tokenizer.vocab_size,
            dict(tokenizer.special),
            first,
            last,
            tokenizer.byte_counts(),
            partial(tokenizer.decode, skip_special_tokens=True),
            knows_word_boundaries=tokenizer.knows_word_boundaries,
        )

    @property
    def rows(self) -> int:
        """Rows of a model's embeddings."""
        return self.size + self.padding

    def ids(self, *roles: str) -> dict[str, int]:
        """Ids of the special tokens of these roles. Raises DataError when the tokenizer lacks one."""
        missing = [f"{role}_token" for role in roles if role not in self.special]
        if missing:
            raise DataError(
                f"the store's tokenizer names no {', '.join(missing)}, which this objective puts into its rows",
                hint="name it in the tokenizer_config.json of the tokenizer and make the store again, "
                "or train a tokenizer: nlptool tokenize ... ~tokenizer.load",
            )
        return {role: self.special[role] for role in roles}

    @cached_property
    def is_special(self) -> NDArray[np.bool_]:
        """[size], True for special tokens."""
        table = np.zeros(self.size, bool)
        table[list(self.special.values())] = True
        return table

    @cached_property
    def ordinary(self) -> NDArray[np.int32]:
        """Ids of all tokens that are not special."""
        return np.flatnonzero(~self.is_special).astype(np.int32)
