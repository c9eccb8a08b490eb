"""A small objective with two loss terms and dropout, and numbered batches for it."""

import torch
from torch import Tensor, nn

from nlptool.data.batches import Batch
from nlptool.train.config import Optimizer
from nlptool.train.distributed import DistributedContext
from nlptool.train.optim import Adam
from nlptool.train.trainer import State

ALONE = DistributedContext(0, 1, torch.device("cpu"))


class Toy(nn.Module):
    """`fit`: squared error summed over rows; `sign`: a second term with another count."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.weights = {"fit": 1.0, "sign": 0.5}
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(dropout), nn.Linear(8, 1))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        out = self.model(batch["x"]).squeeze(1)
        marked = out[batch["marked"]]
        return {"fit": (out - batch["y"]).square().sum(), "sign": marked.sigmoid().sum()}

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        return self(batch)

    def summary(self, totals: dict[str, Tensor], counts: dict[str, int]) -> dict[str, float]:
        return {term: totals[term].item() / counts[term] for term in self.weights}


class Source:
    """Step n has 8 rows, the same in one piece or in several."""

    def __init__(self, pieces: int = 1, dtype: torch.dtype = torch.float32, bad: int | None = None) -> None:
        self.pieces, self.dtype, self.bad = pieces, dtype, bad

    def get(self, n: int) -> list[Batch]:
        generator = torch.Generator().manual_seed(n)
        x = torch.randn(8, 4, generator=generator, dtype=torch.float64).to(self.dtype)
        y = x.sum(1) * (float("nan") if n == self.bad else 1)
        marked = torch.arange(8) < 3
        parts = zip(x.chunk(self.pieces), y.chunk(self.pieces), marked.chunk(self.pieces), strict=True)
        return [
            Batch({"x": a, "y": b, "marked": m}, {"fit": len(a), "sign": int(m.sum())}, tokens=len(a))
            for a, b, m in parts
        ]


def make(dropout: float = 0.0, dtype: torch.dtype = torch.float32) -> State:
    module = Toy(dropout).to(dtype)
    return State(module, Adam(module, Optimizer()))
