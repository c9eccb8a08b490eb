"""The model that a student learns from."""

from torch import nn

from nlptool.models import heads
from nlptool.models.base import Decoder, Encoder
from nlptool.models.config import EncoderConfig, ModelConfig


class Teacher(nn.Module):
    """A language model that never changes: no gradient, and no dropout, as it never trains.

    TinyBERT's scripts leave their teacher's dropout on, without a word in the paper; here it is off.
    """

    backbone: Encoder | Decoder
    mlm: heads.MaskedLM | None

    def __init__(self, model: ModelConfig, vocab_size: int, *, guesses: bool) -> None:
        """guesses: whether its logits of masked tokens are needed, and so its head."""
        super().__init__()
        self.config = model
        self.backbone = model.build(vocab_size)
        self.mlm = (
            heads.MaskedLM.of(model, vocab_size) if guesses and isinstance(model, EncoderConfig) else None
        )
        self.requires_grad_(False).eval()
