"""Implementation of `corpus`."""

import shutil
import time
from pathlib import Path
from typing import Any

from nlptool.atomic_files import read_json, write_json
from nlptool.commands.corpus import look, shards, views
from nlptool.commands.corpus.finish import AGAIN, REPORT, finish
from nlptool.commands.corpus.recipe import Recipe, Work
from nlptool.commands.corpus.report import LIKE
from nlptool.commands.corpus.setup import CorpusSetup
from nlptool.commands.corpus.shards import STRETCHES
from nlptool.console import Console, Options
from nlptool.corpus import engine, stretches
from nlptool.corpus.config import Shard
from nlptool.corpus.pipeline import blocks
from nlptool.corpus.stretches import Group
from nlptool.errors import DataError
from nlptool.formatting import counted
from nlptool.manifests import digest as file_digest
from nlptool.runs import folder
from nlptool.text.corpus import ReadStats
from nlptool.text.sources import CORPUS

INPUT = "input.json"


def dry_run(work: Work, options: Options, console: Console) -> None:
    """Check all sources."""
    recipe, setup = work.recipe, CorpusSetup(work.recipe)
    found, notes = stretches.groups(recipe.sources)
    console.notes(notes)
    setup.require_samples()
    setup.against()
    facts: dict[str, Any] = {
        "sources": {name: _listed(recipe, found, name) for name in recipe.sources},
        "blocks": [block.name for block in blocks(setup.plan())],
        "repeated_lines": recipe.repeated_lines and recipe.repeated_lines.model_dump(mode="json"),
        "dedup": recipe.dedup.model_dump(mode="json"),
        "mix": recipe.mix and recipe.mix.model_dump(mode="json"),
        "output": recipe.output.format,
        "workers": setup.workers,
        "out": recipe.out,
    }
    if options.json:
        console.json(facts)
        return
    shown = {
        f"source {name}": f"{counted(one['files'], 'files')}, {one['bytes']:,} bytes"
        for name, one in facts["sources"].items()
    }
    console.facts(
        "corpus, dry run: nothing was written",
        shown
        | {
            "blocks": ", ".join(facts["blocks"]) or "none",
            **_of_all_documents(recipe),
            "output": facts["output"],
            "workers": facts["workers"],
            "out": recipe.out,
        },
    )


def _of_all_documents(recipe: Recipe) -> dict[str, str]:
    """The steps over all documents, for people."""
    minhash, shown = recipe.dedup.minhash, {}
    if recipe.repeated_lines is not None:
        most = counted(recipe.repeated_lines.max_documents, "documents")
        shown["repeated lines"] = f"those in more than {most} of one {recipe.repeated_lines.scope}"
    dedup = ["exact"] * recipe.dedup.exact
    if minhash is not None:
        dedup.append(
            f"MinHash {minhash.bands}x{minhash.rows} of {minhash.ngram}-grams, verify {minhash.verify}"
        )
    shown["dedup"] = ", ".join(dedup) or "none"
    if recipe.mix is not None:
        shown["mix"] = ", ".join(f"{name} {weight:g}" for name, weight in recipe.mix.weights.items())
    return shown


def run(work: Work, options: Options, console: Console) -> None:
    """Build the corpus, or a shard's part of the first phase; finished parts are kept."""
    recipe, shard, view = work
    setup = CorpusSetup(recipe)
    out = setup.out
    if view is not None:
        look.look(setup, view, options, console)
        return
    if shard.of > 1:
        _shard(work, options, console)
        return
    resumed = _resumed(out, recipe, options)
    shards.require_ended(out)
    if resumed and (out / CORPUS).is_file():
        shutil.rmtree(out / STRETCHES, ignore_errors=True)  # which a kill may have left after the last file
        console.note(f"{out}: is finished, nothing to do")
        views.show_report(out, read_json(out / REPORT, dict, AGAIN, LIKE), options, console)
        return
    found, notes = stretches.groups(recipe.sources)
    console.notes(notes)
    if not resumed:
        folder.create_run_folder(out, recipe, _environment(), overwrite=options.overwrite)
    began = time.monotonic()
    tallies = _stretches(setup, found, shard, console)
    report = finish(setup, tallies, console)
    console.note(f"done in {time.monotonic() - began:.0f} s")
    views.show_report(out, report, options, console)


def _shard(work: Work, options: Options, console: Console) -> None:
    """A shard's part of the first phase."""
    recipe, shard, _ = work
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
        _stretches(CorpusSetup(recipe), found, shard, console)
    if options.json:
        console.json({"out": str(out), "shard": f"{shard.number + 1}/{shard.of}"})
    else:
        console.note(f"{out}: shard {number} is done; after the last, run with --resume auto")


def _resumed(out: Path, recipe: Recipe, options: Options) -> bool:
    """Whether `out` holds this corpus, started or finished. Raises UsageError where it holds another one."""
    previous = folder.prepare_output_folder(out, options, recipe=recipe)
    if previous is None or not (previous / "recipe.yaml").is_file():
        return False
    folder.check_resume(previous, recipe)
    return True


def _stretches(
    setup: CorpusSetup, found: list[Group], shard: Shard, console: Console
) -> dict[str, ReadStats]:
    """The first phase: all unfinished stretches."""
    work = setup.out / STRETCHES
    work.mkdir(exist_ok=True)
    classifier = setup.classifier(console, keep=True)
    _require_same_input(work / INPUT, found, setup.dedup.against)
    size = sum(group.size for group in found)
    with console.progress("filtering", size or None, "B") as bar:
        return engine.run(work, found, setup.sources, setup.plan(classifier), setup.workers, shard, bar.to)


def _require_same_input(path: Path, found: list[Group], against: tuple[str, ...]) -> None:
    """Record the input, or raise DataError where a resumed run started with another one."""
    now = [[group.source, *([str(file.path), file.size] for file in group.files)] for group in found]
    now += [["dedup.against", [name, file_digest(Path(name) / CORPUS)]] for name in against]
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


def _environment() -> dict[str, Any]:
    import platform

    import numpy

    from nlptool import __version__

    return {"nlptool": __version__, "python": platform.python_version(), "numpy": numpy.__version__}


def _listed(recipe: Recipe, found: list[Group], name: str) -> dict[str, int]:
    mine = [group for group in found if group.source == name]
    return {"files": sum(len(group.files) for group in mine), "bytes": sum(group.size for group in mine)}
