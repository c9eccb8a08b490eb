"""Views of a corpus's report: overview, one rule, and the steps of one document, for people and for programs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlptool.commands.corpus.report import facts_of, limit_of, rules_of
from nlptool.console import Console, Options
from nlptool.corpus.pipeline import Passage
from nlptool.formatting import brief, significant

SHOWN = 5  # samples shown
EXCERPT = 300  # characters of a sample
BAR = 30  # length of the longest bar in characters
ROWS = 26  # most bins of a histogram


def show_report(out: str | Path, report: dict[str, Any], options: Options, console: Console) -> None:
    """An overview of all blocks and rules. out: the corpus, or a title of the report."""
    if options.json:
        console.json(report | {"out": str(out)})
        return
    title = out if isinstance(out, str) else f"{out}: a corpus"
    console.facts(title, facts_of(report))
    if rows := rules_of(report):
        console.result("")
        console.table(("rule", "dropped", "share", "limit"), rows, title="what was dropped, by rule")


def show_rule(
    rule: str,
    description: str,
    report: dict[str, Any],
    samples: Sequence[dict[str, Any]],
    options: Options,
    console: Console,
) -> None:
    """A rule's figures with its limit, and documents that it dropped. description: of the rule; may be empty."""
    found, shape = report["rules"][rule], report["histograms"].get(rule)
    if options.json:
        console.json({"rule": rule} | found | {"histogram": shape, "samples": samples})
        return
    facts = {"documents": found["documents"], "dropped": found["dropped"]}
    if limit := limit_of(found):
        facts["limit"] = limit
    console.facts(f"{rule}: {description}" if description else rule, facts)
    if shape:
        console.result("")
        console.table(("value", "documents", ""), _bars(shape, found))
    for one in samples[:SHOWN]:
        value = "" if one["value"] is None else f" ({significant(one['value'])})"
        of = f", like {one['duplicate_of']}" if "duplicate_of" in one else ""
        console.result(f"\n{one['id']}{value}{of}\n  {brief(' '.join(one['text'].split()), EXCERPT)}")


def _bars(shape: dict[str, Any], found: dict[str, Any]) -> list[tuple[str, int, str]]:
    """The nonempty bins, merged if there are many; x after a bar: beyond the limit."""
    counts, bins = shape["counts"], [*shape["bins"], None]
    used = [number for number, count in enumerate(counts) if count] or [0]
    wide = -(-(used[-1] + 1 - used[0]) // ROWS)
    rows = []
    for first in range(used[0], used[-1] + 1, wide):
        end = min(first + wide, len(counts))
        low, high = bins[first], bins[end]
        least, most = found["at_least"], found["at_most"]
        beyond = (least is not None and high is not None and high <= least) or (
            most is not None and low > most
        )
        span = (
            f"{significant(low)} and more" if high is None else f"{significant(low)} to {significant(high)}"
        )
        rows.append((span, sum(counts[first:end]), "x" if beyond else ""))
    largest = max(count for _, count, _ in rows)
    return [
        (span, count, "█" * max(round(count / largest * BAR), bool(count)) + (f" {mark}" if mark else ""))
        for span, count, mark in rows
    ]


def show_passages(
    id: str,  # noqa: A002  (its name everywhere)
    passages: Sequence[Passage],
    result: str,
    options: Options,
    console: Console,
) -> None:
    """The steps of one document through the blocks. result: the outcome."""
    if options.json:
        console.json({"id": id, "blocks": [_record(one) for one in passages], "result": result})
        return
    text = passages[-1].document.text if passages else ""
    console.facts(id, {"text": brief(" ".join(text.split()), EXCERPT)})
    rows = []
    for one in passages:
        for figure in one.figures:
            limits = {"at_least": figure.at_least, "at_most": figure.at_most}
            rows.append(
                (figure.rule, significant(figure.value), limit_of(limits), "" if figure.passes else "dropped")
            )
        measured = {figure.rule for figure in one.figures}
        if one.dropped is not None and one.dropped.rule not in measured:
            rows.append((one.dropped.rule, significant(one.dropped.value), "", "dropped"))
    if rows:
        console.result("")
        console.table(("rule", "value", "limit", ""), rows)
    console.result(f"\n{result}")


def _record(one: Passage) -> dict[str, Any]:
    return {
        "block": one.block,
        "figures": [figure._asdict() for figure in one.figures],
        "dropped": None if one.dropped is None else one.dropped._asdict(),
    }
