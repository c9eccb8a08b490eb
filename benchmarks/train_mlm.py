"""Masked-LM training: nlptool against Hugging Face's Trainer, interleaved, on the same rows.

    python benchmarks/train_mlm.py STORE [--family bert|albert] [--sizes 4x256 12x256 12x768] [--dropout 0.1 0]

STORE is a token store (nlptool tokenize). Each round runs one, then the other, each in its own process with its
own defaults: batch 32 x 128, fp32, AdamW, 15 % masked; an ALBERT has embeddings of 128 and one shared layer. Prints the
median of each, the ratio, peak memory, and nlptool's FLOP/s as a share of a 2048^3 fp32 product measured in the same
round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

LENGTH, BATCH = 128, 32
HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--family", choices=["bert", "albert"], default="bert")
    parser.add_argument("--sizes", nargs="+", default=["4x256", "12x256"])
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
        ours.append(nlptool(args.family, args.store, layers, hidden, dropout, args.steps, scratch))
        shares.append(ours[-1]["flops_per_second"] / peak)
        theirs.append(
            hugging_face(args.family, args.store, rows, layers, hidden, dropout, max(5, args.steps // 2))
        )
    speed, other = (statistics.median(r["tokens_per_second"] for r in runs) for runs in (ours, theirs))
    memory, rest = (statistics.median(r["peak"] for r in runs) for runs in (ours, theirs))
    print(
        f"{size:8} {dropout:7}  {speed:13,.0f} {other:9,.0f}  {speed / other:5.2f}  "
        f"{memory / 2**30:.2f} / {rest / 2**30:.2f} GiB = {memory / rest:4.0%}  {statistics.median(shares):8.0%}",
        flush=True,
    )


def nlptool(
    family: str, store: Path, layers: int, hidden: int, dropout: float, steps: int, scratch: Path
) -> dict[str, float]:
    recipe = scratch / "recipe.yaml"
    recipe.write_text(
        f"tokens: {store}\n"
        f"model: {{name: {family}, layers: {layers}, hidden: {hidden}, heads: {hidden // 64}, "
        f"dropout: {dropout}, attention_dropout: {dropout}}}\n"
        "objective: {name: mlm}\n"
        f"train: {{steps: {steps}, batch: {BATCH}, length: {LENGTH}, lr: 5e-4}}\n"
        "evaluate: {every: 1000000, batches: 1}\n"
        f"out: {scratch / 'run'}\n"
    )
    command = [sys.executable, "-m", "nlptool", "pretrain-mlm", str(recipe), "--overwrite"]
    needs, _ = child([*command, "--dry-run", "--json"])
    _, peak = child(command)
    lines = (scratch / "run" / "metrics.jsonl").read_text().splitlines()
    logged = [line for line in map(json.loads, lines) if "seconds" in line]
    first = max((x for x in logged[:-1] if 2 * x["step"] <= steps), key=lambda x: x["step"])  # past warm-up
    last = logged[-1]
    speed = (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"])
    flops = json.loads(needs)["flops_per_token"]
    return {"tokens_per_second": speed, "peak": peak, "flops_per_second": speed * flops}


def hugging_face(
    family: str, store: Path, rows: Path, layers: int, hidden: int, dropout: float, steps: int
) -> dict[str, float]:
    settings = {
        "family": family,
        "layers": layers,
        "hidden": hidden,
        "heads": hidden // 64,
        "steps": steps,
        "batch": BATCH,
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    command = [sys.executable, str(HERE / "peer_hf_mlm.py"), str(rows), str(store / "tokenizer"), *options]
    printed, peak = child([*command, f"--dropout={dropout}"])
    return json.loads(printed.splitlines()[-1]) | {"peak": peak}


def child(command: list[str], cwd: Path | None = None) -> tuple[str, float]:
    """Run a command in a folder; what it printed, and its peak memory in bytes."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, cwd=cwd)
        _, status, usage = os.wait4(process.pid, 0)
        out.seek(0)
        err.seek(0)
        if status:
            raise SystemExit(f"{' '.join(command)}\n{err.read()[-3000:]}")
        return out.read(), 1024 * usage.ru_maxrss


def save_rows(store: Path, path: Path) -> None:
    """The rows that run_mlm.py's group_texts would make: [CLS] text [SEP], cut into pieces of 128 tokens."""
    from nlptool.text.store import TokenStore

    opened = TokenStore(store)
    ids = np.asarray(opened.split("train").read(0, 1_000_000), np.int64)
    inner = ids[: len(ids) // (LENGTH - 2) * (LENGTH - 2)].reshape(-1, LENGTH - 2)
    ends = [np.full((len(inner), 1), opened.special[name]) for name in ("cls", "sep")]
    np.save(path, np.concatenate([ends[0], inner, ends[1]], axis=1))


def sgemm() -> float:
    """FLOP/s of a 2048^3 fp32 product in a process of its own, best of 10."""
    code = (
        "import torch, time\n"
        "a, b, best = torch.randn(2048, 2048), torch.randn(2048, 2048), 9.\n"
        "for _ in range(12):\n"
        "    t = time.perf_counter(); torch.mm(a, b); best = min(best, time.perf_counter() - t)\n"
        "import json; print(json.dumps(dict(flops=2 * 2048 ** 3 / best)))\n"
    )
    return json.loads(child([sys.executable, "-c", code])[0])["flops"]


if __name__ == "__main__":
    main()
