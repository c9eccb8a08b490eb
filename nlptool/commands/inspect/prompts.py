"""Prompted tasks as read by a model: the prompt, each answer, and the right one."""

from nlptool.commands.inspect.rows import Part, Piece, ShownRow
from nlptool.data.row_view import ANSWER, Fact
from nlptool.prompting.prompted_model import PromptedModel
from nlptool.prompting.requests import RequestBatch, TaskRun, fit_fewshot_examples
from nlptool.prompting.results import shots_text


def prompted_rows(run: TaskRun, shots: int, questions: slice, model: PromptedModel) -> list[ShownRow]:
    """Some instances of a task with few-shot examples, as read by a model."""
    some = run._replace(instances=run.instances[questions], numbers=run.numbers[questions])
    batches = fit_fewshot_examples(some, shots, model.max_context(run.generation), model.count_tokens)
    return [_row(some, index, questions.start, one, shots, model) for index, one in enumerate(batches)]


def _row(
    run: TaskRun, index: int, first: int, batch: RequestBatch, shots: int, model: PromptedModel
) -> ShownRow:
    instance = run.instances[index]
    longest = max(model.count_tokens([context + answer for context, answer in batch.requests]))
    facts: dict[str, Fact] = {"few_shot_examples": batch.shots, "tokens": longest}
    facts |= {"examples_left_out": shots - batch.shots} if batch.shots < shots else {}
    facts |= {"characters_cut_off": batch.left_out} if batch.left_out else {}
    row = ShownRow(f"{run.name}, question {first + index}, {shots_text(shots)}", facts)
    contexts = {context for context, _ in batch.requests}
    if run.generation is not None:
        row.parts.append(Part("", [Piece(batch.requests[0][0])]))
        row.parts += [Part("right", [Piece(text, ANSWER)]) for text in instance.references]
        return row
    if len(contexts) == 1:
        row.parts.append(Part("", [Piece(contexts.pop())]))
    for number, (context, answer) in enumerate(batch.requests):
        own = [] if len(row.parts) and not row.parts[0].name else [Piece(context)]
        right = number == instance.gold
        row.parts.append(Part("right" if right else "wrong", [*own, Piece(answer, ANSWER if right else "")]))
    return row
