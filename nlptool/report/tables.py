"""Tables of a report: final figures, differences of recipes, environments."""

from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

from nlptool.formatting import counted, duration, significant
from nlptool.metric_table import HELD_OUT, describe
from nlptool.recipe import difference
from nlptool.report.runs import Run

DIGITS = 12  # characters of a digest
NOT_COMPARED = ("out",)  # the path of a run is not a difference


class Table(NamedTuple):
    """Rows of text under headings."""

    columns: list[str]
    rows: list[list[str]]


def turned(table: Table) -> Table:
    """Its columns as rows."""
    columns, *rows = zip(table.columns, *table.rows, strict=True)
    return Table([str(name) for name in columns], [[str(cell) for cell in row] for row in rows])


def facts(run: Run) -> dict[str, Any]:
    """The final or current figures of a run."""
    speeds = run.figures.get("tokens_per_second")
    tokens = run.last("tokens")
    parameters = run.last("parameters")
    return {
        "name": run.name,
        "path": str(run.path),
        "finished": run.finished,
        "step": run.step,
        "steps": run.steps,
        "heldout": {
            name.removeprefix(HELD_OUT): run.ended(name) for name in run.figures if name.startswith(HELD_OUT)
        },
        "training": {name: run.last(name) for name in run.figures if describe(name).kind == "loss"},
        "unigram_entropy": run.unigram_entropy,
        "parameters": None if parameters is None else int(parameters),
        "tokens": None if tokens is None else int(tokens),
        "flops": run.last("flops"),
        "seconds": run.last("seconds"),
        "tokens_per_second": median(speeds.values) if speeds else None,
    }


def final(runs: Sequence[Run]) -> Table:
    """A row for each run."""
    found = [facts(run) for run in runs]
    heldout = list(dict.fromkeys(name for fact in found for name in fact["heldout"]))
    columns = ["run", "state", *(f"held-out {describe(name).title}" for name in heldout)]
    entropy = any(fact["unigram_entropy"] is not None for fact in found)
    columns += ["unigram entropy"] * entropy + ["parameters", "tokens", "FLOPs", "time", "tokens/s"]
    rows = []
    for fact in found:
        row = [fact["name"], _state(fact)]
        row += [_value(name, fact["heldout"].get(name)) for name in heldout]
        row += [_value("unigram_entropy", fact["unigram_entropy"])] * entropy
        row += [_count(fact["parameters"]), _count(fact["tokens"])]
        row += ["" if fact["flops"] is None else significant(fact["flops"])]
        row += ["" if fact["seconds"] is None else duration(fact["seconds"])]
        rows.append([*row, _count(fact["tokens_per_second"])])
    filled = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    return Table([columns[i] for i in filled], [[row[i] for i in filled] for row in rows])


def differences(runs: Sequence[Run]) -> Table:
    """A row for each key of the recipe that differs between runs."""
    first, *others = [run.recipe for run in runs]
    paths = dict.fromkeys(
        path
        for other in others
        for change in difference(first, other)
        for path in _leaves(change.path, change.old, change.new)
    )
    keys = [
        path for path in paths if path not in NOT_COMPARED and not any(map(paths.__contains__, _above(path)))
    ]
    shown = [[key, *(_show(_at(run.recipe, key)) for run in runs)] for key in keys]
    return Table(
        ["key", *(run.name for run in runs)],
        [
            row for row in shown if set(row[1:]) != {_show(None)}
        ],  # keys of a block that one run has, and the other does not set
    )


def _leaves(path: str, *values: Any) -> list[str]:
    """The keys of a block that only some recipes have; else the key itself."""
    blocks = [value for value in values if isinstance(value, dict)]
    if not blocks or not all(isinstance(value, dict) or value is None for value in values):
        return [path]
    return [
        leaf
        for key in dict.fromkeys(key for block in blocks for key in block)
        for leaf in _leaves(f"{path}.{key}", *(block.get(key) for block in blocks))
    ]


def environment(runs: Sequence[Run]) -> Table:
    """A row for each fact; one column if all runs agree."""
    rows = _environment_rows(runs)
    if all(len(set(row[1:])) == 1 for row in rows):
        return Table(["", "all runs" if len(runs) > 1 else runs[0].name], [row[:2] for row in rows])
    return Table(["", *(run.name for run in runs)], rows)


def other_ground(runs: Sequence[Run]) -> Table:
    """A row for each version, device or digest of inputs that differs between runs."""
    columns, rows = ["", *(run.name for run in runs)], _environment_rows(runs)
    return Table(columns, [row for row in rows if len(set(row[1:])) > 1])


def _environment_rows(runs: Sequence[Run]) -> list[list[str]]:
    flat = [_flat(run.environment) for run in runs]
    keys = list(dict.fromkeys(key for facts in flat for key in facts))
    return [[key, *(_show(facts.get(key)) for facts in flat)] for key in keys]


def _above(path: str) -> list[str]:
    """The prefixes of a dotted key: of a.b.c these are a and a.b."""
    return [path[:end] for end, letter in enumerate(path) if letter == "."]


def _state(fact: dict[str, Any]) -> str:
    if not fact["step"]:
        return "no figures yet"
    if fact["finished"]:
        return f"finished, {counted(fact['step'], 'steps')}"
    return f"at step {fact['step']:,}" + (f" of {fact['steps']:,}" if fact["steps"] else "")


def _value(name: str, value: float | None) -> str:
    return "" if value is None else describe(name).show(value)


def _count(number: float | None) -> str:
    return "" if number is None else f"{number:,.0f}"


def _at(recipe: Any, path: str) -> Any:
    """The value of a dotted key; None if it is missing."""
    for part in path.split("."):
        if isinstance(recipe, dict):
            recipe = recipe.get(part)
        elif isinstance(recipe, list | tuple) and part.isdigit() and int(part) < len(recipe):
            recipe = recipe[int(part)]
        else:
            return None
    return recipe


def _flat(facts: dict[str, Any]) -> dict[str, Any]:
    """Nested objects flattened: packages.torch becomes torch; digests of inputs are shortened."""
    flat: dict[str, Any] = {}
    for name, value in facts.items():
        if name == "models" and isinstance(value, dict):
            flat |= {f"digest of {key}": str(digest)[:DIGITS] for key, digest in value.items()}
        else:
            flat |= value if isinstance(value, dict) else {name: value}
    return flat


def _show(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_show, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_show(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, float):
        mantissa, e, exponent = f"{value:g}".partition("e")
        return f"{mantissa}e{int(exponent)}" if e else mantissa
    return str(value)
