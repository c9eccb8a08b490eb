import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from pydantic import ValidationError

from nlptool import registry
from nlptool.data.batches import Batch
from nlptool.data.random_streams import RandomStreams
from nlptool.models.base import Inputs
from nlptool.models.bert.config import Config as BertConfig
from nlptool.models.kernels.cross_entropy import IGNORED
from nlptool.objectives import masked
from nlptool.objectives.mlm.config import Config
from nlptool.text.store import DTYPES, Split, SplitWriter

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    return tiny.store(tmp_path_factory.mktemp("store"))


def one(split: Split, **settings) -> Batch:
    return tiny.batches(tiny.build("mlm", settings), split, rows=16).get(0)[0]


def test_labels_are_what_stood_there_and_everything_else_is_shown(split: Split):
    objective = tiny.build("mlm", {})
    examples = objective.examples(split, tiny.LENGTH, 0)
    index = torch.arange(16).numpy()
    rows = examples.take(index, index * 0, RandomStreams(0, 0))
    batch = objective.collate(rows, RandomStreams(0, 0))
    original = torch.from_numpy(rows.ids)
    assert torch.equal(original.gather(1, batch["at"]), batch["labels"])
    shown = original.scatter(1, batch["at"], batch["ids"].gather(1, batch["at"]))
    assert torch.equal(shown, batch["ids"])


@pytest.mark.parametrize(
    ("corrupt", "masked", "kept"),
    [((1.0, 0.0, 0.0), 256, 0), ((0.0, 0.0, 1.0), 0, 256), ((0.0, 1.0, 0.0), 0, 256 / 54)],
)
def test_predicted_tokens_are_shown_as_the_recipe_says(
    split: Split, corrupt: tuple[float, ...], masked: int, kept: float
):
    batch = tiny.batches(tiny.build("mlm", {"mask_split": corrupt}), split, rows=64).get(0)[0]
    shown = batch["ids"].gather(1, batch["at"])
    assert int((shown == tiny.SPECIAL["mask"]).sum()) == masked
    assert int((shown == batch["labels"]).sum()) == pytest.approx(kept, abs=10 if 0 < kept < 256 else 0)


def test_packed_rows_have_no_padding_and_a_full_budget(split: Split):
    batch = one(split)
    assert set(batch.tensors) == {"ids", "at", "labels"}
    assert batch["labels"].shape == (16, 4)  # round(0.15 * 24)
    assert batch.counts == {"mlm": 64}
    assert batch.tokens == 16 * tiny.LENGTH


def test_special_tokens_are_never_predicted(split: Split):
    for settings in ({"mask_rate": 0.9}, {"mask_rate": 0.9, "next_sentence": True}):
        labels = one(split, **settings)["labels"]
        assert set(labels[labels != IGNORED].tolist()).isdisjoint(tiny.SPECIAL.values())


def test_unused_slots_are_ignored_and_shapes_do_not_vary(split: Split):
    objective = tiny.build("mlm", {"next_sentence": True})
    source = tiny.batches(objective, split)
    counts = set()
    for n in range(10):
        (batch,) = source.get(n)
        assert batch["labels"].shape == (8, 4)
        assert batch["at"].shape == (8, 5)
        assert int((batch["labels"] != IGNORED).sum()) == batch.counts["mlm"]
        assert not batch["at"][:, 1:][batch["labels"] == IGNORED].any()
        counts.add(batch.counts["mlm"])
    assert len(counts) > 1


def test_pairs_ask_for_the_first_position_too(split: Split):
    batch = one(split, next_sentence=True)
    assert not batch["at"][:, 0].any()
    assert (batch["ids"][:, 0] == tiny.SPECIAL["cls"]).all()
    assert batch.counts["nsp"] == 16


def test_the_pruned_last_layer_gives_the_losses_of_the_whole_one(split: Split):
    objective = tiny.build("mlm", {"next_sentence": True}).double()
    batch = one(split, next_sentence=True)
    hidden_BTD = objective.backbone(
        Inputs(ids=batch["ids"], token_type_ids=batch["types"], lengths=batch["lengths"])
    )
    embeddings = objective.backbone.word_embeddings
    logits = objective.mlm(hidden_BTD, embeddings)
    labels = torch.full_like(batch["ids"], IGNORED).scatter(1, batch["at"][:, 1:], batch["labels"])
    labels[:, 0] = IGNORED
    mlm = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
    order = objective.pair(objective.pooler(hidden_BTD))
    nsp = torch.nn.functional.cross_entropy(order, batch["order"], reduction="sum")
    sums = objective(batch)
    assert sums["mlm"].item() == pytest.approx(mlm.item(), rel=1e-12)
    assert sums["nsp"].item() == pytest.approx(nsp.item(), rel=1e-12)


def test_whole_words_are_masked_whole(split: Split):
    objective = tiny.build("mlm", {"whole_word": True, "mask_rate": 0.5})
    examples = objective.examples(split, tiny.LENGTH, 0)
    index = torch.arange(16).numpy()
    rows = examples.take(index, index * 0, RandomStreams(0, 0))
    batch = objective.collate(rows, RandomStreams(0, 0))
    picked = torch.zeros(16, tiny.LENGTH, dtype=torch.bool)
    for row in range(16):
        picked[row, batch["at"][row][batch["labels"][row] != IGNORED]] = True
    continues = torch.from_numpy(tiny.CONTINUES[rows.ids].astype(bool))
    special = torch.from_numpy(tiny.VOCABULARY.is_special[rows.ids])
    joined = continues[:, 1:] & ~special[:, 1:] & ~special[:, :-1]
    assert joined.any()
    assert torch.equal(picked[:, 1:][joined], picked[:, :-1][joined])


def test_random_pairs_of_documents_of_one_sentence_are_told_and_the_majority_is_beside_the_accuracy(
    tmp_path: Path,
):
    writer = SplitWriter(tmp_path / "train", DTYPES[8])
    for document in range(60):
        sentences = 2 if document < 6 else 1
        writer.add(np.full(5 * sentences, 30), np.full(sentences, 5, np.int32))
    writer.close()
    objective = tiny.build("mlm", {"next_sentence": True})
    examples = objective.examples(Split(tmp_path / "train"), tiny.LENGTH, 0)
    (told,) = objective.left_out(examples)
    assert told.startswith("91 % of the pairs have a random second segment")  # 54 of 66 sentences, half of 12
    batch = tiny.batches(objective, Split(tmp_path / "train"), rows=60).get(0)[0]
    figures = objective.summary(objective.measure(batch), batch.counts)
    random = batch["order"].double().mean().item()
    assert figures["nsp_majority"] == pytest.approx(random)
    assert random > 0.8


def test_words_that_tokens_do_not_tell_are_remarked_on(split: Split):
    vocabulary = replace(tiny.VOCABULARY, knows_word_boundaries=False)
    model = registry.config("models", "bert").model_validate(tiny.facts("mlm").MODEL)
    for whole_word in (True, False):
        objective = masked.build(Config(whole_word=whole_word), model, vocabulary, None)
        told = objective.left_out(objective.examples(split, tiny.LENGTH, 0))
        assert bool(told) == whole_word
        assert all("do not show word boundaries" in one for one in told)


def test_parts_have_the_names_that_files_of_other_libraries_are_mapped_from():
    parts = {name.partition(".")[0] for name in tiny.build("mlm", {}).state_dict()}
    assert parts == {"backbone", "mlm"}
    both = tiny.build("mlm", {"next_sentence": True}).state_dict()
    assert {name.partition(".")[0] for name in both} == {"backbone", "mlm", "pooler", "pair"}
    names = registry.config("models", "bert").hf().to_hf(both)
    assert "cls.seq_relationship.weight" in names


def test_pairs_need_a_model_with_two_types_of_segment():
    one_type = BertConfig(type_vocab_size=1)
    assert Config().check(one_type) == []
    (problem,) = Config(next_sentence=True).check(one_type)
    assert problem.path == "objective.next_sentence"


def test_pairs_need_a_model_with_a_pooler_which_asks_of_them():
    electra = registry.config("models", "electra")()
    assert Config().check(electra) == []
    (problem,) = Config(next_sentence=True).check(electra)
    assert (problem.path, "a pooler" in problem.message) == ("objective.next_sentence", True)


def test_shares_must_add_up_to_one():
    with pytest.raises(ValidationError, match=r"add up to 1, not to 0\.9"):
        Config.model_validate({"mask_split": (0.8, 0.1, 0.0)})


def test_settings_import_no_torch():
    code = (
        "import sys, nlptool.objectives.mlm.config; sys.exit({'torch', 'numpy'} & set(sys.modules) != set())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
