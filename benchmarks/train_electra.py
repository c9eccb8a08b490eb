"""ELECTRA training: nlptool against two models of Hugging Face's in its Trainer, interleaved, on the same rows.

    python benchmarks/train_electra.py STORE [--sizes 12x256] [--dropout 0.1 0] [--rounds 3]

STORE is a token store (nlptool tokenize). The discriminator has embeddings of half its width, the generator a quarter
of it, as ELECTRA-small. Each round runs one, then the other, each in its own process with its own defaults: batch
32 x 128, fp32, AdamW, 15 % masked. Prints the median of each, the ratio, peak memory, and nlptool's FLOP/s as a share
of a 2048^3 fp32 product measured in the same round.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from train_mlm import BATCH, HERE, LENGTH, child, save_rows, sgemm

Result = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["12x256"])
    parser.add_argument("--dropout", nargs="+", type=float, default=[0.1, 0.0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = Path(scratch) / "rows.npy"
        save_rows(args.store, rows)
        print("size     dropout  nlptool tok/s  HF tok/s  ratio  memory nlptool/HF      of sgemm")
        for size in args.sizes:
            for dropout in args.dropout:
                compare(args, size, dropout, rows, Path(scratch))


def compare(args: argparse.Namespace, size: str, dropout: float, rows: Path, scratch: Path) -> None:
    layers, hidden = map(int, size.split("x"))
    ours, theirs, shares = [], [], []
    for _ in range(args.rounds):
        peak = sgemm()
        ours.append(nlptool(args.store, layers, hidden, dropout, args.steps, scratch))
        shares.append(ours[-1]["flops_per_second"] / peak)
        theirs.append(hugging_face(args.store, rows, layers, hidden, dropout, max(5, args.steps // 2)))
    speed, other = (statistics.median(r["tokens_per_second"] for r in runs) for runs in (ours, theirs))
    memory, rest = (statistics.median(r["peak"] for r in runs) for runs in (ours, theirs))
    print(
        f"{size:8} {dropout:7}  {speed:13,.0f} {other:9,.0f}  {speed / other:5.2f}  "
        f"{memory / 2**30:.2f} / {rest / 2**30:.2f} GiB = {memory / rest:4.0%}  {statistics.median(shares):8.0%}",
        flush=True,
    )


def nlptool(store: Path, layers: int, hidden: int, dropout: float, steps: int, scratch: Path) -> Result:
    recipe = scratch / "recipe.yaml"
    recipe.write_text(
        f"tokens: {store}\n"
        f"model: {{name: electra, layers: {layers}, hidden: {hidden}, heads: {hidden // 64}, "
        f"embedding: {hidden // 2}, dropout: {dropout}, attention_dropout: {dropout}}}\n"
        "objective: {name: electra}\n"
        f"train: {{steps: {steps}, batch: {BATCH}, length: {LENGTH}, lr: 5e-4}}\n"
        "evaluate: {every: 1000000, batches: 1}\n"
        f"out: {scratch / 'run'}\n"
    )
    command = [sys.executable, "-m", "nlptool", "pretrain-electra", str(recipe), "--overwrite"]
    needs, _ = child([*command, "--dry-run", "--json"])
    _, peak = child(command)
    lines = (scratch / "run" / "metrics.jsonl").read_text().splitlines()
    logged = [line for line in map(json.loads, lines) if "seconds" in line]
    first = max((x for x in logged[:-1] if 2 * x["step"] <= steps), key=lambda x: x["step"])  # past warm-up
    last = logged[-1]
    speed = (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"])
    flops = json.loads(needs)["flops_per_token"]
    return {"tokens_per_second": speed, "peak": peak, "flops_per_second": speed * flops}


def hugging_face(store: Path, rows: Path, layers: int, hidden: int, dropout: float, steps: int) -> Result:
    settings = {"layers": layers, "hidden": hidden, "steps": steps, "batch": BATCH, "dropout": dropout}
    options = [f"--{name}={value}" for name, value in settings.items()]
    script = str(HERE / "peer_hf_electra.py")
    printed, peak = child([sys.executable, script, str(rows), str(store / "tokenizer"), *options])
    return json.loads(printed.splitlines()[-1]) | {"peak": peak}


if __name__ == "__main__":
    main()
