"""What a corpus says of itself: report.json, and its facts for people."""

from collections.abc import Mapping
from typing import Any

from nlptool.corpus.duplicates import BINS, Duplicates
from nlptool.corpus.statistics import Statistics, edges
from nlptool.corpus.writing import Written
from nlptool.formatting import counted, significant
from nlptool.text.corpus import ReadStats


def summary(
    statistics: Statistics, written: Written, tallies: Mapping[str, ReadStats], found: Duplicates
) -> dict[str, Any]:
    """The whole report: what came in and went out of each step, by rule, with histograms."""
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
    blocks["dedup"] = {
        "documents": written.entered,
        "bytes": written.entered_bytes,
        "dropped": dict(sorted(written.dropped.items())),
        "dropped_bytes": dict(sorted(written.dropped_bytes.items())),
        "changed": 0,
    }
    histograms = {
        rule: histogram | {"bins": edges((histogram["at_least"], histogram["at_most"]))}
        for rule, histogram in counted["histograms"].items()
    }
    if any(written.similarities):
        histograms["dedup.minhash"] = {
            "at_least": None,
            "at_most": None,
            "counts": written.similarities,
            "bins": BINS,
        }
    return {
        "read": {"documents": sum(one["documents"] for one in read.values()), "sources": read},
        "kept": {
            "documents": sum(written.documents.values()),
            "bytes": sum(written.bytes.values()),
            "words": written.words,
        },
        "blocks": blocks,
        "compared_pairs": found.compared,
        "histograms": histograms,
    }


def facts_of(report: dict[str, Any]) -> dict[str, Any]:
    """What a report says, for people."""
    read, kept = report["read"]["documents"], report["kept"]
    shown: dict[str, Any] = {
        "documents read": read,
        "documents kept": f"{kept['documents']:,} ({kept['documents'] / max(read, 1):.1%})",
        "bytes kept": kept["bytes"],
        "words kept": kept["words"],
    }
    for name, source in report["read"]["sources"].items():
        bad = ", ".join(f"{count:,} {why}" for why, count in source["dropped"].items())
        unread = f"; not read: {bad}" if bad else ""
        shown[f"source {name}"] = (
            f"{counted(source['kept_documents'], 'documents')} of {source['documents']:,}{unread}"
        )
    for name, block in report["blocks"].items():
        if block["changed"]:
            shown[f"{name} changed"] = counted(block["changed"], "documents")
    return shown


def rules_of(report: dict[str, Any]) -> list[tuple[str, int, str, str]]:
    """Of each rule that dropped something: its name, documents, their share of those that reached its block, limit."""
    rows = []
    for block in report["blocks"].values():
        for rule, count in sorted(block["dropped"].items(), key=lambda pair: -pair[1]):
            rows.append(
                (rule, count, f"{count / block['documents']:.2%}", _limit(report["histograms"].get(rule)))
            )
    return rows


def _limit(histogram: dict[str, Any] | None) -> str:
    if histogram is None:
        return ""
    if histogram["at_least"] is not None:
        return f"at least {significant(histogram['at_least'])}"
    return f"at most {significant(histogram['at_most'])}" if histogram["at_most"] is not None else ""
