"""What is asked: the rows of every task as questions, with the demonstrations before them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nlptool.commands.prompt.recipe import Asked, Recipe
from nlptool.console import Console
from nlptool.formatting import counted
from nlptool.prompting.config import GenerationConfig, Instance, PromptConfig
from nlptool.prompting.dataset import PromptDataset
from nlptool.prompting.fewshot import FewShotPool, fewshot_prefix, sample_examples
from nlptool.text.coverage import Loss

if TYPE_CHECKING:
    from nlptool.text.tokenizer import Tokenizer


class Sheet(NamedTuple):
    """All questions of a task, and where the demonstrations before each come from."""

    name: str
    task: PromptConfig
    questions: list[Instance]
    numbers: list[int]
    """Of each question within its part: by it examples and answers are drawn, however many questions there are."""
    pools: dict[str, FewShotPool]
    seed: int

    @property
    def writing(self) -> GenerationConfig | None:
        """How a free answer is written; None where answers are given and scored."""
        writing = self.task.writing
        return writing and (writing if writing.top_k is None else writing._replace(seed=self.seed))

    def prefix(self, number: int, shots: int) -> str:
        """What stands before question `number`; fewer demonstrations are the last ones of more."""
        question = self.questions[number]
        pool = self.pools.get(question.part)
        examples = (
            sample_examples(pool, question, self.numbers[number], shots, self.seed) if pool and shots else []
        )
        return fewshot_prefix(self.task.header, self.task.separator, examples)


class Asking(NamedTuple):
    """A question as one model reads it."""

    requests: list[tuple[str, str]]
    """Context and answer."""
    shots: int
    """Demonstrations that had room."""
    left_out: int = 0
    """Characters at the end of the text that may be shortened, for which there was no room."""


def read(recipe: Recipe, console: Console) -> list[Sheet]:
    """The tasks of a recipe. Raises DataError for what is wrong with a row, with its place; UsageError for a package
    that is missing."""
    for asked in recipe.tasks:
        asked.config.require()
    return [_sheet(recipe, asked, console) for asked in recipe.tasks]


class Contamination(NamedTuple):
    """Which questions of a sheet stood in a training text."""

    n: int
    """Words that a run has."""
    dirty: list[bool]


def contamination(path: str, read: Sequence[Sheet], console: Console) -> list[Contamination]:
    """For each sheet; the store's training documents are read once. Raises DataError for a store that is not whole."""
    from nlptool.prompting.contamination import dirty
    from nlptool.text.store import TokenStore
    from nlptool.text.tokenizer import Tokenizer

    store = TokenStore(Path(path))
    tokenizer, split = Tokenizer.of_store(store), store.split("train")
    texts = [[question.demonstration for question in sheet.questions] for sheet in read]
    made = [bool(sheet.task.source and sheet.task.source.made) for sheet in read]
    with console.progress(f"searching {path}", len(split), "documents") as bar:

        def documents() -> Iterator[str]:
            for number in range(len(split)):
                yield tokenizer.decode([token for ids in split.document(number) for token in ids.tolist()])
                bar.to(number + 1)

        found = [Contamination(*one) for one in dirty(texts, made, documents())]
    for sheet, one in zip(read, found, strict=True):
        console.note(
            f"{sheet.name}: {counted(one.n, 'words')} in a row in common with {path}: "
            f"{sum(one.dirty):,} of {counted(len(one.dirty), 'questions')}"
        )
    return found


def fitted(sheet: Sheet, shots: int, room: int, count: Callable[[Sequence[str]], list[int]]) -> list[Asking]:
    """Every question with its demonstrations, of which the first ones are left out until `room` tokens hold it.

    count: tokens of each text. Of a question too long by itself the end of the text that may be shortened is left
    out; another one stays as it is, and the model reads its end.
    """
    made = [_asking(sheet, number, 0) for number in range(len(sheet.questions))]
    most = dict.fromkeys(range(len(made)), shots)
    tried = dict(most)  # all examples; then, where these have no room, by halving
    while tried := {number: kept for number, kept in tried.items() if kept > made[number].shots}:
        some = {number: _asking(sheet, number, kept) for number, kept in tried.items()}
        lengths = count([max(("".join(pair) for pair in one.requests), key=len) for one in some.values()])
        for (number, one), length in zip(some.items(), lengths, strict=True):
            if length <= room:
                made[number] = one
            else:
                most[number] = one.shots - 1
        tried = {number: (made[number].shots + most[number] + 1) // 2 for number in tried}
    return [_shortened(sheet, number, one, room, count) for number, one in enumerate(made)]


def _shortened(
    sheet: Sheet, number: int, asked: Asking, room: int, count: Callable[[Sequence[str]], list[int]]
) -> Asking:
    """A question that is too long, with as much of the text that may be shortened as there is room for."""
    question = sheet.questions[number]
    start, end = question.spare
    kept = whole = end - start
    while kept:
        ((context, _),) = asked.requests
        (length,) = count([context])
        if length <= room:
            break
        # Tokens are about equally long everywhere; one word less at a time where that was not enough.
        too_many = (length - room) * len(context) // length
        kept = max(0, kept - max(too_many, 8))
        short = question.shortened(kept)
        asked = Asking(
            sheet.task.requests(short, sheet.prefix(number, asked.shots)), asked.shots, whole - kept
        )
    return asked


def not_spelled(asked: Sequence[Asking], tokenizer: "Tokenizer") -> str | None:
    """What a model cannot read of the questions, and which answers are the same to it; None where it reads all."""
    if tokenizer.coverage.complete:
        return None
    loss = Loss()
    texts = list(dict.fromkeys(context + answer for one in asked for context, answer in one.requests))
    ids = dict(zip(texts, map(tuple, tokenizer.counting(loss).encode_batch(texts)), strict=True))
    if not loss.unknown and not loss.lost:
        return None
    wholes = [{context + answer for context, answer in one.requests} for one in asked]
    alike = sum(len({ids[text] for text in whole}) < len(whole) for whole in wholes)
    same = f"; answers of {alike:,} of {len(asked):,} questions are the same to it" if alike else ""
    return f"the tokenizer cannot spell all of it: {loss}{same}"


def _asking(sheet: Sheet, number: int, shots: int) -> Asking:
    return Asking(sheet.task.requests(sheet.questions[number], sheet.prefix(number, shots)), shots)


def _sheet(recipe: Recipe, asked: Asked, console: Console) -> Sheet:
    folder = Path(recipe.data) if recipe.data is not None else None
    own = Path(asked.data) if asked.data is not None else None
    data = PromptDataset(asked.config, asked.name, folder, own, recipe.seed)
    questions: list[Instance] = []
    numbers: list[int] = []
    pools: dict[str, FewShotPool] = {}
    parts = data.parts()
    source = asked.config.source
    if source is not None and len(parts) < len(source.parts):
        console.note(f"{asked.name}: {len(parts)} of its {len(source.parts)} parts are there")
    for part in parts:
        rows = data.questions(part, recipe.limit)
        questions += [asked.config.question(row, part) for row in rows]
        numbers += range(len(rows))
        if max(recipe.shots):
            pools[part] = FewShotPool(asked.config, data.examples(part), part)
    for remark in asked.config.remarks(questions):
        console.note(f"{asked.name}: {remark}")
    sheet = Sheet(asked.name, asked.config, questions, numbers, pools, recipe.seed)
    for first in [at for at, number in enumerate(numbers) if not number]:
        sheet.prefix(first, max(recipe.shots))  # as many examples as are asked for
    return sheet
