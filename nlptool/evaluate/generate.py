"""Let a decoder continue texts."""

# N prompts that are still going on, T tokens, D width, V vocabulary, C tokens that end a text

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nlptool import registry
from nlptool.errors import DataError, UsageError
from nlptool.models import huggingface
from nlptool.models.layers import gather_rows
from nlptool.text.tokenizer import Tokenizer

Choose = Callable[[Tensor], Tensor]
"""From logits [N, V] to one token for each prompt, [N]."""


def greedy(logits_NV: Tensor) -> Tensor:
    """The likeliest token."""
    return logits_NV.argmax(-1)


@torch.inference_mode()
def continuations(
    net: Any,
    prompts: Sequence[Sequence[int]],
    tokens: int,
    ends: Collection[int] = (),
    choose: Choose = greedy,
) -> Iterator[tuple[int, int]]:
    """Tokens that go on with each prompt, as they are made: (number of the prompt, token).

    One of each prompt in turn, until it has `tokens` of them, one of `ends` is chosen (which is not given), or
    the net has no further position. net: a decoder with `cache`, in evaluation mode. A prompt goes on alike
    whatever others it is with. ValueError for a prompt without a token or longer than the net's positions.
    """
    if not all(prompts):
        raise ValueError("a prompt needs a token")
    device, positions = net.word_embeddings.device, net.config.positions
    lengths_N = torch.tensor([len(prompt) for prompt in prompts], device=device)
    longest, numbers = max(map(len, prompts), default=0), list(range(len(prompts)))
    padded = [[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts]
    ids_NT, last_N = torch.tensor(padded, dtype=torch.long, device=device), lengths_N - 1
    ends_C = torch.tensor(list(ends), dtype=torch.long, device=device)
    cache = net.cache(len(prompts), longest + tokens)
    for _ in range(tokens if prompts else 0):
        hidden_ND = gather_rows(net(ids_NT, cache), last_N[:, None])[:, 0]
        cache.cut(lengths_N)  # padding was read, and is forgotten
        chosen_N = choose(net.logits(hidden_ND))
        ended_N = torch.isin(chosen_N, ends_C)
        for number, token, ended in zip(numbers, chosen_N.tolist(), ended_N.tolist(), strict=True):
            if not ended:
                yield number, token
        going = (~ended_N & (lengths_N < positions)).nonzero()[:, 0]
        if len(going) < len(numbers):
            numbers = [numbers[row] for row in going.tolist()]
            if not numbers:
                return
            cache = cache.take(going)
        ids_NT, last_N, lengths_N = chosen_N[going, None], torch.zeros_like(going), lengths_N[going] + 1


class Generator:
    """A Hugging Face folder with a decoder and its tokenizer. Raises DataError when one is missing."""

    def __init__(self, folder: Path) -> None:
        pretrained = huggingface.load_pretrained(folder)
        self.tokenizer = Tokenizer.load(folder)
        family = registry.load("models", str(pretrained.config.model_dump()["name"]), "net")
        self.net = family.Net(pretrained.config, pretrained.vocab_size)
        if not hasattr(self.net, "cache"):
            raise DataError(
                f"{folder}: the model is no decoder", hint="name the final/ of a pretrain-clm run"
            )
        huggingface.load(nn.ModuleDict({"backbone": self.net}), pretrained.state)
        self.net.eval()
        self.net.pack()
        special = self.tokenizer.special
        self.ends = [special[role] for role in ("eos", "sep") if role in special][:1]

    def complete(self, texts: Sequence[str], tokens: int, choose: Choose = greedy) -> list[str]:
        """How each text goes on, up to `tokens` tokens; an empty text begins after an end of text.

        Raises UsageError for a text with more tokens than the net has positions.
        """
        prompts = [self.tokenizer.encode(text) or self.ends for text in texts]
        if not all(prompts):
            raise UsageError("an empty text, and the tokenizer has no end of text to begin from")
        positions = self.net.config.positions
        if len(longest := max(prompts, key=len, default=[])) > positions:
            raise UsageError(f"a text has {len(longest)} tokens, the model reads {positions}")
        made: list[list[int]] = [[] for _ in prompts]
        for number, token in continuations(self.net, prompts, tokens, self.ends, choose):
            made[number].append(token)
        return [self.tokenizer.decode(ids) for ids in made]
