"""The working half of `corpus`."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nlptool.atomic_files import read_json, write_json
from nlptool.commands.corpus import shards
from nlptool.commands.corpus.recipe import Decontaminate, Recipe, Work
from nlptool.commands.corpus.report import facts_of, rules_of, summary
from nlptool.commands.corpus.shards import STRETCHES
from nlptool.console import Console, Options
from nlptool.corpus import duplicates, engine, stretches, writing
from nlptool.corpus.config import Shard
from nlptool.corpus.decontaminate import Benchmark, benchmark
from nlptool.corpus.duplicates import Duplicates
from nlptool.corpus.pipeline import Blocks, blocks
from nlptool.corpus.stretches import Group
from nlptool.errors import DataError
from nlptool.formatting import counted
from nlptool.manifests import atomic_folder, recorded
from nlptool.prompting.requests import read_task
from nlptool.recipe import digest
from nlptool.runs import folder
from nlptool.text.corpus import ReadStats
from nlptool.text.sources import CORPUS

INPUT, REPORT = "input.json", "report.json"


def dry_run(work: Work, options: Options, console: Console) -> None:
    """Look for everything that would be read."""
    recipe = work.recipe
    found, notes = stretches.groups(recipe.sources)
    console.notes(notes)
    facts: dict[str, Any] = {
        "sources": {name: _listed(recipe, found, name) for name in recipe.sources},
        "blocks": [block.name for block in blocks(_plan(recipe))],
        "dedup": recipe.dedup.model_dump(mode="json"),
        "output": recipe.output.format,
        "workers": _workers(recipe),
        "out": recipe.out,
    }
    if options.json:
        console.json(facts)
        return
    minhash = recipe.dedup.minhash
    dedup = ["exact"] * recipe.dedup.exact + (
        [f"MinHash {minhash.bands}x{minhash.rows} of {minhash.ngram}-grams, verify {minhash.verify}"]
        if minhash
        else []
    )
    shown = {
        f"source {name}": f"{counted(one['files'], 'files')}, {one['bytes']:,} bytes"
        for name, one in facts["sources"].items()
    }
    console.facts(
        "corpus, dry run: nothing was written",
        shown
        | {
            "blocks": ", ".join(facts["blocks"]) or "none",
            "dedup": ", ".join(dedup) or "none",
            "output": facts["output"],
            "workers": facts["workers"],
            "out": recipe.out,
        },
    )


def run(work: Work, options: Options, console: Console) -> None:
    """Make the corpus, or of a shard its part of the first phase; what is done already is kept."""
    recipe, shard = work
    out = Path(recipe.out)
    if shard.of > 1:
        _shard(work, options, console)
        return
    resumed = _resumed(out, recipe, options)
    shards.require_ended(out)
    if resumed and (out / CORPUS).is_file():
        console.note(f"{out}: is finished, nothing to do")
        _show(out, read_json(out / REPORT, dict), options, console)
        return
    found, notes = stretches.groups(recipe.sources)
    console.notes(notes)
    if not resumed:
        folder.create_run_folder(out, recipe, _environment(), overwrite=options.overwrite)
    began = time.monotonic()
    tallies = _stretches(recipe, out, found, shard, console)
    report = _finish(recipe, out, tallies, console)
    console.note(f"done in {time.monotonic() - began:.0f} s")
    _show(out, report, options, console)


def _shard(work: Work, options: Options, console: Console) -> None:
    """A shard's part of the first phase."""
    recipe, shard = work
    out, number = Path(recipe.out), f"{shard.number + 1} of {shard.of}"

    def begin() -> None:
        if (out / "recipe.yaml").is_file():
            folder.check_resume(out, recipe)
        else:
            folder.create_run_folder(out, recipe, _environment(), overwrite=False)

    shards.join(out, shard, begin)
    if (out / CORPUS).is_file():
        console.note(f"{out}: is finished, nothing to do")
    else:
        found, notes = stretches.groups(recipe.sources)
        console.notes(notes)
        _stretches(recipe, out, found, shard, console)
    if options.json:
        console.json({"out": str(out), "shard": f"{shard.number + 1}/{shard.of}"})
    else:
        console.note(f"{out}: shard {number} is done; after the last, run with --resume auto")


def _resumed(out: Path, recipe: Recipe, options: Options) -> bool:
    """Whether `out` holds this corpus, begun or finished. Raises UsageError where it holds another one."""
    previous = folder.prepare_output_folder(out, options, recipe=recipe)
    if previous is None or not (previous / "recipe.yaml").is_file():
        return False
    folder.check_resume(previous, recipe)
    return True


def _stretches(
    recipe: Recipe, out: Path, found: list[Group], shard: Shard, console: Console
) -> dict[str, ReadStats]:
    """The first phase: all stretches that are not done yet."""
    work = out / STRETCHES
    work.mkdir(exist_ok=True)
    _require_same_input(work / INPUT, found)
    size = sum(group.size for group in found)
    with console.progress("filtering", size or None, "B") as bar:
        return engine.run(work, found, recipe.sources, _plan(recipe), _workers(recipe), shard, bar.to)


def _require_same_input(path: Path, found: list[Group]) -> None:
    """Keep what is read, and raise DataError where a run that is resumed began with something else."""
    now = [[group.source, *([str(file.path), file.size] for file in group.files)] for group in found]
    try:
        before = read_json(path, list, "start again with --overwrite")
    except FileNotFoundError:
        write_json(path, now)
        return
    if before != now:
        changed = [name for name, *files in now if [name, *files] not in before] or ["some"]
        raise DataError(
            f"{path.parent.parent}: its sources have changed since it was begun ({changed[0]})",
            hint="put the files back, or start again with --overwrite",
        )


def _finish(recipe: Recipe, out: Path, tallies: Mapping[str, ReadStats], console: Console) -> dict[str, Any]:
    """The second and third phase: duplicates, then what is written. The report."""
    parts = engine.parts(out / STRETCHES)
    statistics = engine.statistics(parts)
    if not statistics.kept:
        worst = max(
            (count, rule)
            for block in statistics.blocks.values()
            for rule, count in (block.dropped or {"nothing": 0}).items()
        )
        raise DataError(
            f"{out}: no document is left; the rule {worst[1]} dropped most, {worst[0]:,}",
            hint="change the limit of that rule in the recipe, or leave the rule out",
        )
    found = _duplicates(recipe, out, parts, statistics.kept, console)
    with atomic_folder(out / "data") as aside, console.progress("writing", statistics.kept_bytes, "B") as bar:
        written = writing.write_data(aside, parts, found, recipe.output, bar.to)
    with atomic_folder(out / "dropped") as aside:
        writing.write_dropped(aside, parts, found, recipe.output.dropped, recipe.seed)
    report = summary(statistics, written, tallies, found)
    write_json(out / REPORT, report)
    facts = {
        "documents": report["kept"]["documents"],
        "bytes": report["kept"]["bytes"],
        "recipe": digest(recipe.model_copy(update={"workers": None, "out": ""})),
        "files": {f"data/{name}": facts for name, facts in recorded((out / "data").iterdir()).items()},
    }
    write_json(out / CORPUS, facts)
    shutil.rmtree(out / STRETCHES)
    return report


def _duplicates(recipe: Recipe, out: Path, parts: list[Path], documents: int, console: Console) -> Duplicates:
    aside = out / STRETCHES / ".shingles"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        with console.progress("comparing", None, "documents") as bar:
            return duplicates.find(parts, recipe.dedup, aside, bar.to)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _plan(recipe: Recipe) -> Blocks:
    """What workers do. Raises DataError where a benchmark is not there, UsageError where a package is not."""
    cut = recipe.decontaminate
    plan = Blocks(
        recipe.filters,
        recipe.dedup,
        recipe.output.dropped,
        recipe.seed,
        recipe.urls,
        recipe.extract,
        frozenset(name for name, source in recipe.sources.items() if source.is_html),
        recipe.repair,
        recipe.language,
        recipe.pii,
        None if cut is None else cut.rule,
        () if cut is None else tuple(_benchmarks(cut)),
    )
    list(blocks(plan))  # what is missing is told before anything is read
    return plan


def _benchmarks(block: Decontaminate) -> Iterator[Benchmark]:
    for spec in block.tasks:
        task = read_task(spec, None if block.data is None else Path(block.data), 0, None, 0)
        synthetic = task.task.source is not None and task.task.source.synthetic is not None
        yield benchmark([instance.fewshot_example for instance in task.instances], synthetic=synthetic)


def _environment() -> dict[str, Any]:
    import platform

    import numpy

    from nlptool import __version__

    return {"nlptool": __version__, "python": platform.python_version(), "numpy": numpy.__version__}


def _listed(recipe: Recipe, found: list[Group], name: str) -> dict[str, int]:
    mine = [group for group in found if group.source == name]
    return {"files": sum(len(group.files) for group in mine), "bytes": sum(group.size for group in mine)}


def _show(out: Path, report: dict[str, Any], options: Options, console: Console) -> None:
    if options.json:
        console.json(report | {"out": str(out)})
        return
    console.facts(f"{out}: a corpus", facts_of(report))
    if rows := rules_of(report):
        console.result("")
        console.table(("rule", "dropped", "share", "limit"), rows, title="what was dropped, by rule")


def _workers(recipe: Recipe) -> int:
    return recipe.workers or (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
