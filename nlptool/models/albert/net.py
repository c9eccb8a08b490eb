"""ALBERT's encoder (Lan et al. 2020, section 3.1), without heads.

BERT's, but its Config asks for a matrix between embeddings and layers and for fewer sub-layers than layers.
"""

from nlptool.models.encoder import Encoder as Net

__all__ = ["Net"]
