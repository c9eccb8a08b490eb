"""DistilBERT's encoder (Sanh et al. 2019, section 3), without heads."""

from nlptool.models.distilbert.config import Config
from nlptool.models.encoder import Encoder
from nlptool.models.layers import Attention


class Net(Encoder):
    """BERT's encoder, but no dropout between an attention's last matrix and its residual."""

    def __init__(self, config: Config, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        for part in self.modules():
            if isinstance(part, Attention):
                part.dropout.rate = 0.0
