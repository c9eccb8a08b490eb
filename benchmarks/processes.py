"""What benchmarks share: a process for each measurement, and what the machine can do at the most."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


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


def product(gpu: bool = False) -> float:
    """FLOP/s of a product in a process of its own, best of 10: fp32, 2048^3, or on a GPU bf16, 8192^3."""
    size = 8192 if gpu else 2048
    settings = f"{size}, {size}, device='cuda', dtype=torch.bfloat16" if gpu else f"{size}, {size}"
    wait = "torch.cuda.synchronize()" if gpu else "pass"
    code = (
        "import torch, time\n"
        f"a, b, best = torch.randn({settings}), torch.randn({settings}), 9.\n"
        "for _ in range(12):\n"
        f"    {wait}; t = time.perf_counter(); torch.mm(a, b); {wait}; best = min(best, time.perf_counter() - t)\n"
        f"print(2 * {size} ** 3 / best)\n"
    )
    return float(child([sys.executable, "-c", code])[0])
