"""Causal-LM training: nlptool against Hugging Face's Trainer and nanoGPT, interleaved, on the same tokens.

    python benchmarks/train_clm.py STORE [--nanogpt CHECKOUT] [--sizes 4x256] [--dropout 0.1 0] [--rounds 3]

STORE is a token store (nlptool tokenize) with fewer than 65,500 tokens in its vocabulary. Each round runs one after
the other, each in its own process with its own defaults: batch 16 x 256, fp32, AdamW; nanoGPT without torch.compile,
as its README says for a CPU, and with GPT-2's biases. Without --nanogpt (a clone of github.com/karpathy/nanoGPT) it is
left out. Prints the median tokens/s and the peak memory of each, what nlptool's are of the others', and nlptool's
FLOP/s as a share of a 2048^3 fp32 product measured in the same round.
"""

import argparse
import json
import pickle
import re
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from train_mlm import HERE, child, sgemm

from nlptool.text.store import TokenStore

LENGTH, BATCH = 256, 16
FIRST = 3  # steps of nanoGPT that are not counted; the first has an evaluation in it
Result = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--nanogpt", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["4x256"])
    parser.add_argument("--dropout", nargs="+", type=float, default=[0.1, 0.0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        save_rows(args.store, Path(scratch))
        print("size     dropout  peer           tok/s   memory      nlptool: speed  memory  of sgemm")
        for size in args.sizes:
            for dropout in args.dropout:
                compare(args, size, dropout, Path(scratch))


def compare(args: argparse.Namespace, size: str, dropout: float, scratch: Path) -> None:
    layers, hidden = map(int, size.split("x"))
    few = max(FIRST + 3, args.steps // 2)
    runs: dict[str, list[Result]] = {}
    for _ in range(args.rounds):
        peak = sgemm()
        ours = nlptool(args.store, layers, hidden, dropout, args.steps, scratch)
        runs.setdefault("nlptool", []).append(ours | {"share": ours["flops_per_second"] / peak})
        theirs = hugging_face(args.store, layers, hidden, dropout, few, scratch)
        runs.setdefault("Hugging Face", []).append(theirs)
        if args.nanogpt:
            theirs = nanogpt(args.nanogpt.resolve(), layers, hidden, dropout, few, scratch)
            runs.setdefault("nanoGPT", []).append(theirs)
    speed, memory, share = (median(runs["nlptool"], key) for key in ("tokens_per_second", "peak", "share"))
    for peer, results in runs.items():
        other, rest = median(results, "tokens_per_second"), median(results, "peak")
        line = f"{size:8} {dropout:7}  {peer:12} {other:7,.0f}  {rest / 2**30:5.2f} GiB"
        ratios = f"{speed / other:18.2f} {memory / rest:7.0%}"
        print(line + (f"{share:36.0%}" if peer == "nlptool" else ratios), flush=True)


def median(results: list[Result], key: str) -> float:
    return statistics.median(result[key] for result in results)


def nlptool(store: Path, layers: int, hidden: int, dropout: float, steps: int, scratch: Path) -> Result:
    recipe = scratch / "recipe.yaml"
    recipe.write_text(
        f"tokens: {store}\n"
        f"model: {{name: gpt2, layers: {layers}, hidden: {hidden}, heads: {hidden // 64}, "
        f"positions: {LENGTH}, dropout: {dropout}, attention_dropout: {dropout}}}\n"
        "objective: {name: clm}\n"
        f"train: {{steps: {steps}, batch: {BATCH}, length: {LENGTH}, lr: 5e-4}}\n"
        "evaluate: {every: 1000000, batches: 1}\n"
        f"out: {scratch / 'run'}\n"
    )
    command = [sys.executable, "-m", "nlptool", "pretrain-clm", str(recipe), "--overwrite"]
    needs, _ = child([*command, "--dry-run", "--json"])
    _, peak = child(command)
    lines = (scratch / "run" / "metrics.jsonl").read_text().splitlines()
    logged = [line for line in map(json.loads, lines) if "seconds" in line]
    first = max((x for x in logged[:-1] if 2 * x["step"] <= steps), key=lambda x: x["step"])  # past warm-up
    last = logged[-1]
    speed = (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"])
    flops = json.loads(needs)["flops_per_token"]
    return {"tokens_per_second": speed, "peak": peak, "flops_per_second": speed * flops}


def hugging_face(store: Path, layers: int, hidden: int, dropout: float, steps: int, scratch: Path) -> Result:
    settings = {"layers": layers, "hidden": hidden, "heads": hidden // 64, "steps": steps, "batch": BATCH}
    options = [f"--{name}={value}" for name, value in (settings | {"dropout": dropout}).items()]
    script = [sys.executable, str(HERE / "peer_hf_clm.py")]
    printed, peak = child([*script, str(scratch / "rows.npy"), str(store / "tokenizer"), *options])
    return json.loads(printed.splitlines()[-1]) | {"peak": peak}


def nanogpt(checkout: Path, layers: int, hidden: int, dropout: float, steps: int, scratch: Path) -> Result:
    settings = {
        "dataset": scratch, "out_dir": scratch / "nanogpt", "device": "cpu", "dtype": "float32", "compile": False,
        "bias": True, "n_layer": layers, "n_head": hidden // 64, "n_embd": hidden, "block_size": LENGTH,
        "batch_size": BATCH, "gradient_accumulation_steps": 1, "dropout": float(dropout), "learning_rate": 5e-4,
        "max_iters": steps, "eval_interval": 10**9, "eval_iters": 1,
    }  # fmt: skip
    options = [f"--{name}={value}" for name, value in settings.items()]
    printed, peak = child([sys.executable, str(checkout / "train.py"), *options], checkout)
    times = [float(ms) for ms in re.findall(r"^iter \d+: .* time ([\d.]+)ms", printed, re.MULTILINE)]
    return {"tokens_per_second": 1000 * BATCH * LENGTH / statistics.median(times[FIRST:]), "peak": peak}


def save_rows(store: Path, folder: Path) -> None:
    """The rows that run_clm.py's group_texts would make, and the same tokens as nanoGPT's prepare.py writes them."""
    opened = TokenStore(store)
    ids = np.asarray(opened.split("train").read(0, 1_000_000), np.uint16)
    rows = ids[: len(ids) // LENGTH * LENGTH].reshape(-1, LENGTH)
    np.save(folder / "rows.npy", rows.astype(np.int64))
    for name in ("train.bin", "val.bin"):
        ids.tofile(folder / name)
    (folder / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": opened.vocab_size}))


if __name__ == "__main__":
    main()
