"""Run folders with figures that can be checked by hand."""

import json
from pathlib import Path
from typing import Any

ENVIRONMENT = {"nlptool": "0.1", "packages": {"torch": "2.13.0"}, "device": "cpu"}


def write_run(path: Path, lines: list[dict[str, Any]], *, lr: float = 1e-3, ended: bool = False) -> Path:
    """A run folder with these lines of metrics.jsonl."""
    path.mkdir(parents=True)
    (path / "recipe.yaml").write_text(f"store: nowhere\ntrain:\n  steps: 100\n  lr: {lr}\nout: {path}\n")
    (path / "environment.json").write_text(json.dumps(ENVIRONMENT))
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if ended:
        (path / "final").mkdir()
    return path


def falling(points: int = 30, every: int = 10) -> list[dict[str, Any]]:
    """A loss that falls from 9 on, with held-out figures at every fifth point and the costs of a real run."""
    lines: list[dict[str, Any]] = []
    for point in range(1, points + 1):
        step = point * every
        loss = 4 + 5 * 0.9**point + 0.1 * (-1) ** point
        line = {"step": step, "tokens": 100 * step, "seconds": 0.5 * step, "mlm": loss, "lr": 1e-3 / point}
        if point >= 2:
            line["flops"] = 2e8 * step
        if point == 2:
            line["parameters"] = 1234
        lines.append(line | {"grad_norm": 1.0, "tokens_per_second": 200.0})
        if point % 5 == 0:
            lines.append({"step": step, "heldout/mlm": loss + 0.2, "heldout/mlm_accuracy": point / 100})
    return lines
