"""The entity linker of a recipe, and its agreement with annotated mentions."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nlptool.commands.tokenize.recipe import Links
from nlptool.formatting import counted
from nlptool.knowledge.linking import Agreement, AnchorLinker, LabelLinker, MentionLinker
from nlptool.knowledge.readers import value_at
from nlptool.text.corpus import Document, repaired
from nlptool.text.mentions import Linker, MarkedText

COMPARED = 10_000  # documents compared


def linker(links: Links) -> Linker:
    """The linker. Raises DataError where the graph is damaged."""
    graph = Path(links.graph)
    if links.by == "labels":
        return LabelLinker(graph, links.ambiguous, links.shortest)
    if links.by == "anchors":
        return AnchorLinker(graph, links.titles)
    return MentionLinker(graph, links.titles, links.threshold)


def marked(document: Document, links: Links, field: str) -> MarkedText:
    """A document's text with the mentions in its record. field: of the text."""
    if document.fields is None or (links.by != "mentions" and not links.compare):
        return MarkedText(document.text, None)
    given, original = document.fields.get(links.field), value_at(document.fields, field)
    if not isinstance(original, str) or original == document.text:
        return MarkedText(document.text, given)
    if repaired(original) != document.text:  # part of a very long document, where positions are unknown
        return MarkedText(document.text, None)
    return MarkedText(document.text, given, original)


def agreement(links: Links, documents: Iterable[Document], field: str) -> dict[str, Any]:
    """Precision and recall of the labels on the first documents with mentions."""
    found, true = LabelLinker(Path(links.graph), links.ambiguous, links.shortest), _reader(links)
    counts, seen = Agreement(), 0
    for document in documents:
        text, given, original = marked(document, links, field)
        if given is None or original is not None:
            continue
        _, mentions = true.read(text, given, Counter())
        counts.add(found.search([document.text])[0], mentions)
        seen += 1
        if seen == COMPARED:
            break
    return {
        "documents": seen,
        "found": counts.found,
        "true": counts.true,
        "precision": counts.both / counts.found if counts.found else None,
        "recall": counts.both / counts.true if counts.true else None,
    }


def _reader(links: Links) -> MentionLinker:
    return MentionLinker(Path(links.graph), links.titles, links.threshold)


def shown(figures: dict[str, Any]) -> str:
    """Precision and recall, for people."""
    lines = [
        f"{name} {100 * figures[name]:.1f} %" for name in ("precision", "recall") if figures[name] is not None
    ]
    return f"{', '.join(lines) or 'none to compare with'}, of {counted(figures['true'], 'mentions')}"
