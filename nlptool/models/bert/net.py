"""BERT's encoder (Devlin et al. 2019, section 3), without heads."""

from nlptool.models.encoder import Encoder as Net

__all__ = ["Net"]
