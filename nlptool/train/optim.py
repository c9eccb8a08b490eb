"""AdamW and LAMB over the fused kernel, with the published variants."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from nlptool.train.config import Optimizer

# 1 - beta^t is exactly 1 from here on: a step counter that starts this high disables bias correction
NEVER_CORRECTED = 1e9


class Adam:
    """AdamW (Loshchilov & Hutter 2019, algorithm 2), decay scaled by the learning rate; or LAMB.

    LAMB (You et al. 2020, algorithm 2) scales AdamW's step for each matrix by the length of the matrix over that
    of the step, 1 where either is 0, and vectors not at all. As in ALBERT's code (google-research/albert
    lamb_optimizer.py), no bound is put on the length. A layer that is shared is one matrix. Queries, keys and
    values are three, as there, although one tensor holds them here: see `pieces`.

    Matrices and embeddings decay; vectors (biases, layer norms) do not, as in every system here
    (google-research/bert optimization.py excludes "LayerNorm|layer_norm|bias").
    Calls the fused kernel itself: torch.optim would import the compiler, two seconds at every start.
    rates: learning rate of a parameter as a share of the step's; 1 for those it does not name.
    Gradients may be scaled inside the kernel, and one flag skips the update, so clipping and the guard
    against non-finite gradients cost no pass over memory.
    """

    def __init__(
        self, module: nn.Module, config: Optimizer, rates: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        self.config = config
        self.named = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.groups: dict[tuple[bool, float], list[str]] = {}  # by weight decay and rate
        for name, p in self.named.items():
            self.groups.setdefault((p.ndim > 1, rates.get(name, 1.0)), []).append(name)
        self.first = {name: torch.zeros_like(p) for name, p in self.named.items()}
        self.second = {name: torch.zeros_like(p) for name, p in self.named.items()}
        device = next(iter(self.named.values())).device
        self.count = torch.tensor(0.0 if config.bias_correction else NEVER_CORRECTED, device=device)

    @torch.no_grad()
    def step(self, lr: float, scale: Tensor, skip: Tensor) -> None:
        """One update. Gradients are divided by `scale` [] first; nothing changes where `skip` [] is true."""
        for (decays, rate), group in self.groups.items():
            names = [name for name in group if self.named[name].grad is not None]
            if not names:
                continue
            decay = self.config.weight_decay if decays else 0.0
            parameters: list[Tensor] = [self.named[name] for name in names]
            if decays and self.config.name == "lamb":
                # Starting from zero with rate 1, the kernel leaves the step itself, or nothing where it skips.
                steps = [torch.zeros_like(p) for p in parameters]
                self._adamw(names, steps, 1.0, 0.0, scale, skip)
                torch._foreach_add_(steps, parameters, alpha=-decay)
                matrices, moves = pieces(names, parameters), pieces(names, steps)
                ratios = _ratios(matrices, moves)
                rates = (torch.where(skip.bool(), 0.0, lr * rate * ratios)).unbind()
                torch._foreach_mul_(moves, rates)
                torch._foreach_add_(parameters, steps)
            else:
                self._adamw(names, parameters, lr * rate, decay, scale, skip)
        self.count += 1 - skip.float()

    def _adamw(
        self, names: list[str], changed: list[Tensor], lr: float, decay: float, scale: Tensor, skip: Tensor
    ) -> None:
        """One update of `changed` by the gradients and moments of the parameters `names`."""
        gradients = [self.named[name].grad for name in names]
        torch._fused_adamw_(
            changed,
            [gradient for gradient in gradients if gradient is not None],
            [self.first[name] for name in names],
            [self.second[name] for name in names],
            [],
            [self.count + 1] * len(names),
            lr=lr,
            beta1=self.config.betas[0],
            beta2=self.config.betas[1],
            weight_decay=decay,
            eps=self.config.eps,
            amsgrad=False,
            maximize=False,
            grad_scale=scale.float(),
            found_inf=skip.float(),
        )

    @torch.no_grad()
    def clip(self, most: float, scope: Literal["global", "tensor"]) -> tuple[Tensor, Tensor]:
        """The norm of all gradients, [], and the divisor, [], with which `step` bounds it by `most`.

        scope "tensor": clips each gradient in place, and the divisor is 1. As in BertAdam
        (TinyBERT/transformer/optimization.py: clip_grad_norm_ of each parameter), which also divides by the norm
        plus 1e-6.
        """
        norm = torch.nn.utils.get_total_norm(self.gradients())
        if scope == "global":
            return norm, (norm / most).clamp(min=1.0)
        named = {name: p.grad for name, p in self.named.items() if p.grad is not None}
        gradients = pieces(named, named.values())
        norms = torch.stack(torch._foreach_norm(gradients))
        torch._foreach_mul_(gradients, (most / (norms + 1e-6)).clamp(max=1.0).unbind())
        return norm, torch.ones_like(norm)

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for p in self.named.values():
            p.grad = None

    def gradients(self) -> list[Tensor]:
        """All gradients of the last backward pass."""
        return [p.grad for p in self.named.values() if p.grad is not None]

    def state_dict(self) -> dict[str, Tensor]:
        """The state to save, by name."""
        moments = {"first": self.first, "second": self.second}
        state = {f"{kind}.{name}": t for kind, tensors in moments.items() for name, t in tensors.items()}
        return state | {"count": self.count}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load a saved state. Raises KeyError for a missing tensor, RuntimeError for a wrong shape."""
        with torch.no_grad():
            for name, tensor in self.state_dict().items():
                tensor.copy_(state[name])


def pieces(names: Iterable[str], tensors: Iterable[Tensor]) -> list[Tensor]:
    """The tensors of the published codes: a joint matrix of queries, keys and values as three views."""
    named = zip(names, tensors, strict=True)
    return [piece for name, whole in named for piece in whole.chunk(3 if ".qkv." in name else 1)]


def _ratios(parameters: list[Tensor], steps: list[Tensor]) -> Tensor:
    """LAMB's trust ratio of each parameter, [N]."""
    lengths, of_steps = (torch.stack(torch._foreach_norm(tensors)) for tensors in (parameters, steps))
    return torch.where((lengths > 0) & (of_steps > 0), lengths / of_steps, 1.0)
