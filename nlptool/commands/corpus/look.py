"""Inspection of a corpus: a sample through the blocks, a rule's effect, the result for one document."""

import json
import tempfile
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from nlptool.atomic_files import read_json
from nlptool.commands.corpus import finish, views
from nlptool.commands.corpus.recipe import View
from nlptool.commands.corpus.report import LIKE
from nlptool.commands.corpus.setup import CorpusSetup
from nlptool.commands.corpus.shards import STRETCHES
from nlptool.console import Console, Options
from nlptool.corpus import engine, records_file, samples, stretches
from nlptool.corpus.config import CorpusSource
from nlptool.corpus.document import Document, uniform
from nlptool.corpus.pipeline import Passage, Pipeline
from nlptool.errors import DataError, UsageError
from nlptool.formatting import counted
from nlptool.text.corpus import ReadStats
from nlptool.text.sources import CORPUS, File

READ = 10  # documents read from a file for each one sampled


def look(setup: CorpusSetup, view: View, options: Options, console: Console) -> None:
    """Show the requested view. Raises UsageError where there is no such corpus, rule or document."""
    if view.urls:
        for url in setup.addresses():
            console.piece(f"{url}\n" if not options.json else f"{json.dumps(url)}\n")
        return
    if view.id is not None:
        _document(setup, view.id, options, console)
        return
    if view.sample is not None:
        with tempfile.TemporaryDirectory(prefix="nlptool-") as name:
            out = Path(name)
            report = _sample(setup, view.sample, out, console)
            _show(
                f"tried on {counted(report['read']['documents'], 'documents')}",
                setup,
                out,
                report,
                view.rule,
                options,
                console,
            )
        return
    out = setup.out
    if not (out / CORPUS).is_file():
        raise UsageError(
            f"{out}: no corpus is there yet", hint="make it first, or try the blocks with --sample 1000"
        )
    report = read_json(out / finish.REPORT, dict, finish.AGAIN, LIKE)
    _show(out, setup, out, report, view.rule, options, console)


def _show(
    title: str | Path,
    setup: CorpusSetup,
    out: Path,
    report: dict[str, Any],
    rule: str | None,
    options: Options,
    console: Console,
) -> None:
    if rule is None:
        views.show_report(title, report, options, console)
        return
    if "rules" not in report:
        raise UsageError(
            f"{out}: an earlier version made this corpus, and kept no rules",
            hint="make it again with --overwrite",
        )
    if rule not in report["rules"]:
        raise UsageError(
            f"--rule {rule}: no such rule here", hint=f"one of {', '.join(report['rules']) or 'none'}"
        )
    most = samples.LEAST if options.json else views.SHOWN
    views.show_rule(
        rule, setup.description(rule), report, samples.of_rule(out, rule, setup.seed, most), options, console
    )


def _sample(setup: CorpusSetup, count: int, out: Path, console: Console) -> dict[str, Any]:
    """The report on a corpus built from a sample, in a temporary folder."""
    found, notes = stretches.groups(setup.sources)
    console.notes(notes)
    tallies = {name: ReadStats() for name in setup.sources}
    documents = list(_drawn(setup, found, count, tallies))
    if not documents:
        raise DataError("the sources hold no document", hint="see where they are read from with --dry-run")
    (out / STRETCHES).mkdir()
    every = setup.keeping_all()
    pipeline = Pipeline(every.plan(every.classifier(console, keep=False)))
    try:
        for number, (_, some) in enumerate(groupby(documents, key=lambda one: one.source)):
            name = stretches.Part(number, 0).name
            engine.write_stretch(out / STRETCHES / name, pipeline, list(some))
    finally:
        pipeline.close()
    second_pass = finish.without_repeated_lines(every, out, console)
    return finish.write(every, out, second_pass, tallies, console)


def _drawn(
    setup: CorpusSetup, found: list[stretches.Group], count: int, tallies: dict[str, ReadStats]
) -> Iterator[Document]:
    """About `count` documents, distributed over sources and files by size; from a file those of the lowest hashes."""
    total = sum(group.size for group in found)
    for name, groups in groupby(found, key=lambda group: group.source):
        source, files = setup.sources[name], [file for group in groups for file in group.files]
        size = sum(file.size for file in files)
        wanted = max(1, round(count * size / total) if total and files else count // len(setup.sources))
        files = files[:: max(1, -(-len(files) // wanted))]
        size = sum(file.size for file in files)
        tally = ReadStats()
        drawn = 0
        listed: list[File | None] = [*files] or [None]
        for file in listed:
            each = wanted if file is None else max(1, round(wanted * file.size / max(size, 1)))
            read = list(islice(_documents(source, name, file, tally), READ * each))
            read = [one for _, one in sorted(_lowest(read, each, setup.seed))]
            drawn += len(read)
            yield from read
        tally.documents = drawn
        tallies[name] = tally


def _lowest(read: list[Document], count: int, seed: int) -> list[tuple[int, Document]]:
    order = sorted(range(len(read)), key=lambda place: (uniform(seed, read[place].text), place))
    return [(place, read[place]) for place in order[:count]]


def _documents(source: CorpusSource, name: str, file: File | None, tally: ReadStats) -> Iterator[Document]:
    group = stretches.Group(0, name, () if file is None else (file,))
    for _, documents in stretches.stretches(group, source, tally):
        yield from documents


def _document(setup: CorpusSetup, id: str, options: Options, console: Console) -> None:  # noqa: A002
    """Read a document again, and show the effect of each block on it."""
    documents = list(_found(setup, id))
    if not documents:
        raise UsageError(
            f"--id {id}: no document of the sources has this id",
            hint="an id is that of data/ and dropped/, the file and the line or record, e.g. web.jsonl:41",
        )
    pipeline = Pipeline(setup.plan(setup.classifier(console, keep=False)))
    try:
        for document in documents:
            passages = list(pipeline.trace(document))
            views.show_passages(id, passages, _result(setup, id, document, passages), options, console)
    finally:
        pipeline.close()


def _found(setup: CorpusSetup, id: str) -> Iterator[Document]:  # noqa: A002
    """The documents of an id: several where a very long one was split."""
    groups, _ = stretches.groups(setup.sources)
    for group in groups:
        source = setup.sources[group.source]
        for file in group.files or (None,):
            if file is not None and str(file.path) not in id and file.path.name not in id:
                continue
            met = False
            for document in _documents(source, group.source, file, ReadStats()):
                if document.id == id:
                    met = True
                    yield document
                elif met:
                    break


def _result(setup: CorpusSetup, id: str, document: Document, passages: list[Passage]) -> str:  # noqa: A002
    """The result for a document, in a sentence."""
    last = passages[-1] if passages else None
    if last is not None and last.dropped is not None:
        return f"dropped by {last.dropped.rule}"
    out = setup.out
    if not (out / CORPUS).is_file():
        return "passes all blocks; whether it is a duplicate is known when the corpus is made"
    for path in sorted((out / "data").glob(f"{document.source}-[0-9]*")):
        for record in records_file.read_any(path):
            if record["id"] == id:
                copies = record.get("copies") or 0
                more = f", for {copies:,} others, too" if copies else ""
                return f"kept in {path}{more}"
    for kind in ("repeated_lines.*", "dedup.*", "mix.*"):
        for path in sorted((out / "dropped").glob(kind)):
            for record in records_file.read(path):
                if record["id"] == id:
                    of = record.get("duplicate_of")
                    return f"dropped by {record['rule']}" + (f" as a duplicate of {of}" if of else "")
    return (
        "passes all blocks of single documents, and is not in data/: dropped for its repeated lines, as a duplicate or "
        "for the shares of sources; output.dropped=1 would say which"
    )
