"""Generation: nlptool beside transformers' `generate`, greedy, on random weights or on a model of your own.

    python benchmarks/generate.py [--layers 12 --hidden 768 --heads 12 --vocab 50257 --rows 1 8 --prompt 32 --tokens 64
                                   --rounds 5 --threads N --gpu] [--model FOLDER --store STORE]

STORE is a token store with the model's tokens, from whose held-out text the prompts are; without it they are random.

All take turns in one process, so that drift of the machine hits all alike; medians of seconds for a whole batch, prompt
included. With --threads 1 the processor's time is measured instead of the clock's, which a busy machine disturbs less.
`no guesses` reads a token a step, `unpacked` besides has matrices as they are trained. `floor` is the time to read all
weights once for each token, as fast as torch can add them up: no float32 decoder that makes one token after the other
can be faster.
"""

import argparse
import copy
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import nn

from nlptool.evaluation.generation import generate
from nlptool.evaluation.generation.prompt_lookup import room
from nlptool.models import huggingface
from nlptool.models.gpt2.config import Config
from nlptool.models.gpt2.model import GPT2
from nlptool.text.store import TokenStore


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in (("layers", 12), ("hidden", 768), ("heads", 12), ("vocab", 50257)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--store", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    device = "cuda" if args.gpu else "cpu"
    model = Config(layers=args.layers, hidden=args.hidden, heads=args.heads).build(args.vocab).eval()
    if args.model:
        pretrained = huggingface.load_pretrained(args.model)
        args.layers, args.hidden = pretrained.config.layers, pretrained.config.hidden
        args.vocab = pretrained.vocab_size
        model = pretrained.config.build(args.vocab).eval()
        huggingface.load(nn.ModuleDict({"backbone": model}), pretrained.state)
    theirs = in_transformers(model).to(device)
    packed = copy.deepcopy(model.to(device))
    packed.pack()
    weights = torch.randn(
        sum(part.weight.numel() for part in model.modules() if isinstance(part, nn.Linear))
        + model.word_embeddings.numel(),
        device=device,
    )
    print(f"{args.layers}x{args.hidden}, {weights.numel() * 4 / 1e6:.0f} MB read for each token, ", end="")
    print(
        f"{args.threads} thread{'s' * (args.threads > 1)}; {args.tokens} tokens from {args.prompt}; "
        f"{'processor' if args.threads == 1 else 'clock'}"
    )
    for rows in args.rows:
        ids = torch.randint(args.vocab - 1, (rows, args.prompt), device=device)
        if args.store:
            ids = held_out(args.store, rows, args.prompt).to(device)

        def hf(ids: torch.Tensor = ids) -> list[list[int]]:
            out = theirs.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=args.tokens,
                min_new_tokens=args.tokens,
                do_sample=False,
                pad_token_id=0,
            )
            return [row[args.prompt :] for row in out.tolist()]

        def ours(model: GPT2, guesses: bool = True, ids: torch.Tensor = ids) -> list[list[int]]:
            generate.room = room if guesses else lambda rows: 0
            made: list[list[int]] = [[] for _ in ids]
            for number, token in generate.continuations(model, ids.tolist(), args.tokens):
                made[number].append(token)
            return made

        calls: dict[str, Callable[[], object]] = {
            "transformers": hf,
            "nlptool": lambda: ours(packed),
            "no guesses": lambda: ours(packed, False),
            "unpacked": lambda: ours(model, False),
            "floor": lambda: torch.stack([weights.sum() for _ in range(args.tokens)]).tolist(),
        }
        if args.gpu:
            del calls["unpacked"], calls["no guesses"]  # the same there
        one = args.threads == 1 and not args.gpu
        measure(rows, calls, args.rounds, time.process_time if one else time.perf_counter)
        same = sum(a == b for a, b in zip(hf(), ours(packed), strict=True))
        print(f"{'':9}  same tokens in {same} of {rows} rows", flush=True)


def measure(
    rows: int, calls: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            started = clock()
            call()
            if turn:  # the first is slower
                seconds[name].append(clock() - started)
    medians = {name: median(found) for name, found in seconds.items()}
    for name, found in medians.items():
        ratio = medians["transformers"] / found
        print(f"batch {rows:3}  {name:14}{found:8.3f} s{ratio:8.2f} times as fast as transformers")


def held_out(store: Path, rows: int, tokens: int) -> torch.Tensor:
    """Stretches of held-out text, far from each other."""
    split = TokenStore(store).split("heldout")
    begins = [(1 + 2 * row) * split.tokens // (2 * rows + 1) for row in range(rows)]
    return torch.stack([torch.from_numpy(split.read(at, at + tokens).astype("int64")) for at in begins])


def in_transformers(model: GPT2) -> nn.Module:
    import transformers

    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        state = nn.ModuleDict({"backbone": model}).state_dict()
        last = model.word_embeddings.shape[0] - 1
        huggingface.save_pretrained(Path(folder), model.config, state, {"eos": last, "pad": last})
        model: nn.Module = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    return model


if __name__ == "__main__":
    main()
