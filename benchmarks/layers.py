"""What each of nlptool's own CPU operations gains over torch's, in whole training steps of BERT.

    python benchmarks/layers.py [--layers 4 --hidden 256 --heads 4 --rows 32 --tokens 128 --rounds 20]

Masked LM, fp32, fused AdamW, 15 % of positions asked. The variants take turns step by step on one model, so that
drift of the machine hits all alike. With --threads 1 the processor's time is measured instead of the clock's, which
a busy machine disturbs less. Columns: median and best milliseconds; tokens per second, GF/s and share of the best
sgemm at the median.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nlptool.malloc import keep_freed_memory
from nlptool.models import heads
from nlptool.models.base import Inputs
from nlptool.models.bert.config import Config
from nlptool.models.heads import MaskedLM
from nlptool.models.kernels import cpu

VOCAB = 16384
Step = Callable[[], None]
Clock = Callable[[], float]


def torch_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, rate: float, causal: bool
) -> Tensor:
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, mask, dropout_p=rate, is_causal=causal).transpose(1, 2)


def torch_loss(x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor, labels_N: Tensor) -> Tensor:
    logits_NV = cpu.linear(x_ND.flatten(0, -2), weight_VD, bias_V)
    return F.cross_entropy(logits_NV, labels_N.flatten(), reduction="sum")


TORCH = {
    "linear": (cpu, "linear", F.linear),
    "dropout": (cpu, "dropout", F.dropout),
    "attention": (cpu, "attention", torch_attention),
    "loss": (heads, "linear_cross_entropy", torch_loss),
}


@contextmanager
def torchs(*operations: str) -> Iterator[None]:
    """These operations are torch's within the block."""
    ours = {name: getattr(*TORCH[name][:2]) for name in operations}
    for name in operations:
        setattr(*TORCH[name])
    try:
        yield
    finally:
        for name in operations:
            setattr(*TORCH[name][:2], ours[name])


def training_step(options: argparse.Namespace, dropout: float) -> Step:
    """One optimiser step of a fresh model on random tokens."""
    torch.manual_seed(0)
    config = Config(
        layers=options.layers,
        hidden=options.hidden,
        heads=options.heads,
        dropout=dropout,
        attention_dropout=dropout,
    )
    model = config.build(VOCAB)
    head = MaskedLM(config.hidden, config.hidden, VOCAB, config.activation)
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    asked = round(0.15 * options.tokens)
    ids_BT = torch.randint(0, VOCAB, (options.rows, options.tokens))
    at_BK = torch.rand(options.rows, options.tokens).argsort()[:, :asked]
    labels_BK = torch.randint(0, VOCAB, (options.rows, asked))

    def step() -> None:
        hidden_BKD = model(Inputs(ids=ids_BT, output_positions=at_BK))
        (head.loss(hidden_BKD, model.word_embeddings, labels_BK) / labels_BK.numel()).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def flops(options: argparse.Namespace) -> float:
    """Multiplications and additions of one step, three times those forward; the last layer's are pruned."""
    tokens, width = options.rows * options.tokens, options.hidden
    asked = options.rows * round(0.15 * options.tokens)
    layer = tokens * (24 * width**2 + 4 * options.tokens * width)
    last = tokens * 4 * width**2 + asked * (20 * width**2 + 4 * options.tokens * width)
    head = asked * (2 * width**2 + 2 * width * VOCAB)
    return 3 * ((options.layers - 1) * layer + last + head)


def sgemm(clock: Clock) -> float:
    """The best product's speed in flop/s, at sizes of a layer."""
    best = 0.0
    for inputs, outputs in ((256, 1024), (1024, 256), (1024, 1024), (768, 3072)):
        x, weight = torch.randn(4096, inputs), torch.randn(outputs, inputs)
        for product in (F.linear, cpu.product):
            for _ in range(5):
                start = clock()
                product(x, weight)
                best = max(best, 2 * 4096 * inputs * outputs / (clock() - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser()
    sizes = {"layers": 4, "hidden": 256, "heads": 4, "rows": 32, "tokens": 128, "rounds": 20}
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    keep_freed_memory()
    steps = {rate: training_step(options, rate) for rate in (0.0, 0.1)}
    variants: list[tuple[str, float, tuple[str, ...]]] = [
        ("dropout 0", 0.0, ()),
        ("  torch's linear", 0.0, ("linear",)),
        ("  torch's loss", 0.0, ("loss",)),
        ("  all torch's", 0.0, tuple(TORCH)),
        ("dropout 0.1", 0.1, ()),
        ("  torch's dropout", 0.1, ("dropout",)),
        ("  torch's attention", 0.1, ("attention",)),
        ("  all torch's", 0.1, tuple(TORCH)),
    ]
    seconds: list[list[float]] = [[] for _ in variants]
    for turn in range(options.rounds + 3):
        for (_, rate, operations), taken in zip(variants, seconds, strict=True):
            start = clock()
            with torchs(*operations):
                steps[rate]()
            if turn >= 3:  # until malloc has grown
                taken.append(clock() - start)
    peak = sgemm(clock)
    print(f"sgemm {peak / 1e9:.0f} GF/s, {options.threads} threads, load {os.getloadavg()[0]:.1f}")
    for (name, _, _), taken in zip(variants, seconds, strict=True):
        typical = median(taken)
        speed = flops(options) / typical
        print(
            f"{name:20} {typical * 1e3:7.0f} {min(taken) * 1e3:7.0f} ms"
            f" {options.rows * options.tokens / typical:8.0f} tok/s"
            f" {speed / 1e9:5.0f} GF/s {speed / peak:5.0%}"
        )


if __name__ == "__main__":
    main()
