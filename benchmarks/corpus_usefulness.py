"""What cleaning is worth: small models trained on text with boilerplate and copies in it, and on the same text cleaned.

    python -m benchmarks.corpus_usefulness WORK --novels novels.jsonl.xz [--seeds 0 1 2]

Documents are pieces of novels with a site's menu and footer around them; some come again with 1 % of their words
changed. Boilerplate and copies are 30 % of the characters. `nlptool corpus` cleans them (lines, repeated lines,
duplicates). Both arms read as much text, with one tokenizer, for the same steps; bits per byte are of clean pieces of
other novels, by `nlptool evaluate`, for BERT by pseudo-likelihood. Results are in WORK/results.jsonl; a finished run is
not repeated.
"""

import argparse
import json
import random
from pathlib import Path
from statistics import mean, stdev

from nlptool.cli import main
from nlptool.corpus import records_file
from nlptool.text.config import Source
from nlptool.text.corpus import ReadStats, documents

PIECE = 1500  # characters
SITES = 40
T95 = dict(
    enumerate((12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262), start=2)
)  # quantiles of Student's distribution, two-sided, by runs
MENU = """
home about contact subscribe newsletter login register search menu share follow privacy cookies terms policy
rights reserved account basket checkout delivery returns help support careers press advertise sitemap archive
popular latest trending related articles comments reply report print email download app store language
"""
SIZE = {
    "layers": 2,
    "hidden": 128,
    "heads": 4,
    "max_positions": 128,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}
ADAM = {"betas": [0.9, 0.98]}
TRAINED = {
    "gpt2": (
        "pretrain-clm",
        {"name": "gpt2", **SIZE, "init": 0.06},
        {"name": "clm"},
        {"batch_size": 16, "sequence_length": 128, "lr": 3e-3},
    ),
    "bert": (
        "pretrain-mlm",
        {"name": "bert", **SIZE, "init": 0.08},
        {"name": "mlm"},
        {
            "stages": [
                {"sequence_length": 16, "batch_size": 128, "share": 0.75},
                {"sequence_length": 64, "batch_size": 32, "share": 0.25},
            ],
            "lr": 3e-3,
        },
    ),
}


def pieces(novels: Path, characters: int, skip: int) -> list[str]:
    """Pieces of one novel after the other, from novel number `skip` on."""
    found: list[str] = []
    for number, document in enumerate(documents(Source(files=(str(novels),)), ReadStats())):
        if number < skip:
            continue
        text = " ".join(document.text.split())[5000:]
        found += [text[start : start + PIECE] for start in range(0, min(len(text), 60 * PIECE), PIECE)]
        if len(found) * PIECE >= characters:
            break
    return found


def spoilt(clean: list[str], chance: random.Random) -> list[dict[str, str]]:
    """Documents of sites: about a sixth of the characters menus and footers, about a sixth copies."""
    menu_words = MENU.split()
    sites = [
        [" ".join(chance.choice(menu_words) for _ in range(chance.randrange(6, 14))) for _ in range(5)]
        for _ in range(SITES)
    ]
    words = " ".join(clean[:50]).split()
    rows = []
    for text in clean:
        site = chance.randrange(SITES)
        menu = sites[site]
        rows.append(
            {
                "text": "\n".join([*menu[:3], text, *menu[3:]]),
                "url": f"https://site{site}.example/{len(rows)}",
            }
        )
        if chance.random() < 0.19:
            copy = " ".join(chance.choice(words) if chance.random() < 0.01 else word for word in text.split())
            other = sites[(site + 1) % SITES]
            url = f"https://site{(site + 1) % SITES}.example/{len(rows)}"
            rows.append({"text": "\n".join([*other[:3], copy, *other[3:]]), "url": url})
    chance.shuffle(rows)
    return rows


def write(path: Path, rows: list[dict[str, str]]) -> int:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf8")
    return sum(len(row["text"]) for row in rows)


def call(command: str, out: Path, recipe: dict | str, *changes: str) -> None:
    if (out / "done").exists():
        return
    if isinstance(recipe, dict):
        path = out.with_suffix(".yaml")
        path.write_text(json.dumps({**recipe, "out": str(out)}))
        recipe = str(path)
    if main([command, recipe, *changes, "--out", str(out), "--overwrite"]):
        raise SystemExit(1)
    (out / "done").write_text("")


def prepare(work: Path, novels: Path, characters: int) -> None:
    """Stores of the spoilt and of the cleaned text, of as many characters, and of clean text to evaluate on."""
    clean = pieces(novels, characters, skip=0)
    rows = spoilt(clean, random.Random(0))
    size = write(work / "all.jsonl", rows)
    print(f"{size:,} characters, of which {1 - sum(map(len, clean)) / size:.1%} are boilerplate and copies")
    recipe = {
        "sources": {"web": {"files": str(work / "all.jsonl")}},
        "lines": {"max_removed": None},
        "repeated_lines": {"max_documents": 10},
        "dedup": {"minhash": {}},
        "workers": 1,
    }
    call("corpus", work / "cleaned", recipe)
    kept = [one for path in sorted((work / "cleaned/data").iterdir()) for one in records_file.read(path)]
    left = sum(len(one["text"]) for one in kept)
    total, raw = 0, []
    for row in rows:
        if total >= left:
            break
        raw.append(row)
        total += len(row["text"])
    texts = {"spoilt": raw, "cleaned": [{"text": one["text"]} for one in kept]}
    write(work / "clean.jsonl", [{"text": text} for text in pieces(novels, 600_000, skip=60)])
    for name, of in (*texts.items(), ("clean", None)):
        if of is not None:
            print(f"{name}: {write(work / f'{name}.jsonl', of):,} characters")
        tokenizer = (
            {"vocab_size": 4096} if name == "spoilt" else {"load": str(work / "spoilt-tokens/tokenizer")}
        )
        tokens = {"source": {"files": str(work / f"{name}.jsonl")}, "tokenizer": tokenizer}
        call(
            "tokenize",
            work / f"{name}-tokens",
            tokens | {"heldout": 0.3 if name == "clean" else 0.01, "workers": 1},
        )


def train(work: Path, model: str, arm: str, seed: int, steps: int) -> Path:
    out = work / f"{model}-{arm}-{steps}-{seed}"
    command, architecture, objective, batches = TRAINED[model]
    recipe = {
        "store": str(work / f"{arm}-tokens"),
        "model": architecture,
        "objective": objective,
        "train": {"steps": steps, "warmup": 0.05, "schedule": "linear", "optimizer": ADAM, **batches},
        "evaluate": {"every": steps, "batches": 2},
        "save": {"every": steps, "keep_last": 1},
        "seed": seed,
    }
    call(command, out, recipe)
    return out / "final"


def evaluated(work: Path, model: Path, name: str, pairs: Path) -> dict[str, float]:
    out = model.parent / "evaluated"
    if not (out / "evaluate.json").exists():
        most = "400" if name == "bert" else "4000"
        words = ["evaluate", str(model), "--store", str(work / "clean-tokens"), "--max-chars", most]
        if main([*words, "--minimal-pairs", str(pairs), "--limit", "100", "--out", str(out), "--overwrite"]):
            raise SystemExit(1)
    return json.loads((out / "evaluate.json").read_text())


def run(options: argparse.Namespace) -> None:
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    prepare(work, options.novels, options.characters)
    for model in options.models:
        found: dict[str, list[float]] = {"spoilt": [], "cleaned": []}
        for seed in options.seeds:
            for arm, values in found.items():
                folder = train(work, model, arm, seed, options.steps)
                figures = evaluated(work, folder, model, options.pairs)
                with (work / "results.jsonl").open("a") as file:
                    file.write(
                        json.dumps({"model": model, "arm": arm, "seed": seed, "figures": figures}) + "\n"
                    )
                values.append(bits(figures))
        gains = [a - b for a, b in zip(found["spoilt"], found["cleaned"], strict=True)]
        wide = T95[len(gains)] * stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else float("nan")
        print(
            f"{model}: bits per byte {mean(found['spoilt']):.4f} spoilt, {mean(found['cleaned']):.4f} cleaned; "
            f"difference {mean(gains):.4f} +- {wide:.4f} (95 %, {len(gains)} seeds)"
        )


def bits(figures: object) -> float:
    """Bits per byte, wherever evaluate.json has it."""
    if isinstance(figures, dict):
        if "bits_per_byte" in figures and isinstance(figures["bits_per_byte"], float):
            return figures["bits_per_byte"]
        figures = list(figures.values())
    if isinstance(figures, list):
        for one in figures:
            if isinstance(one, dict | list) and (found := bits(one)) == found:
                return found
    return float("nan")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--novels", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, default=Path("data/pairs"))
    parser.add_argument("--characters", type=int, default=4_000_000)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=list(TRAINED), default=list(TRAINED))
    run(parser.parse_args())
