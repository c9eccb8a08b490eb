"""Implementation of `knowledge`."""

import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from nlptool.atomic_files import write_text
from nlptool.commands.knowledge.recipe import Recipe
from nlptool.console import Console, Options
from nlptool.formatting import counted, duration, quantity
from nlptool.knowledge import sources
from nlptool.knowledge.build import GraphBuilder, pairs_of
from nlptool.knowledge.graph import FACTS, SPLITS, Graph
from nlptool.knowledge.questions import QuestionPlan
from nlptool.knowledge.relations import merge_table
from nlptool.knowledge.sources import Layout, ReadTally
from nlptool.manifests import atomic_folder
from nlptool.recipe import KEPT, dump
from nlptool.runs import folder
from nlptool.text.sources import File

SHOWN = 5  # files listed in a dry run


def dry_run(recipe: Recipe, options: Options, console: Console) -> None:
    """Check all sources."""
    files = _files(recipe)
    labels = sources.files_of(recipe.labels)
    pairs = [file for task in recipe.without for file in sources.files_of(task.files)]
    groups = recipe.relations.groups
    facts: dict[str, Any] = {
        "source": {split: [str(file.path) for file in found] for split, found in files.items()}
        if not recipe.source.package
        else {"package": recipe.source.package},
        "bytes": sum(file.size for found in files.values() for file in found),
        "relations": None if groups is None else len(groups),
        "labels": [str(file.path) for file in labels],
        "without": [str(file.path) for file in pairs],
        "questions": sorted(recipe.questions.templates) if recipe.questions else [],
        "out": recipe.out,
    }
    if recipe.source.package:
        facts["triples"] = len(sources.package(recipe.source.package)[0].heads)
    if options.json:
        console.json(facts)
        return
    shown = {
        "source": recipe.source.package
        or "; ".join(f"{split}: {_listed(found)}" for split, found in files.items() if found),
        "size": quantity(facts["bytes"], "B")
        if not recipe.source.package
        else counted(facts["triples"], "triples"),
        "relations": "as they are" if groups is None else f"merged to {len(groups)}",
        "labels": _listed(labels) or "none",
        "without the pairs of": _listed(pairs) or "nothing",
        "questions of": ", ".join(facts["questions"]) or "nothing",
        "out": recipe.out,
    }
    console.facts("knowledge, dry run: nothing was written", shown)


def run(recipe: Recipe, options: Options, console: Console) -> None:
    """Build the graph atomically. A finished one is reported."""
    out = Path(recipe.out)
    previous = folder.prepare_output_folder(out, options, recipe=recipe)
    if previous is not None and (previous / FACTS).exists():
        folder.check_resume(previous, recipe)
        graph = Graph(previous)
        console.note(f"{previous}: is finished, nothing to do")
        _show(previous, graph.info, options, console)
        return
    _files(recipe)  # reported before the work begins
    began = time.monotonic()
    groups = recipe.relations.groups
    builder = GraphBuilder(
        None if groups is None else merge_table(groups),
        keep_loops=recipe.loops == "keep",
        letters_only=recipe.letters_only,
        drop=recipe.relations.drop,
        shares=(recipe.split.validation, recipe.split.test),
        questions=None if recipe.questions is None else QuestionPlan(**recipe.questions.model_dump()),
    )
    named = _read(recipe, builder, console)
    for task in recipe.without:
        rows = sources.pairs(sources.files_of(task.files), task.head, task.tail)
        builder.without(pairs_of(rows))
    with atomic_folder(out) as aside:
        labels = chain(named, sources.labels(sources.files_of(recipe.labels)))
        facts = builder.write(aside, labels)
        write_text(aside / KEPT, dump(recipe))
    console.note(f"built in {duration(time.monotonic() - began)}")
    _show(out, facts, options, console)


def _files(recipe: Recipe) -> dict[str, list[File]]:
    """The files of each split. Raises DataError for missing ones."""
    source = recipe.source
    if source.package:
        return {}
    if source.format == "openke":
        found = sources.openke_files(source.files)
        return {split: [found[name]] for split, name in sources.OPENKE.items() if name in found}
    names = {"train": source.files, "validation": source.validation, "test": source.test}
    return {split: sources.files_of(given) for split, given in names.items()}


def _read(recipe: Recipe, builder: GraphBuilder, console: Console) -> list[tuple[str, str]]:
    """Give the builder all triples of the source; returns its labels."""
    source = recipe.source
    if source.package:
        columns, labels = sources.package(source.package)
        builder.add(columns)
        return labels
    files = _files(recipe)
    layout = Layout(source.format, source.columns, source.fields, source.language)
    openke = sources.openke_files(source.files) if source.format == "openke" else None
    size = sum(file.size for found in files.values() for file in found)
    with console.progress("reading triples", size or None, "B") as bar:
        done = 0
        for split in SPLITS:
            tally = ReadTally(source.on_error == "stop", read=done)
            if openke is not None:
                parts: Iterator[Any] = sources.openke_triples(openke, split, tally, bar.to)
            else:
                parts = chain.from_iterable(
                    sources.triples(file, layout, tally, bar.to) for file in files.get(split, ())
                )
            for columns in parts:
                builder.add(columns, split)
            for why, number in tally.dropped.items():
                builder.stats.drop(split, why, number)
            done = tally.read
    return []


def _show(out: Path, facts: dict[str, Any], options: Options, console: Console) -> None:
    if options.json:
        kept = {key: value for key, value in facts.items() if key != "files"}
        console.json(kept | {"out": str(out)})
        return
    splits = {split: number for split, number in facts["triples"].items() if number or split == "train"}
    shown = {
        "entities": f"{facts['entities']:,}",
        "relations": f"{facts['relations']:,}",
        **{f"{split} triples": f"{number:,}" for split, number in splits.items()},
    }
    if facts["labels"] or facts["labels_of_others"]:
        others = facts["labels_of_others"]
        note = f", {others:,} of entities that are not in the graph left out" if others else ""
        shown["labels"] = f"{facts['labels']:,}{note}"
    if facts["pairs_without"]:
        shown["pairs of tasks"] = f"{facts['pairs_without']:,}, whose triples were taken out"
    if "questions" in facts:
        numbers = ", ".join(f"{number:,} for {split}" for split, number in facts["questions"].items())
        shown["questions"] = f"{numbers}, whose triples were taken out"
    dropped = {
        split: ", ".join(f"{number:,} {why}" for why, number in found.items())
        for split, found in facts["dropped"].items()
    }
    several = len(dropped) > 1
    shown["dropped"] = (
        "; ".join(
            f"{split}: {note}" if several or split != "train" else note for split, note in dropped.items()
        )
        or "nothing"
    )
    shown["fingerprint"] = facts["fingerprint"][:12]
    console.facts(f"{out}: a knowledge graph", shown)


def _listed(files: list[File]) -> str:
    names = [str(file.path) for file in files[:SHOWN]]
    return ", ".join(names) + (f" and {len(files) - SHOWN:,} more" if len(files) > SHOWN else "")
