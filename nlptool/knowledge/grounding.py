"""Concept grounding: which concepts of a graph a question and its answer mention (Lin et al. 2019, section 3.1).

A concept is found where its lemmas are adjacent in a text. The rules are those of the released code (INK-USC/KagNet
grounding/), which uses spaCy's lemmas and its Matcher; a lookup table of lemma tuples finds the same concepts.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import NamedTuple

from nlptool.errors import UsageError
from nlptool.extras import install
from nlptool.knowledge.graph import Graph
from nlptool.knowledge.particles import stem
from nlptool.knowledge.stop_words import ENGLISH, PRONOUNS, PRUNED, UNSPECIFIC

LONGEST = 4  # words of a concept
SHORTEST = 3  # concepts considered for one span
TOKEN = re.compile(r"\w+|'\w+|[^\w\s]")
SENTENCES = re.compile(r"(?<=[.!?])\s+")
QUESTION_WORD = re.compile(r"\b(what|where|who|whom|whose|which|when|why|how)\b", re.IGNORECASE)


class Words(NamedTuple):
    """The words of a text in lower case, with punctuation marks."""

    words: list[str]
    lemmas: list[str]


Analyser = Callable[[str], Words]


class Grounded(NamedTuple):
    """Concepts by their numbers, ascending."""

    question: list[int]
    answer: list[int]


class Lemmatiser:
    """Splits a text into words and their lemmas (simplemma); each word is looked up once.

    language: e.g. en; ko: words without their particles, no simplemma; None: a word is its own lemma. Raises
    UsageError where simplemma is missing or does not support the language.
    """

    def __init__(self, language: str | None) -> None:
        self.language = language
        self._known: dict[str, str] = {}
        if language in (None, "ko"):
            return
        if find_spec("simplemma") is None:
            raise UsageError(
                "grounding needs the package simplemma for lemmas",
                hint=f"{install('knowledge')}; or use words without lemmas: task.grounding.language=null",
            )
        try:
            self._lemma("a")
        except ValueError:
            raise UsageError(f"task.grounding.language: simplemma has no lemmas of {language!r}") from None

    def __call__(self, text: str) -> Words:
        """Words in lower case, and punctuation marks."""
        words = TOKEN.findall(text.lower())
        return Words(words, words if self.language is None else list(map(self._lemma, words)))

    def _lemma(self, word: str) -> str:
        if (known := self._known.get(word)) is None:
            if self.language == "ko":
                return self._known.setdefault(word, stem(word))
            import simplemma

            assert self.language is not None  # otherwise no lemma is needed

            found = simplemma.lemmatize(word, lang=self.language).lower() if word[0].isalpha() else word
            known = self._known[word] = found or word
        return known


def statement(question: str, answer: str) -> str:
    """A question as a statement: the answer replaces the last question word of its last sentence, or is appended."""
    *before, last = SENTENCES.split(question.strip())
    places = list(QUESTION_WORD.finditer(last))
    if places:
        first, end = places[-1].span()
        last = f"{last[:first]}{answer}{last[end:]}"
    else:
        last = f"{last} {answer}"
    return " ".join([*before, last])


class Grounder:
    """Finds the concepts of a graph.

    stop_words: whether to drop stop words and unspecific concepts, as for English and ConceptNet; otherwise every
    match is kept, as for names.
    """

    def __init__(self, graph: Graph, analyse: Analyser, *, stop_words: bool = True) -> None:
        self.analyse, self.stop_words = analyse, stop_words
        self.numbers: dict[str, int] = {}
        """Concept numbers by label, in lower case; of equal labels the first one counts."""
        self._by_lemmas: dict[tuple[str, ...], list[str]] = {}
        self._lemma_of: dict[str, str] = {}
        for number, name in _called(graph):
            text = name.replace("_", " ").lower()
            if self.numbers.setdefault(text, number) == number:
                self._learn(text)

    def _learn(self, text: str) -> None:
        words, lemmas = self.analyse(text)
        self._lemma_of[text] = " ".join(lemmas)
        if not words or len(words) > LONGEST:
            return
        if self.stop_words:
            if words[0] in PRONOUNS or words[-1] in PRONOUNS:
                return
            if all(word in ENGLISH or lemma in ENGLISH for word, lemma in zip(words, lemmas, strict=True)):
                return
        self._by_lemmas.setdefault(tuple(lemmas), []).append(text)

    def __call__(self, question: str, answer: str) -> Grounded:
        """The concepts of a question and of one of its answers; either may be empty."""
        text = statement(question, answer)
        every, of_answer = self._mentioned(text, answer), self._mentioned(answer)
        of_question = (every - of_answer) or self._hard(text) - of_answer
        of_answer = of_answer or self._hard(answer)
        if self.stop_words:
            of_question = set(_pruned(of_question, any))
            of_answer = set(_pruned(of_answer, all))
        question_ids = {self.numbers[text] for text in of_question}
        answer_ids = {self.numbers[text] for text in of_answer}
        return Grounded(sorted(question_ids - answer_ids), sorted(answer_ids))

    def _mentioned(self, text: str, answer: str = "") -> set[str]:
        """Concepts whose lemmas occur in a text, except where a word of the answer occurs too."""
        words, lemmas = self.analyse(text)
        taken = set(self.analyse(answer).words)
        spans: dict[str, set[str]] = {}
        for first in range(len(words)):
            for last in range(first + 1, min(first + LONGEST, len(words)) + 1):
                if words[last - 1] in taken:
                    break
                for concept in self._by_lemmas.get(tuple(lemmas[first:last]), ()):
                    spans.setdefault(" ".join(words[first:last]), set()).add(self._single(concept))
        found = set()
        for concepts in spans.values():
            shortest = sorted(concepts, key=lambda concept: (len(concept), concept))[:SHORTEST]
            for concept in shortest:
                if not self.stop_words or concept not in UNSPECIFIC:
                    lemma = self._lemma_of[concept]
                    found.add(lemma if lemma in shortest else concept)
        return found

    def _single(self, concept: str) -> str:
        """The lemma of a single word, if it is a concept too."""
        lemma = self._lemma_of[concept]
        return lemma if " " not in concept and lemma in self.numbers else concept

    def _hard(self, text: str) -> set[str]:
        """Fallback: every lemma that is a concept, and the whole text."""
        words, lemmas = self.analyse(text)
        return {concept for concept in (*lemmas, " ".join(words)) if concept in self.numbers}


def _called(graph: Graph) -> Iterable[tuple[int, str]]:
    """Concepts with their labels, or their names where the graph has no labels."""
    labels = graph.labels
    if len(labels):
        return zip(labels.entities.tolist(), labels.texts, strict=True)
    return enumerate(graph.entities)


def _pruned(concepts: set[str], refuses: Callable[[Iterable[bool]], bool]) -> Sequence[str]:
    """Concepts without those of stop words, and without derived forms whose stem is present as well.

    refuses: `any` or `all`; drops a concept if any, or all, of its words are stop words.
    """
    return [
        concept
        for concept in concepts
        if not (concept.endswith("er") and concept[:-2] in concepts)
        and not (concept.endswith("e") and concept[:-1] in concepts)
        and not refuses(word in PRUNED for word in concept.split())
    ]
