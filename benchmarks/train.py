"""Training: nlptool beside Hugging Face's Trainer and nanoGPT, in turn, on the same rows of tokens.

    python benchmarks/train.py KIND STORE [--sizes 4x256 12x256] [--dropout 0.1 0] [--shape 32x128] [--rounds 3]
                               [--gpu] [--nanogpt CHECKOUT]

KIND: mlm (BERT), albert, electra (its generator a quarter as wide), clm (GPT-2). STORE: a token store (nlptool
tokenize). Each round runs one after the other, each in a process of its own with its own defaults: AdamW, fp32, 15 %
masked; an ALBERT has embeddings of 128 and one shared layer. With --gpu: bf16, nlptool compiled, Trainer as it is and
compiled. nanoGPT (a clone of github.com/karpathy/nanoGPT; clm only) is compiled on a GPU only, as its README says, and
has GPT-2's biases. Prints the median tokens/s and the peak memory of each, what nlptool's are of the others', and
nlptool's FLOP/s as a share of what a large product reaches in the same round.
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
from processes import HERE, child, product

SHAPES = {"mlm": "32x128", "albert": "32x128", "electra": "32x128", "clm": "16x256"}
FIRST = 3  # steps of nanoGPT that are not counted; the first has an evaluation in it
Result = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=SHAPES)
    parser.add_argument("store", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["4x256"])
    parser.add_argument("--dropout", nargs="+", type=float, default=[0.1, 0.0])
    parser.add_argument("--shape", help="sequences a step, and tokens of each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--nanogpt", type=Path)
    parser.add_argument("--peers", nargs="*", help="of: trainer, compiled, nanogpt; all if not given")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(
            f"{args.kind}: size, batch  dropout  peer               tok/s     memory   nlptool: speed  memory    share"
        )
        for size in args.sizes:
            for dropout in args.dropout:
                Comparison(args, size, dropout, Path(scratch)).run()


class Comparison:
    """One size of model with one rate of dropout."""

    def __init__(self, args: argparse.Namespace, size: str, dropout: float, scratch: Path) -> None:
        self.args, self.size, self.dropout, self.scratch = args, size, dropout, scratch
        self.layers, self.hidden = map(int, size.split("x"))
        self.batch, self.length = map(int, (args.shape or SHAPES[args.kind]).split("x"))
        save_rows(args.kind, args.store, self.length, scratch)

    def run(self) -> None:
        args = self.args
        peers = {"trainer": lambda: self.trainer(compiled=False)}
        if args.gpu:
            peers["compiled"] = lambda: self.trainer(compiled=True)
        if args.nanogpt and args.kind == "clm":
            peers["nanogpt"] = self.nanogpt
        peers = {name: run for name, run in peers.items() if args.peers is None or name in args.peers}
        runs: dict[str, list[Result]] = {}
        for _ in range(args.rounds):
            most = product(args.gpu)
            ours = self.nlptool()
            runs.setdefault("nlptool", []).append(ours | {"share": ours["flops_per_second"] / most})
            for name, run in peers.items():
                runs.setdefault(name, []).append(run())
        speed, memory, share = (
            median(runs["nlptool"], key) for key in ("tokens_per_second", "peak", "share")
        )
        for peer, results in runs.items():
            other, rest = median(results, "tokens_per_second"), median(results, "peak")
            name = f"{self.size}, {self.batch} x {self.length}"
            line = f"{name:24} {self.dropout:5}  {peer:12} {other:11,.0f}  {rest / 2**30:6.2f} GiB"
            ratios = f"{speed / other:16.2f} {memory / rest:8.0%}"
            print(line + (f"{share:34.0%}" if peer == "nlptool" else ratios), flush=True)

    def nlptool(self) -> Result:
        args, shape = self.args, f"layers: {self.layers}, hidden: {self.hidden}, heads: {self.hidden // 64}"
        family = {"mlm": "bert", "clm": "gpt2"}.get(args.kind, args.kind)
        extra = {"electra": f", embedding_size: {self.hidden // 2}", "clm": f", max_positions: {self.length}"}
        objective = args.kind if args.kind in ("electra", "clm") else "mlm"
        recipe = self.scratch / "recipe.yaml"
        recipe.write_text(
            f"store: {args.store.absolute()}\n"
            f"model: {{name: {family}, {shape}, dropout: {self.dropout}, "
            f"attention_dropout: {self.dropout}{extra.get(args.kind, '')}}}\n"
            f"objective: {{name: {objective}}}\n"
            f"train: {{steps: {args.steps}, batch_size: {self.batch}, sequence_length: {self.length}, lr: 5e-4"
            + (", precision: bf16, compile: true}\n" if args.gpu else "}\n")
            + "evaluate: {every: 1000000, batches: 1}\n"
            f"out: {self.scratch / 'run'}\n"
        )
        command = [sys.executable, "-m", "nlptool", f"pretrain-{objective}", str(recipe), "--overwrite"]
        needs, _ = child([*command, "--dry-run", "--json"])
        _, peak = child(command)
        lines = (self.scratch / "run" / "metrics.jsonl").read_text().splitlines()
        logged = [line for line in map(json.loads, lines) if "seconds" in line]
        first = max((x for x in logged[:-1] if 2 * x["step"] <= args.steps), key=lambda x: x["step"])
        last = logged[-1]
        speed = (last["tokens"] - first["tokens"]) / (last["seconds"] - first["seconds"])
        flops = json.loads(needs)["flops_per_token"]
        return {
            "tokens_per_second": speed,
            "peak": last["memory"] if args.gpu else peak,
            "flops_per_second": speed * flops,
        }

    def trainer(self, *, compiled: bool) -> Result:
        args = self.args
        settings = {
            "layers": self.layers,
            "hidden": self.hidden,
            "steps": max(6, args.steps // (1 if args.gpu else 2)),
            "batch": self.batch,
            "dropout": self.dropout,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        options += ["--gpu"] * args.gpu + ["--compile"] * compiled
        script, rows = str(HERE / "peer_hf.py"), str(self.scratch / "rows.npy")
        command = [sys.executable, script, args.kind, rows, str(args.store / "tokenizer"), *options]
        printed, peak = child(command)
        return {"peak": peak} | json.loads(printed.splitlines()[-1])

    def nanogpt(self) -> Result:
        args, steps = self.args, max(FIRST + 3, self.args.steps // (1 if self.args.gpu else 2))
        place = (
            {"device": "cuda", "dtype": "bfloat16", "compile": True}
            if args.gpu
            else {"device": "cpu", "dtype": "float32", "compile": False}
        )
        settings = place | {
            "dataset": self.scratch, "out_dir": self.scratch / "nanogpt", "bias": True, "n_layer": self.layers,
            "n_head": self.hidden // 64, "n_embd": self.hidden, "block_size": self.length, "batch_size": self.batch,
            "gradient_accumulation_steps": 1, "dropout": float(self.dropout), "learning_rate": 5e-4,
            "max_iters": steps, "eval_interval": 10**9, "eval_iters": 1, "log_interval": 1,
        }  # fmt: skip
        checkout = args.nanogpt.resolve()
        options = [f"--{name}={value}" for name, value in settings.items()]
        printed, peak = child([sys.executable, str(checkout / "train.py"), *options], checkout)
        times = [float(ms) for ms in re.findall(r"^iter \d+: .* time ([\d.]+)ms", printed, re.MULTILINE)]
        late = times[max(FIRST, len(times) // 3) :]
        return {
            "tokens_per_second": 1000 * self.batch * self.length / statistics.median(late),
            "peak": float("nan") if args.gpu else peak,
        }


def median(results: list[Result], key: str) -> float:
    return statistics.median(result[key] for result in results)


def save_rows(kind: str, store: Path, length: int, folder: Path) -> None:
    """The rows that run_mlm.py's or run_clm.py's group_texts would make, and the same tokens as nanoGPT reads them."""
    from nlptool.text.store import TokenStore

    opened = TokenStore(store)
    ids = np.asarray(opened.split("train").read(0, 1_000_000), np.int64)
    around = 0 if kind == "clm" else 2
    rows = ids[: len(ids) // (length - around) * (length - around)].reshape(-1, length - around)
    if around:
        ends = [np.full((len(rows), 1), opened.special[name]) for name in ("cls", "sep")]
        rows = np.concatenate([ends[0], rows, ends[1]], axis=1)
    np.save(folder / "rows.npy", rows)
    if kind == "clm":
        for name in ("train.bin", "val.bin"):
            ids.astype(np.uint16).tofile(folder / name)
        (folder / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": opened.vocab_size}))


if __name__ == "__main__":
    main()
