"""The quality classifier: regression against scikit-learn, sampling against (2 - s)^-9, and a corpus with it."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from nlptool.cli import main
from nlptool.corpus import logistic_regression, quality
from nlptool.corpus.config import Quality
from nlptool.corpus.document import Document, Dropped, Figures
from nlptool.corpus.logistic_regression import Rows
from nlptool.corpus.quality import Block
from nlptool.errors import DataError

GOOD = ["harbour", "letter", "winter", "garden", "people", "river", "history"]
BAD = ["buy", "cheap", "click", "offer", "login", "price", "cookie"]


def text(kind: list[str], number: int) -> str:
    chance = random.Random(f"{kind[0]} {number}")
    return " ".join(
        chance.choice(kind if chance.random() < 0.3 else ["the", "a", "of", "and"]) for _ in range(80)
    )


def problem() -> tuple[np.ndarray, np.ndarray, Rows]:
    """300 rows of 12 columns, dense and sparse, and their labels."""
    chance = np.random.default_rng(0)
    dense = np.where(chance.random((300, 12)) < 0.4, chance.normal(size=(300, 12)), 0.0)
    dense[:, 0] = 1.0  # every row has a value
    labels = dense @ chance.normal(size=12) + chance.normal(size=300) > 0.7
    row, column = np.nonzero(dense)
    rows = Rows(column, dense[row, column], np.flatnonzero(np.diff(row, prepend=-1)))
    return dense, labels, rows


def test_weights_are_where_the_gradient_is_zero():
    dense, labels, rows = problem()
    weights, intercept = logistic_regression.fit(rows, labels, 12)
    probability = 1 / (1 + np.exp(-(dense @ weights + intercept)))
    share = np.where(labels, 300 / 2 / labels.sum(), 300 / 2 / (~labels).sum())
    residual = share * (labels - probability)
    assert weights == pytest.approx(dense.T @ residual, abs=1e-3)
    assert residual.sum() == pytest.approx(0, abs=1e-3)
    assert np.abs(weights).max() > 1


@pytest.mark.slow
def test_weights_and_areas_are_those_of_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    dense, labels, rows = problem()
    weights, intercept = logistic_regression.fit(rows, labels, 12)
    oracle = linear_model.LogisticRegression(class_weight="balanced", tol=1e-10, max_iter=1000).fit(
        dense, labels
    )
    assert weights == pytest.approx(oracle.coef_[0], abs=2e-4)
    assert intercept == pytest.approx(oracle.intercept_[0], abs=2e-4)
    metrics = pytest.importorskip("sklearn.metrics")
    scores = np.round(dense @ weights, 1)
    assert quality.roc_auc(scores, labels) == pytest.approx(metrics.roc_auc_score(labels, scores))


def test_a_text_is_a_vector_of_length_1_of_hashed_words():
    columns, values = quality.features("The the river", 1 << 18)
    assert sorted(values) == pytest.approx([1 / 5**0.5, 2 / 5**0.5])
    assert (values**2).sum() == pytest.approx(1)
    assert np.array_equal(columns, quality.features("river THE the\n", 1 << 18)[0])
    assert len(quality.features("", 256)[0]) == 0


class Scores:
    """A classifier for which a text is its score."""

    def score(self, text: str) -> float:
        return float(text.split()[0])


def test_the_kept_share_is_that_of_the_pareto_draw():
    """Ten scores, 2,000 texts each: within four deviations of (2 - s)^-9, and the same texts again."""
    block = Block(Quality(model="m"), Scores(), seed=3)  # type: ignore[arg-type]
    for score in np.linspace(0.05, 1, 10):
        texts = [f"{score:.2f} {number}" for number in range(2000)]
        kept = [one for one in texts if isinstance(block(Document("", "", one, {}), Figures()), Document)]
        share = (2 - round(score, 2)) ** -9
        assert abs(len(kept) - 2000 * share) <= 4 * (2000 * share * (1 - share)) ** 0.5, score
        again = [
            one
            for one in reversed(texts)
            if isinstance(block(Document("", "", one, {}), Figures()), Document)
        ]
        assert again == kept[::-1]


def test_a_limit_drops_lower_scores_and_the_score_is_noted():
    block = Block(Quality(model="m", alpha=None, min_score=0.5), Scores(), seed=0)  # type: ignore[arg-type]
    low, high = (block(Document("", "", one, {}), Figures()) for one in ("0.4 x", "0.75 y"))
    assert low == Dropped("quality.min_score", 0.4, 0.5)
    assert isinstance(high, Document)
    assert high.facts == {"quality_score": 0.75}


def test_good_texts_are_told_from_others_and_the_classifier_is_kept(tmp_path: Path):
    config = Quality(positive={"files": "p"}, negative={"files": "n"}, features=1 << 12)  # type: ignore[arg-type]
    good, bad = ([text(kind, number) for number in range(150)] for kind in (GOOD, BAD))
    found = quality.train(good, bad * 2, config, 0)
    assert found.facts["negative_samples"] == 150  # each text once
    assert found.facts["heldout_accuracy"] > 0.95
    assert found.facts["heldout_roc_auc"] > 0.98
    assert found.score(text(GOOD, 999)) > 0.7 > 0.3 > found.score(text(BAD, 999))
    quality.save(found, tmp_path / "quality")
    again = quality.load(tmp_path / "quality")
    assert np.array_equal(again.weights, found.weights)
    assert (again.intercept, again.facts) == (found.intercept, found.facts)
    with pytest.raises(DataError, match=r"quality\.positive: 3 documents with words"):
        quality.train(good[:3], bad, config, 0)
    (tmp_path / "quality/weights.npy").write_bytes(b"broken")
    with pytest.raises(DataError, match="quality: "):
        quality.load(tmp_path / "quality")
    with pytest.raises(DataError, match="no quality classifier"):
        quality.load(tmp_path / "nothing")


def test_a_corpus_is_drawn_by_a_classifier_of_its_own_and_by_one_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for name, kinds in (("good", [GOOD]), ("bad", [BAD]), ("web", [GOOD, BAD])):
        lines = [
            json.dumps({"text": text(kind, at + len(name) * 1000)}) for kind in kinds for at in range(60)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), "utf8")
    (tmp_path / "r.yaml").write_text(
        "sources: {web: {files: web.jsonl}}\n"
        "quality: {positive: {files: good.jsonl}, negative: {files: bad.jsonl}, features: 4096, alpha: null, "
        "min_score: 0.5}\n"
        "workers: 1\nout: out\n"
    )
    assert main(["corpus", "r.yaml", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["blocks"] == ["quality"]
    assert main(["corpus", "r.yaml", "--sample", "120", "--json"]) == 0
    assert 50 <= json.loads(capsys.readouterr().out)["kept"]["documents"] <= 70
    assert not (tmp_path / "out").exists()
    assert main(["corpus", "r.yaml", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert 50 <= report["kept"]["documents"] <= 70
    assert report["quality"]["positive_samples"] == 60
    other = ["~quality.positive", "~quality.negative", "~quality.features", "quality.model=out/quality"]
    assert main(["corpus", "r.yaml", *other, "--out", "again", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == report["kept"]
    assert main(["corpus", "r.yaml", "quality.negative.files=nowhere", "--out", "no", "--dry-run"]) == 3
    assert main(["corpus", "r.yaml", "~quality.negative", "--out", "no"]) == 2
    assert "give positive and negative samples, or a model" in capsys.readouterr().err
