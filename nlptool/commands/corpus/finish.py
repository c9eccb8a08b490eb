"""The second and third phase of a corpus: deduplication, output, and report."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nlptool.atomic_files import write_json, write_text
from nlptool.commands.corpus.card import card
from nlptool.commands.corpus.report import summary
from nlptool.commands.corpus.setup import CorpusSetup
from nlptool.commands.corpus.shards import STRETCHES
from nlptool.console import Console
from nlptool.corpus import duplicates, engine, index, samples, second_pass, writing
from nlptool.corpus.duplicates import Duplicates, Keys, StretchPart
from nlptool.corpus.index import Indexed
from nlptool.corpus.mix import Mixture, mixed
from nlptool.corpus.second_pass import SecondPass
from nlptool.corpus.statistics import Statistics
from nlptool.errors import DataError
from nlptool.manifests import atomic_folder, recorded
from nlptool.report import corpus_page
from nlptool.text.corpus import ReadStats
from nlptool.text.sources import CORPUS

REPORT, PAGE, CARD = "report.json", "report.html", "README.md"
AGAIN = "make the corpus again with --overwrite"


def finish(setup: CorpusSetup, tallies: Mapping[str, ReadStats], console: Console) -> dict[str, Any]:
    """Write a corpus from finished stretches; returns the report. Raises DataError where no document is left."""
    out = setup.out
    found = without_repeated_lines(setup, out, console)
    _require_any(out, engine.statistics(found.parts))
    report = write(setup, out, found, tallies, console)
    rules = {rule: samples.of_rule(out, rule, setup.seed, samples.LEAST) for rule in report["rules"]}
    write_text(out / PAGE, corpus_page.page(setup.name, report, rules, setup.written))
    write_text(out / CARD, card(setup, report))
    facts = {
        "documents": report["kept"]["documents"],
        "bytes": report["kept"]["bytes"],
        "recipe": setup.digest,
        "files": {f"data/{name}": facts for name, facts in recorded((out / "data").iterdir()).items()},
    }
    write_json(out / CORPUS, facts)
    shutil.rmtree(out / STRETCHES)
    return report


def without_repeated_lines(setup: CorpusSetup, out: Path, console: Console) -> SecondPass:
    """All stretches, without repeated lines if the recipe says so."""
    plan = setup.line_plan()
    if plan.repeated_lines is None:
        return SecondPass(engine.parts(out / STRETCHES), [])
    with console.progress("removing repeated lines", None, "stretches") as bar:
        return second_pass.run(out / STRETCHES, plan, setup.workers, bar.to)


def write(
    setup: CorpusSetup,
    out: Path,
    stretches: SecondPass,
    tallies: Mapping[str, ReadStats],
    console: Console,
) -> dict[str, Any]:
    """Write data/, dropped/ and report.json; returns the report."""
    parts, lines = stretches
    statistics = engine.statistics(parts)
    others = setup.against()
    found = _duplicates(setup, out, parts, others, console)
    mixture = _mixture(setup, parts, found)
    left = mixture.left
    with atomic_folder(out / "data") as aside, console.progress("writing", statistics.kept_bytes, "B") as bar:
        written = writing.write_data(aside, parts, found, left, setup.output, bar.to)
    with atomic_folder(out / "dropped") as aside:
        writing.write_dropped(aside, parts, found, left, setup.output.dropped, setup.seed, others)
    index.write(out, [part / engine.KEYS for part in parts], left, setup.dedup.minhash, written.files)
    minhash = setup.dedup.minhash
    report = summary(statistics, written, tallies, found, minhash.verify if minhash else None)
    if setup.line_plan().repeated_lines is not None:
        report["repeated_lines"] = lines
    if mixture.sources:
        report["mix"] = mixture.sources
    if setup.quality_facts is not None:
        report["quality"] = setup.quality_facts
    write_json(out / REPORT, report)
    return report


def _require_any(out: Path, statistics: Statistics) -> None:
    if statistics.kept:
        return
    worst = max(
        (count, rule)
        for block in statistics.blocks.values()
        for rule, count in (block.dropped or {"nothing": 0}).items()
    )
    raise DataError(
        f"{out}: no document is left; the rule {worst[1]} dropped most, {worst[0]:,}",
        hint="change the limit of that rule in the recipe, or leave the rule out",
    )


def _mixture(setup: CorpusSetup, parts: list[Path], found: Duplicates) -> Mixture:
    """The documents that stay: no duplicates, and with `mix` as many of each source as its share allows."""
    stretches = [StretchPart(part) for part in parts]
    keys = Keys(stretches)
    left = np.ones(len(keys), bool)
    left[list(found.dropped)] = False
    if setup.mix is None:
        return Mixture(left, {})
    return mixed(keys, [part.source for part in stretches], left, setup.mix, setup.seed)


def _duplicates(
    setup: CorpusSetup, out: Path, parts: list[Path], others: list[Indexed], console: Console
) -> Duplicates:
    aside = out / STRETCHES / ".shingles"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        with console.progress("comparing", None, "documents") as bar:
            return duplicates.find(parts, setup.dedup, aside, bar.to, others)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
