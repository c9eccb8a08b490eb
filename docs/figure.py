"""Draws docs/demo.svg from the metrics of runs/demo: what the README's first picture shows.

python docs/figure.py runs/demo docs/demo.svg
"""

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt

UNIGRAM = 6.718
"""Entropy of the held-out tokens' frequencies in nats, as `nlptool tokenize demo/tokenize` prints it."""


def main(run: Path, out: Path) -> None:
    """The held-out loss against tokens, with the entropy of word frequencies."""
    tokens, losses, seen = [], [], 0
    for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        seen = line.get("tokens", seen)
        if "heldout/mlm" in line:
            tokens.append(seen / 1e6)
            losses.append(line["heldout/mlm"])
    plt.rcParams["svg.hashsalt"] = "nlptool"
    plt.rcParams["font.size"] = 9
    figure, axes = plt.subplots(figsize=(6.4, 2.6))
    axes.axhline(UNIGRAM, color="gray", linewidth=1, linestyle="--")
    axes.annotate(
        "entropy of word frequencies",
        (tokens[-1], UNIGRAM),
        ha="right",
        va="top",
        color="gray",
        xytext=(0, -3),
        textcoords="offset points",
    )
    axes.plot(tokens, losses, marker="o", markersize=3, color="#0072b2")
    axes.annotate(f"{losses[-1]:.2f}", (tokens[-1], losses[-1]), xytext=(4, 4), textcoords="offset points")
    axes.set_ylim(4.3, 7)
    axes.set_xlabel("tokens read (millions)")
    axes.set_ylabel("held-out loss (nats)")
    axes.set_title("A masked language model of 1.5 million parameters on the demo's text", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
