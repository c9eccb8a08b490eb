"""AdamW over the fused kernel, with the published variants."""

import torch
from torch import Tensor, nn

from nlptool.train.config import Optimizer

# 1 - beta^t is exactly 1 from here on: a step counter that starts this high turns bias correction off.
NEVER_CORRECTED = 1e9


class AdamW:
    """AdamW (Loshchilov & Hutter 2019, algorithm 2), decay scaled by the learning rate.

    Matrices and embeddings decay; vectors (biases, layer norms) do not, as in every system here
    (google-research/bert optimization.py excludes "LayerNorm|layer_norm|bias").
    Calls the fused kernel itself: torch.optim would import the compiler, two seconds at every start.
    Gradients may be scaled inside the kernel, and one flag skips the update, so clipping and the guard
    against non-finite gradients cost no pass over memory.
    """

    def __init__(self, module: nn.Module, config: Optimizer) -> None:
        self.config = config
        self.named = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.first = {name: torch.zeros_like(p) for name, p in self.named.items()}
        self.second = {name: torch.zeros_like(p) for name, p in self.named.items()}
        device = next(iter(self.named.values())).device
        self.count = torch.tensor(0.0 if config.bias_correction else NEVER_CORRECTED, device=device)

    @torch.no_grad()
    def step(self, lr: float, scale: Tensor, skip: Tensor) -> None:
        """One update. Gradients are divided by `scale` [] first; nothing changes where `skip` [] is true."""
        for decays in (True, False):
            names = [name for name, p in self.named.items() if (p.ndim > 1) == decays and p.grad is not None]
            if not names:
                continue
            parameters: list[Tensor] = [self.named[name] for name in names]
            torch._fused_adamw_(
                parameters,
                [p.grad for p in parameters if p.grad is not None],
                [self.first[name] for name in names],
                [self.second[name] for name in names],
                [],
                [self.count + 1] * len(names),
                lr=lr,
                beta1=self.config.betas[0],
                beta2=self.config.betas[1],
                weight_decay=self.config.weight_decay if decays else 0.0,
                eps=self.config.eps,
                amsgrad=False,
                maximize=False,
                grad_scale=scale.float(),
                found_inf=skip.float(),
            )
        self.count += 1 - skip.float()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p in self.named.values():
            p.grad = None

    def gradients(self) -> list[Tensor]:
        """All gradients that the last backward pass left."""
        return [p.grad for p in self.named.values() if p.grad is not None]

    def state_dict(self) -> dict[str, Tensor]:
        """All there is to save, by name."""
        moments = {"first": self.first, "second": self.second}
        state = {f"{kind}.{name}": t for kind, tensors in moments.items() for name, t in tensors.items()}
        return state | {"count": self.count}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up a saved state. Raises KeyError for a missing tensor, RuntimeError for a wrong shape."""
        with torch.no_grad():
            for name, tensor in self.state_dict().items():
                tensor.copy_(state[name])
