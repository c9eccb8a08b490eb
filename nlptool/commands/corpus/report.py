"""The report of a corpus: report.json, and its facts for people."""

import re
from collections.abc import Mapping
from typing import Any

from nlptool.atomic_files import Shape
from nlptool.corpus import mix
from nlptool.corpus.duplicates import BINS, Duplicates
from nlptool.corpus.statistics import Statistics, edges
from nlptool.corpus.writing import Written
from nlptool.formatting import counted, percent, significant
from nlptool.text.corpus import ReadStats

MOST_DOMAINS = 30
SOURCE: Shape = {"documents": int, "kept_documents": int, "dropped": {str: int}}
RULE: Shape = {"documents": int, "dropped": int, "at_least": float | None, "at_most": float | None}
LIKE: Shape = {
    "read": {"documents": int, "sources": {str: SOURCE}},
    "kept": {"documents": int, "bytes": int, "words": int},
    "blocks": {str: {"changed": int}},
    "rules?": {str: RULE},
    "histograms?": {str: {"counts": [int], "bins": [float]}},
    "mix?": {str: {"share": float}},
}
"""Required shape of report.json."""


def summary(
    statistics: Statistics,
    written: Written,
    tallies: Mapping[str, ReadStats],
    found: Duplicates,
    verify: float | None,
) -> dict[str, Any]:
    """The whole report: input and output of each step, by rule, with histograms.

    verify: the smallest similarity at which a near duplicate is dropped.
    """
    read = {
        name: {
            "documents": tally.documents,
            "dropped": dict(sorted(tally.dropped.items())),
            "repaired": dict(sorted(tally.repaired.items())),
            "kept_documents": written.documents[name],
            "kept_bytes": written.bytes[name],
        }
        for name, tally in tallies.items()
    }
    counted = statistics.to_json()
    blocks = counted["blocks"]
    blocks |= _last_blocks(written)
    histograms = {
        rule: histogram | {"bins": edges((histogram["at_least"], histogram["at_most"]))}
        for rule, histogram in counted["histograms"].items()
    }
    if any(written.similarities):
        histograms["dedup.minhash"] = {
            "at_least": None,
            "at_most": verify,
            "counts": written.similarities,
            "bins": BINS,
        }
    return {
        "read": {"documents": sum(one["documents"] for one in read.values()), "sources": read},
        "kept": {
            "documents": sum(written.documents.values()),
            "bytes": sum(written.bytes.values()),
            "words": statistics.kept_words - written.left_out_words,
        },
        "languages": dict(sorted(written.languages.items(), key=lambda pair: (-pair[1], pair[0]))),
        "domains": dict(sorted(written.domains.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_DOMAINS]),
        "blocks": blocks,
        "rules": _rules(blocks, histograms),
        "compared_pairs": found.compared,
        "histograms": histograms,
    }


def _last_blocks(written: Written) -> dict[str, dict[str, Any]]:
    """Input of deduplication and mixing, and what they dropped, by rule."""
    entered, dropped = (written.entered, written.entered_bytes), (written.dropped, written.dropped_bytes)
    blocks = {"dedup": _block(entered, *(dict(sorted(found.items())) for found in dropped))}
    if written.mixed_out:
        left = (entered[0] - dropped[0].total(), entered[1] - dropped[1].total())
        blocks["mix"] = _block(left, {mix.RULE: written.mixed_out}, {mix.RULE: written.mixed_out_bytes})
    return blocks


def _block(
    entered: tuple[int, int], dropped: dict[str, int], dropped_bytes: dict[str, int]
) -> dict[str, Any]:
    """entered: documents and bytes."""
    documents, size = entered
    return {
        "documents": documents,
        "bytes": size,
        "dropped": dropped,
        "dropped_bytes": dropped_bytes,
        "changed": 0,
    }


def _rules(blocks: dict[str, Any], histograms: dict[str, Any]) -> dict[str, Any]:
    """All rules, also those that dropped nothing, in the order in which documents meet them."""
    found: dict[str, Any] = {}
    for name, block in blocks.items():
        measured = [rule for rule in histograms if rule.partition(".")[0] == name]
        rules = {}
        for rule in dict.fromkeys([*block["dropped"], *measured]):
            histogram = histograms.get(rule, {})
            reached = sum(histogram["counts"]) if histogram and name != "dedup" else block["documents"]
            rules[rule] = {
                "documents": reached,
                "dropped": block["dropped"].get(rule, 0),
                "dropped_bytes": block["dropped_bytes"].get(rule, 0),
                "at_least": histogram.get("at_least"),
                "at_most": histogram.get("at_most"),
            }
        found |= dict(sorted(rules.items(), key=lambda pair: (-pair[1]["documents"], _natural(pair[0]))))
    return found


def _natural(rule: str) -> list[tuple[int, str]]:
    """dup_9_grams before dup_10_grams."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", rule)]


def facts_of(report: dict[str, Any]) -> dict[str, Any]:
    """The facts of a report, for people."""
    read, kept = report["read"]["documents"], report["kept"]
    shown: dict[str, Any] = {
        "documents read": read,
        "documents kept": f"{kept['documents']:,} ({percent(kept['documents'] / max(read, 1))})",
        "bytes kept": kept["bytes"],
        "words kept": kept["words"],
    }
    for name, source in report["read"]["sources"].items():
        bad = ", ".join(f"{count:,} {why}" for why, count in source["dropped"].items())
        unread = f"; not read: {bad}" if bad else ""
        shown[f"source {name}"] = (
            f"{counted(source['kept_documents'], 'documents')} of {source['documents']:,}{unread}"
        )
    for name, source in report.get("mix", {}).items():
        shown[f"share of {name}"] = f"{percent(source['share'])} of the characters"
    for name, block in report["blocks"].items():
        if block["changed"]:
            shown[f"{name} changed"] = counted(block["changed"], "documents")
    return shown


def rules_of(report: dict[str, Any]) -> list[tuple[str, int, str, str]]:
    """For each rule that dropped something: its name, documents, their share of those that reached it, its limit."""
    return [
        (rule, found["dropped"], percent(found["dropped"] / max(found["documents"], 1), 2), limit_of(found))
        for rule, found in (report.get("rules") or {}).items()
        if found["dropped"]
    ]


def limit_of(found: dict[str, Any]) -> str:
    """A rule's limit in words; empty where it has none."""
    if found["at_least"] is not None:
        return f"at least {significant(found['at_least'])}"
    return f"at most {significant(found['at_most'])}" if found["at_most"] is not None else ""
