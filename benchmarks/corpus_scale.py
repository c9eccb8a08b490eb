"""How much memory `nlptool corpus` takes, and how long, by the number of documents.

    python benchmarks/corpus_scale.py --english ../shared/data/pretrain_en/novels.jsonl.xz --documents 1000000

Documents are pieces of novels of about `--characters` with a tenth of their words drawn anew, so that none is like
another; every 20th is a copy of one before with 1 % of its words changed. Memory is the largest resident set of the
main process and of a worker, as the system counts it; the main process holds the keys of all documents, so its growth
from a tenth of the documents to all of them is what a document costs.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nlptool.text.config import Source
from nlptool.text.corpus import ReadStats, documents

MEASURED = """
import os, re, sys, threading, time
from pathlib import Path
from nlptool.cli import main

largest = anonymous = 0

def peak(process):  # not ru_maxrss, which begins with that of the process that started this one
    try:
        status = Path(f"/proc/{process}/status").read_text()
        found = re.search(r"VmHWM:\\s+(\\d+) kB", status)
        return int(found[1]) if found and "python" in status.partition("\\n")[0] else 0
    except OSError:
        return 0

def own_memory():  # without the pages of mapped files, which the system takes back when it needs them
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

def watch():
    global anonymous, largest
    own = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    while True:
        largest = max([largest, *map(peak, own.read_text().split())])
        anonymous = max(anonymous, own_memory())
        time.sleep(0.1)

if __name__ == "__main__":
    threading.Thread(target=watch, daemon=True).start()
    code = main(sys.argv[1:])
    used = os.times()
    spent = used.user + used.system + used.children_user + used.children_system
    print(peak("self"), anonymous, largest, spent, file=sys.stderr)
    sys.exit(code)
"""


SEARCHED = """
import re, sys
from pathlib import Path
import numpy as np
from nlptool.corpus import duplicates
from nlptool.corpus.config import Dedup, MinHash
count, folder = int(sys.argv[1]), Path(sys.argv[2])
chance = np.random.default_rng(0)
for part in range(4):
    (folder / str(part)).mkdir()
    keys = np.lib.format.open_memmap(folder / str(part) / "keys.npy", "w+", np.uint64, (17, count // 4))
    for row in range(17):
        keys[row] = chance.integers(0, 2**63, count // 4, np.uint64)
    keys.flush()
    del keys
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
Path("/proc/self/clear_refs").write_text("5")
found = duplicates.find([folder / str(part) for part in range(4)], Dedup(minhash=MinHash()), folder, lambda done: None)
assert not found.dropped
print(peak())
"""


def search(count: int) -> float:
    """Megabytes that the search for duplicates takes at most, among documents of which no two are alike."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-c", SEARCHED, str(count), name]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1000


def write(path: Path, english: Path, count: int, characters: int) -> int:
    """Write documents; their bytes of text."""
    chance = random.Random(0)
    words = " ".join(
        one.text
        for one, _ in zip(documents(Source(files=(str(english),)), ReadStats()), range(80), strict=False)
    ).split()
    length, size, last = characters // 6, 0, []
    with path.open("w", encoding="utf8") as file:
        for number in range(count):
            if number % 20 == 19:
                text = [chance.choice(words) if chance.random() < 0.01 else word for word in last]
            else:
                first = chance.randrange(len(words) - length)
                text = words[first : first + length]
                for _ in range(length // 10):
                    text[chance.randrange(length)] = chance.choice(words)
                last = text
            line = " ".join(text)
            size += len(line.encode())
            file.write(json.dumps({"text": line}, ensure_ascii=False) + "\n")
    return size


def run(folder: Path, file: Path, workers: int) -> dict[str, float]:
    """One run: seconds by the clock and of processors, megabytes of the main process and of the largest worker."""
    tool = folder / "measured.py"
    tool.write_text(MEASURED, "utf8")
    began = time.monotonic()
    command = [
        sys.executable,
        str(tool),
        "corpus",
        "corpus/fineweb",
        f"sources.web.files={file}",
        "language=null",
    ]
    command += [
        "filters.fineweb=null",
        "--workers",
        str(workers),
        "--out",
        str(folder / "out"),
        "--overwrite",
        "--json",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(result.stderr[-2000:])
    main_kb, own_kb, worker_kb, cpu = map(float, result.stderr.splitlines()[-1].split())
    report = json.loads(result.stdout)
    return {
        "seconds": time.monotonic() - began,
        "cpu": cpu,
        "main_mb": main_kb / 1000,
        "own_mb": own_kb / 1000,
        "worker_mb": worker_kb / 1000,
        "dropped_as_near": report["blocks"]["dedup"]["dropped"].get("dedup.minhash", 0),
        "kept": report["kept"]["documents"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--english", type=Path, help="documents to run on; none: the search for duplicates alone"
    )
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--characters", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.english is None:
        few, many = (search(count) for count in (given.documents // 10, given.documents))
        each = (many - few) * 1e6 / (0.9 * given.documents)
        print(
            f"search for duplicates among {given.documents // 10:,} documents: {few:.0f} MB at most, among "
            f"{given.documents:,}: {many:.0f} MB; {each:.0f} bytes a document"
        )
        return
    found = {}
    for count in (given.documents // 10, given.documents):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            size = write(folder / "web.jsonl", given.english, count, given.characters)
            found[count] = one = run(folder, folder / "web.jsonl", given.workers)
            print(
                f"{count:,} documents, {size / 1e6:,.0f} MB: {one['seconds']:.0f} s, {one['cpu']:.0f} s of processors "
                f"({size / 1e6 / one['cpu']:.2f} MB a second of one); main process {one['main_mb']:.0f} MB, "
                f"{one['own_mb']:.0f} MB without pages of mapped files, a worker "
                f"{one['worker_mb']:.0f} MB; {one['kept']:,.0f} kept, {one['dropped_as_near']:,.0f} near duplicates",
                flush=True,
            )
    few, many = sorted(found)
    all_of_it, own = (
        (found[many][name] - found[few][name]) * 1e6 / (many - few) for name in ("main_mb", "own_mb")
    )
    print(
        f"the main process grows by {all_of_it:.0f} bytes a document, {own:.0f} of them not pages of mapped files"
    )


if __name__ == "__main__":
    main()
