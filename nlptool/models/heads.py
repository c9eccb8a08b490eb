"""Heads on top of a model."""

# B batch, N rows (positions), D width of the encoder, E width of the embeddings, V vocabulary, C classes or numbers

from typing import Literal

import torch
from torch import Tensor, nn

from nlptool.models.config import Activation, EncoderConfig, ModelConfig
from nlptool.models.kernels.cross_entropy import (
    linear_cross_entropies,
    linear_cross_entropy,
    linear_cross_entropy_and_draw,
    linear_scores,
    linear_scores_and_draw,
)
from nlptool.models.layers import Dropout, Linear, activate, init_truncated, linear


class MaskedLM(nn.Module):
    """BERT's head of the masked LM: dense, activation, layer norm, product with the word embeddings, bias.

    The embeddings are passed in at each call, so that they are stored once, in the encoder.
    ALBERT's and ELECTRA's heads narrow from width to embedding_width.
    """

    def __init__(
        self,
        width: int,
        embedding_width: int,
        vocab_size: int,
        activation: Activation,
        *,
        init: float = 0.02,
        epsilon: float = EncoderConfig.epsilon,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.dense = Linear(width, embedding_width)
        self.norm = nn.LayerNorm(embedding_width, eps=epsilon)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        init_truncated(self, init)

    @classmethod
    def of(cls, config: EncoderConfig, vocab_size: int) -> "MaskedLM":
        """The head for an encoder."""
        return cls(config.hidden, config.embedding_width, vocab_size, config.activation, init=config.init)

    def transform(self, hidden_ND: Tensor) -> Tensor:
        """[..., E]: multiplied with the word embeddings."""
        return self.norm(activate(self.dense(hidden_ND), self.activation))  # type: ignore[no-any-return]

    def forward(self, hidden_ND: Tensor, embeddings_VE: Tensor) -> Tensor:
        """Logits [..., V]."""
        return linear(self.transform(hidden_ND), embeddings_VE, self.bias)

    def loss(self, hidden_ND: Tensor, embeddings_VE: Tensor, labels_N: Tensor) -> Tensor:
        """Cross-entropy in nats, summed over the rows whose label is not -100.

        hidden_ND: [..., D]; labels_N: [...].
        """
        return linear_cross_entropy(self.transform(hidden_ND), embeddings_VE, self.bias, labels_N)

    def loss_and_samples(
        self,
        hidden_ND: Tensor,
        embeddings_VE: Tensor,
        labels_N: Tensor,
        uniform_N: Tensor,
        temperature: float,
    ) -> tuple[Tensor, Tensor]:
        """The loss, and a token sampled for each row by a number in [0, 1), [...], from the same logits."""
        x_NE = self.transform(hidden_ND)
        given = (labels_N, uniform_N, temperature)
        return linear_cross_entropy_and_draw(x_NE, embeddings_VE, self.bias, *given)

    def scores_and_samples(
        self,
        hidden_ND: Tensor,
        embeddings_VE: Tensor,
        labels_N: Tensor,
        uniform_N: Tensor,
        temperature: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As scores, and the samples of loss_and_samples."""
        x_NE = self.transform(hidden_ND)
        given = (labels_N, uniform_N, temperature)
        return linear_scores_and_draw(x_NE, embeddings_VE, self.bias, *given)

    def scores(self, hidden_ND: Tensor, embeddings_VE: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of each row, and whether its label has the largest logit: both [...], without gradient."""
        return linear_scores(self.transform(hidden_ND), embeddings_VE, self.bias, labels_N)

    def losses(self, hidden_ND: Tensor, embeddings_VE: Tensor, labels_N: Tensor) -> Tensor:
        """Cross-entropy of each row, [...], in nats, with a gradient."""
        return linear_cross_entropies(self.transform(hidden_ND), embeddings_VE, self.bias, labels_N)


class Pooler(nn.Module):
    """tanh(Linear) of the first token's hidden state, [B, T, D] -> [B, D]."""

    def __init__(self, width: int, init: float = 0.02) -> None:
        super().__init__()
        self.dense = Linear(width, width)
        init_truncated(self, init)

    def forward(self, hidden_BTD: Tensor) -> Tensor:
        """[B, D]."""
        return torch.tanh(self.dense(hidden_BTD[:, 0]))


class SegmentPairHead(nn.Module):
    """Two classes from the pooled state: whether the second segment has label 0 or 1.

    BERT's next sentence: 0 is the next one, 1 a random one. ALBERT's sentence order: 0 in order, 1 swapped.
    """

    def __init__(self, width: int, init: float = 0.02) -> None:
        super().__init__()
        self.dense = Linear(width, 2)
        init_truncated(self, init)

    def forward(self, pooled_BD: Tensor) -> Tensor:
        """Logits [B, 2]."""
        return self.dense(pooled_BD)  # type: ignore[no-any-return]


class ReplacedTokenHead(nn.Module):
    """ELECTRA's discriminator head, which predicts whether a token was replaced: dense, GELU, dense.

    As in Google's code; the paper has one matrix only (Clark et al. 2020, section 3.1).
    """

    def __init__(self, width: int, init: float = 0.02) -> None:
        super().__init__()
        self.dense = Linear(width, width)
        self.out = Linear(width, 1)
        init_truncated(self, init)

    def forward(self, hidden_ND: Tensor) -> Tensor:
        """Logits [...] of "replaced"."""
        return self.out(activate(self.dense(hidden_ND), "gelu")).squeeze(-1)  # type: ignore[no-any-return]


class EntityHead(nn.Module):
    """ERNIE's head for denoising entities: dense, GELU, layer norm, product with each candidate's embedding.

    As in the released code; in the paper (Zhang et al. 2019, equation 6) it is one matrix. The products are not
    scaled.
    """

    def __init__(self, width: int, entity_size: int, init: float = 0.02) -> None:
        super().__init__()
        self.dense = Linear(width, entity_size)
        self.norm = nn.LayerNorm(entity_size, eps=EncoderConfig.epsilon)
        init_truncated(self, init)

    def forward(self, hidden_ND: Tensor, candidates_CW: Tensor) -> Tensor:
        """Logits [..., C]. candidates_CW: embeddings of the candidate entities."""
        return linear(self.norm(activate(self.dense(hidden_ND), "gelu")), candidates_CW, None)


class Classifier(nn.Module):
    """Class logits, or one number, from a text's pooled state or one token's state, [B, ..., D] -> [B, C].

    BERT and ALBERT: dropout and a matrix on the pooled state (Devlin et al. 2019, section 4.1). Without a pooler, a
    dense layer with its activation comes before, and dropout between the two. As in Hugging Face: GELU for ELECTRA,
    whose classifier has dropout also before the dense layer, its chooser of texts not; ReLU for DistilBERT. Google's
    ELECTRA has a single matrix, and TinyBERT's code a ReLU after the pooler's tanh, but no class of transformers would
    load these: what is exported would answer differently there. GPT-2: dropout, as on GPT's classifier (Radford et al.
    2018, section 4.1), and a matrix without a bias on the last token's state.
    """

    def __init__(
        self,
        width: int,
        outputs: int,
        dropout: float,
        *,
        dense: Literal["gelu", "relu"] | None = None,
        twice: bool = False,
        bias: bool = True,
        init: float = 0.02,
    ) -> None:
        super().__init__()
        self.activation, self.twice = dense, twice
        self.dropout = Dropout(dropout)
        self.dense = None if dense is None else Linear(width, width)
        self.out = Linear(width, outputs, bias=bias)
        init_truncated(self, init)

    @classmethod
    def of(cls, config: ModelConfig, outputs: int, dropout: float | None) -> "Classifier":
        """The classifier for a model. dropout: None for the rate of its family."""
        dropout = config.classifier_dropout if dropout is None else dropout
        dense, bias = None if config.pooled else config.dense, config.classifier_bias
        return cls(
            config.hidden,
            outputs,
            dropout,
            dense=dense,
            twice=dense == "gelu",
            bias=bias,
            init=config.init,
        )

    @classmethod
    def chooser(cls, config: EncoderConfig, dropout: float | None) -> "Classifier":
        """One logit a text for multiple choice. dropout: None for the rate of its family."""
        dropout = config.classifier_dropout if dropout is None else dropout
        dense = None if config.pooled else config.dense
        return cls(config.hidden, 1, dropout, dense=dense, init=config.init)

    def forward(self, first_BD: Tensor) -> Tensor:
        """Logits [B, C]."""
        x = self.dropout(first_BD) if self.dense is None or self.twice else first_BD
        if self.dense is not None:
            x = self.dense(x)
            x = self.dropout(torch.relu(x) if self.activation == "relu" else activate(x, "gelu"))
        return self.out(x)  # type: ignore[no-any-return]


class TokenClassificationHead(nn.Module):
    """Logits of each token: dropout and a matrix on its last hidden state, [..., D] -> [..., C].

    For tags of words, and for the start and end of an answer (Devlin et al. 2019, sections 4.2, 5.3), in all
    families as in Hugging Face. Google's ALBERT and ELECTRA predict an answer's end given its start, with further
    layers and a beam search, and answerability with another head; no class of transformers would load these.
    """

    def __init__(self, width: int, outputs: int, dropout: float, init: float = 0.02) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.out = Linear(width, outputs)
        init_truncated(self, init)

    @classmethod
    def of(cls, config: EncoderConfig, outputs: int, dropout: float | None) -> "TokenClassificationHead":
        """The head for an encoder. dropout: None for 0.1, that of Hugging Face's models."""
        return cls(config.hidden, outputs, 0.1 if dropout is None else dropout, config.init)

    def forward(self, hidden_ND: Tensor) -> Tensor:
        """Logits [..., C]."""
        return self.out(self.dropout(hidden_ND))  # type: ignore[no-any-return]
