"""A checked recipe as a plan for workers, with descriptions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlptool.commands.corpus.recipe import Decontaminate, Recipe
from nlptool.console import Console
from nlptool.corpus import links, urls
from nlptool.corpus.decontaminate import Benchmark, benchmark
from nlptool.corpus.document import Document, Figures
from nlptool.corpus.filter_config import Filters
from nlptool.corpus.index import Indexed
from nlptool.corpus.pipeline import Blocks, blocks
from nlptool.corpus.quality import Classifier, load, save, train
from nlptool.corpus.stretches import keys_under
from nlptool.errors import UsageError
from nlptool.formatting import counted, percent
from nlptool.launch import cpus
from nlptool.prompting.requests import read_task
from nlptool.recipe import RecipeBlock, digest, dump_given
from nlptool.text import corpus
from nlptool.text.config import Source
from nlptool.text.corpus import ReadStats

QUALITY = "quality"


class CorpusSetup:
    """Everything that building a corpus needs of its recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self.sources, self.dedup, self.mix = recipe.sources, recipe.dedup, recipe.mix
        self.output, self.seed = recipe.output, recipe.seed
        self.quality_facts: dict[str, Any] | None = None
        """Training data and accuracy of the classifier, once there is one."""
        self.out = Path(recipe.out)
        self.name = self.out.resolve().name
        self.written = dump_given(recipe.model_copy(update={"workers": None}))
        """The recipe as YAML, without defaults and without keys that have no effect."""
        self.digest = digest(recipe.model_copy(update={"workers": None, "out": ""}))
        self.replaced = [key for key, how in recipe.pii or () if how == "replace"]
        """The kinds of personal data that are replaced."""
        self.workers = recipe.workers or cpus()

    def classifier(self, console: Console, *, keep: bool) -> Classifier | None:
        """The classifier of the block `quality`: the recipe's, or the corpus's own, which is trained if necessary.

        keep: write it into the corpus for later runs. Raises DataError for missing samples.
        """
        quality, own = self._recipe.quality, self.out / QUALITY
        if quality is None:
            return None
        kept = own if quality.model is None else Path(quality.model)
        if quality.model is not None or own.is_dir():
            found = load(kept)
            self.quality_facts = found.facts
            return found
        assert quality.positive is not None  # the recipe has both or a model
        assert quality.negative is not None
        positive, negative = _texts(quality.positive, "positive"), _texts(quality.negative, "negative")
        found = train(positive, negative, quality, self.seed)
        accuracy, area = found.facts["heldout_accuracy"], found.facts["heldout_roc_auc"]
        console.note(
            f"quality: trained on {counted(found.facts['positive_samples'], 'good documents')} and "
            f"{found.facts['negative_samples']:,} others"
            + ("" if area is None else f"; held out: accuracy {percent(accuracy)}, ROC AUC {area:.3f}")
        )
        self.quality_facts = found.facts
        if keep:
            save(found, own)
            found = load(own)
        return found

    def against(self) -> list[Indexed]:
        """The other corpora for deduplication. Raises DataError or UsageError for an unsuitable one."""
        return [Indexed(Path(name), self.dedup.minhash) for name in self.dedup.against]

    def addresses(self) -> Iterator[str]:
        """The pages that a crawler would fetch. Raises UsageError where the recipe has no links."""
        if self._recipe.links is None:
            raise UsageError("--urls: the recipe has no links", hint="links.files=LINKS.jsonl names some")
        keeps = None if self._recipe.urls is None else urls.Block(self._recipe.urls)
        for url in links.addresses(self._recipe.links):
            page = Document(url, "", "", {"url": url})
            if keeps is None or isinstance(keeps(page, Figures()), Document):
                yield url

    def require_samples(self) -> None:
        """Raise DataError where the classifier, or its training samples, are missing."""
        quality = self._recipe.quality
        if quality is None:
            return
        if quality.model is not None:
            load(Path(quality.model))
        for name in ("positive", "negative"):
            if (source := getattr(quality, name)) is not None:
                with keys_under(f"quality.{name}"):
                    corpus.find(source)

    def plan(self, classifier: Classifier | None = None) -> Blocks:
        """The plan of workers. Raises DataError for a missing benchmark, UsageError for a missing package."""
        recipe, cut = self._recipe, self._recipe.decontaminate
        plan = Blocks(
            filters=recipe.filters,
            dedup=recipe.dedup,
            dropped=recipe.output.dropped,
            seed=recipe.seed,
            urls=recipe.urls,
            links=None if recipe.links is None else links.keys(recipe.links),
            extract=recipe.extract,
            pages={name: one.pages or "" for name, one in recipe.sources.items() if one.has_markup},
            repair=recipe.repair,
            language=recipe.language,
            lines=recipe.lines,
            quality=recipe.quality,
            classifier=classifier,
            pii=recipe.pii,
            decontaminate=None if cut is None else cut.rule,
            benchmarks=() if cut is None else tuple(_benchmarks(cut)),
            repeated_lines=recipe.repeated_lines,
        )
        list(blocks(plan))  # reported before anything is read
        return plan

    def line_plan(self) -> Blocks:
        """The plan for removing repeated lines, without any other block."""
        recipe = self._recipe
        return Blocks(
            Filters(), recipe.dedup, recipe.output.dropped, recipe.seed, repeated_lines=recipe.repeated_lines
        )

    def keeping_all(self) -> "CorpusSetup":
        """The same with one process, keeping everything that is dropped for inspection."""
        output = self.output.model_copy(update={"dropped": 1.0})
        return CorpusSetup(self._recipe.model_copy(update={"output": output, "workers": 1}))

    def description(self, rule: str) -> str:
        """The description of a rule, from its recipe key; empty where a block is one rule."""
        name, _, key = rule.partition(".")
        block: RecipeBlock | None = getattr(self._recipe.filters, name, None) or getattr(
            self._recipe, name, None
        )
        fields = {} if block is None else type(block).model_fields
        return (fields[key].description or "") if key in fields else ""


def _texts(source: Source, name: str) -> Iterator[str]:
    with keys_under(f"quality.{name}"):
        yield from (document.text for document in corpus.documents(source, ReadStats()))


def _benchmarks(block: Decontaminate) -> Iterator[Benchmark]:
    for spec in block.tasks:
        task = read_task(spec, None if block.data is None else Path(block.data), 0, None, 0)
        synthetic = task.task.source is not None and task.task.source.synthetic is not None
        yield benchmark([instance.fewshot_example for instance in task.instances], synthetic=synthetic)
