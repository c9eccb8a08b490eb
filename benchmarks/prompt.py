"""Scoring of answers: nlptool against lm-eval's HFLM, interleaved, on the same requests and weights.

    python benchmarks/prompt.py STORE [--questions FILE] [--python PYTHON] [--sizes 12x768] [--rounds 3] [--gpu]

STORE is a token store (nlptool tokenize), of which the tokenizer is taken; the model is GPT-2's shape with 50,257 words
and random weights. FILE has a JSON object with query, choices and gold on each line; without it, questions are cut
from the store's held-out text. PYTHON is one that has lm-eval 0.4; without it, this one. Each round runs one after the
other, each in its own process. Shots are the same for all questions, as lm-eval's `first_n` has them, or drawn anew for
each (its default). Prints the median of requests a second, without loading, what nlptool's are of the other's, the
memory of both, the largest difference of a log-likelihood, and how many of the picks are the same.
"""

import argparse
import gzip
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from processes import HERE, child

SHOTS = 5
VOCAB, POSITIONS = 50257, 1024
CHOICES = 4


class Question(NamedTuple):
    query: str
    choices: list[str]
    gold: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--questions", type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--sizes", nargs="+", default=["12x768"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--tasks", nargs="+", default=["plain", "same", "drawn"])
    parser.add_argument("--count", nargs=2, type=int, default=[60, 16], help="questions without shots, with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--ours", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.ours:
        answer(*map(Path, args.ours), "cuda" if args.gpu else "cpu")
        return
    questions = read(args.questions) if args.questions else made(args.store)
    with tempfile.TemporaryDirectory() as scratch:
        print(
            "size     shots  questions  lm-eval batch  requests/s: nlptool  lm-eval  ratio   memory  apart    picks"
        )
        for size in args.sizes:
            model = Path(scratch) / size
            save_model(args.store, size, model)
            for task in args.tasks:
                compare(args, task, questions, model)


def compare(args: argparse.Namespace, task: str, questions: list[Question], model: Path) -> None:
    count = args.count[task != "plain"]
    pairs = asked(questions, task, count)
    path = model / "requests.json"
    path.write_text(json.dumps(pairs))
    ours = [sys.executable, str(HERE / "prompt.py"), str(args.store), "--ours", str(model), str(path)]
    peer = [args.python, str(HERE / "peer_lm_eval.py"), str(model), str(path)]
    ours, peer = ([*command, *["--gpu"] * args.gpu] for command in (ours, peer))
    commands = {0: ours} | {size: [*peer, f"--batch={size}"] for size in args.batches}
    runs: dict[int, list[dict]] = {size: [] for size in commands}
    for _ in range(args.rounds):
        for size, command in commands.items():
            printed, peak = child(command)
            runs[size].append(json.loads(printed.splitlines()[-1]) | {"peak": peak})
    speed = {
        size: len(pairs) / statistics.median(run["seconds"] for run in each) for size, each in runs.items()
    }
    peak = {size: statistics.median(run["peak"] for run in each) for size, each in runs.items()}
    found = {size: each[0]["found"] for size, each in runs.items()}
    for size in args.batches:
        apart = max(abs(a[0] - b[0]) for a, b in zip(found[0], found[size], strict=True))
        same = sum(a == b for a, b in zip(picks(found[0]), picks(found[size]), strict=True))
        greedy = all(a[1] == b[1] for a, b in zip(found[0], found[size], strict=True))
        shots = {"plain": "0", "same": f"{SHOTS}", "drawn": f"{SHOTS} drawn"}[task]
        print(
            f"{model.name:8} {shots:8} {count:7} {size:14} {speed[0]:20.1f} {speed[size]:8.2f} "
            f"{speed[0] / speed[size]:6.2f} {peak[0] / peak[size]:7.0%}  {apart:.1e}  {same}/{count}"
            + ("" if greedy else "  greedy differs"),
            flush=True,
        )


def asked(questions: list[Question], task: str, count: int) -> list[tuple[str, str]]:
    """Contexts and answers of the first questions; shots are of the others."""
    rng = random.Random(0)
    rest = questions[count:]
    pairs = []
    for question in questions[:count]:
        shots = {"plain": [], "same": rest[:SHOTS], "drawn": rng.sample(rest, SHOTS)}[task]
        before = "".join(f"{shot.query}\nAnswer: {shot.choices[shot.gold]}\n\n" for shot in shots)
        pairs += [(f"{before}{question.query}\nAnswer:", f" {choice}") for choice in question.choices]
    return pairs


def picks(found: list[tuple[float, bool]]) -> list[int]:
    likelihoods = [one[0] for one in found]
    groups = [likelihoods[at : at + CHOICES] for at in range(0, len(likelihoods), CHOICES)]
    return [group.index(max(group)) for group in groups]


def read(path: Path) -> list[Question]:
    """Questions with four choices."""
    data = path.read_bytes()
    text = gzip.decompress(data) if path.suffix == ".gz" else data
    rows = [json.loads(line) for line in text.splitlines()]
    return [Question(**row) for row in rows if len(row["choices"]) == CHOICES]


def made(store: Path) -> list[Question]:
    """Questions of 25 tokens with choices of 5, cut from held-out text."""
    from nlptool.text.store import TokenStore
    from nlptool.text.tokenizer import Tokenizer

    opened = TokenStore(store)
    tokenizer, split = Tokenizer.load(opened.tokenizer), opened.split("heldout")
    ids = [token for document in range(len(split)) for part in split.document(document) for token in part]
    cut = [tokenizer.decode(ids[at : at + 5]) for at in range(0, min(len(ids), 9000) - 5, 5)]
    return [Question("".join(cut[at : at + 5]), cut[at + 5 : at + 9], 0) for at in range(0, len(cut) - 9, 9)]


def save_model(store: Path, size: str, folder: Path) -> None:
    import torch
    from torch import nn

    from nlptool.models import huggingface
    from nlptool.models.gpt2.config import Config
    from nlptool.text.tokenizer import Tokenizer

    layers, hidden = map(int, size.split("x"))
    tokenizer = Tokenizer.load(store / "tokenizer")
    torch.manual_seed(0)
    config = Config(layers=layers, hidden=hidden, heads=hidden // 64, max_positions=POSITIONS)
    folder.mkdir()
    state = nn.ModuleDict({"backbone": config.build(VOCAB)}).state_dict()
    huggingface.save_pretrained(folder, config, state, tokenizer.special)
    tokenizer.bare().save(folder, POSITIONS)


def answer(model: Path, requests: Path, device: str) -> None:
    """nlptool's part: one round, in a process of its own."""
    import torch

    from nlptool.evaluation.requests import Request
    from nlptool.evaluation.scoring import answers, scorer
    from nlptool.models import huggingface
    from nlptool.text.tokenizer import Tokenizer

    pretrained = huggingface.load_pretrained(model)
    tokenizer = Tokenizer.load(model)
    asking = scorer(pretrained, tokenizer, torch.device(device))
    pairs = [Request(*pair) for pair in json.loads(requests.read_text())]
    answers(asking, pairs[:1])
    start = time.perf_counter()
    found = answers(asking, pairs)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "found": [(one.logprob, one.greedy) for one in found]}))


if __name__ == "__main__":
    main()
