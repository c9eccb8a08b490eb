"""The copy gate of all-tokens MLM: every token is predicted, and the input token may be copied."""

# N tokens, C of one chunk, D width, E width of the embeddings, V vocabulary

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool.models.heads import MaskedLM
from nlptool.models.kernels.cross_entropy import chunk_rows
from nlptool.models.layers import Linear


class CopyGate(nn.Module):
    """p(token) = D [token is the input] + (1 - D) softmax(token), with D = sigmoid(w h).

    Clark et al. 2020, section 3.5, with a bias, which the paper does not mention. Weights are initialised to 0, so D
    is one half at first.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = Linear(width, 1)
        nn.init.zeros_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def losses(self, hidden_ND: Tensor, losses_N: Tensor, copied_N: Tensor) -> Tensor:
        """-log p(original token) of each.

        losses_N: -log softmax(original token); copied_N: bool, True where the original token is the input.
        """
        gate_N = self.dense(hidden_ND).squeeze(-1).to(losses_N.dtype)
        predicted_N = F.logsigmoid(-gate_N) - losses_N
        either_N = torch.logaddexp(F.logsigmoid(gate_N), predicted_N)
        return -torch.where(copied_N, either_N, predicted_N)

    @torch.no_grad()
    def scores(
        self, head: MaskedLM, embeddings_VE: Tensor, hidden_ND: Tensor, labels_N: Tensor, shown_N: Tensor
    ) -> tuple[Tensor, Tensor]:
        """-log p(label) of each token, and whether the label is the most probable one: both [N]."""
        losses_N, correct_N = (torch.empty_like(labels_N, dtype=t) for t in (torch.float32, torch.bool))
        rows = chunk_rows(embeddings_VE)
        for begin in range(0, len(labels_N), rows):
            chunk = slice(begin, begin + rows)
            logits_CV = head(hidden_ND[chunk], embeddings_VE).float()
            gate_C1 = torch.sigmoid(self.dense(hidden_ND[chunk]).float())
            p_CV = ((1 - gate_C1) * logits_CV.softmax(-1)).scatter_add(1, shown_N[chunk, None], gate_C1)
            losses_N[chunk] = -p_CV.gather(1, labels_N[chunk, None])[:, 0].log()
            correct_N[chunk] = p_CV.argmax(-1) == labels_N[chunk]
        return losses_N, correct_N
