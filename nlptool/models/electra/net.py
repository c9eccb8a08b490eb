"""ELECTRA's encoder (Clark et al. 2020, section 3.3), without heads.

BERT's, but a matrix projects the embeddings to the width of the layers where the two differ.
"""

from nlptool.models.encoder import Encoder as Net

__all__ = ["Net"]
