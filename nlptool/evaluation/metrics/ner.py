"""Metrics of named-entity recognition. Tags are O, B-NAME at an entity's first token and I-NAME at its others.

entity_f1           as CoNLL-2003's conlleval and seqeval by default: an I-NAME that follows no tag of its name begins
                    an entity; F1 over the entities of all names together
entity_macro_f1     as KLUE: only B-NAME begins one (seqeval's strict mode, IOB2); F1 of each name, averaged
character_macro_f1  as KLUE: F1 of each tag, averaged, O among them; 1 for a tag that never occurs (KLUE also counts
                    the [CLS] and [SEP] of every sentence)

accuracy            the share of tokens whose tag is right
tag_macro_f1        F1 of each tag that occurs, averaged, as for parts of speech

The tests compare with seqeval, whose last release is of 2020 and is not packaged as a wheel.
"""

from collections import Counter
from collections.abc import Callable, Sequence

Tags = Sequence[Sequence[str]]
"""The tags of each sentence's tokens."""
Entity = tuple[str, int, int]
"""Its name, its first token and the one after its last."""


def entities(tags: Sequence[str], *, strict: bool) -> list[Entity]:
    """The entities of a sentence. strict: I-NAME never begins one."""
    found: list[Entity] = []
    name, begin = "", 0
    for place, tag in enumerate([*tags, "O"]):
        kind, _, named = tag.partition("-")
        if kind == "I" and named == name:
            continue
        if name:
            found.append((name, begin, place))
        name, begin = named if kind == "B" or (kind == "I" and not strict) else "", place
    return found


def entity_f1(given: Tags, right: Tags, labels: Sequence[str]) -> float:
    """Micro-averaged over names, each entity counting once; 0 where there is none."""
    counts = _counts(given, right, strict=False)
    return _f1(*(sum(counter.values()) for counter in counts), nothing=0.0)


def entity_macro_f1(given: Tags, right: Tags, labels: Sequence[str]) -> float:
    """The mean over the names of true and predicted entities."""
    same, predicted, expected = _counts(given, right, strict=True)
    names = predicted.keys() | expected.keys()
    scores = [_f1(same[name], predicted[name], expected[name], nothing=0.0) for name in names]
    return sum(scores) / len(scores) if scores else 0.0


def character_macro_f1(given: Tags, right: Tags, labels: Sequence[str]) -> float:
    """The mean over all tags."""
    pairs = Counter(
        pair for one, two in zip(given, right, strict=True) for pair in zip(one, two, strict=True)
    )
    predicted, expected = Counter[str](), Counter[str]()
    for (one, two), count in pairs.items():
        predicted[one] += count
        expected[two] += count
    scores = [_f1(pairs[tag, tag], predicted[tag], expected[tag], nothing=1.0) for tag in labels]
    return sum(scores) / len(scores)


def accuracy(given: Tags, right: Tags, labels: Sequence[str]) -> float:
    """The share of tokens whose tag is right."""
    pairs = [pair for one, two in zip(given, right, strict=True) for pair in zip(one, two, strict=True)]
    return sum(one == two for one, two in pairs) / max(1, len(pairs))


def tag_macro_f1(given: Tags, right: Tags, labels: Sequence[str]) -> float:
    """Mean F1 over the true and predicted tags: scikit-learn's macro average."""
    seen = {tag for tags in (*given, *right) for tag in tags}
    return character_macro_f1(given, right, [tag for tag in labels if tag in seen]) if seen else 0.0


def _counts(given: Tags, right: Tags, *, strict: bool) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """By name, the entities that are both predicted and true, predicted, and true."""
    same, predicted, expected = Counter[str](), Counter[str](), Counter[str]()
    for one, two in zip(given, right, strict=True):
        found, true = entities(one, strict=strict), entities(two, strict=strict)
        same.update(name for name, *_ in set(found) & set(true))
        predicted.update(name for name, *_ in found)
        expected.update(name for name, *_ in true)
    return same, predicted, expected


def _f1(same: int, predicted: int, expected: int, *, nothing: float) -> float:
    return 2 * same / (predicted + expected) if predicted + expected else nothing


METRICS: dict[str, Callable[[Tags, Tags, Sequence[str]], float]] = {
    "entity_f1": entity_f1,
    "entity_macro_f1": entity_macro_f1,
    "character_macro_f1": character_macro_f1,
    "accuracy": accuracy,
    "tag_macro_f1": tag_macro_f1,
}
