from pathlib import Path

import pytest
import tiny
import torch

from nlptool.cli import main
from nlptool.data.batches import Batch
from nlptool.models import huggingface
from nlptool.models.albert.config import Config as AlbertConfig
from nlptool.models.base import Inputs
from nlptool.models.gpt2.config import Config as Gpt2Config
from nlptool.models.kernels.cross_entropy import IGNORED
from nlptool.objectives.sop.config import Config
from nlptool.text.store import Split


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    return tiny.store(tmp_path_factory.mktemp("store"))


def one(split: Split, **settings) -> Batch:
    return tiny.batches(tiny.build("sop", settings), split, rows=16).get(0)[0]


def test_all_three_see_pairs_of_segments_and_two_are_asked_about_them(split: Split):
    for pairs, term in (("order", "sop"), ("next", "nsp"), ("none", None)):
        batch = one(split, pairs=pairs)
        assert set(batch["types"].unique().tolist()) == {0, 1}
        assert ("order" in batch) == (term is not None)
        assert batch["at"].shape[1] == batch["labels"].shape[1] + (term is not None)
        assert set(batch.counts) == {"mlm", term} - {None}
        assert batch.counts.get(str(term), 16) == 16


def test_words_are_masked_in_runs_by_default(split: Split):
    ids = one(split)
    lengths = ids["lengths"]
    assert (Config().whole_word, Config().ngram, Config().mask_rate) == (True, 3, 0.15)
    picked = (ids["labels"] != IGNORED).sum(1)
    assert (picked <= (0.15 * lengths).round().clamp(min=1)).all()


def test_the_pair_is_judged_by_the_first_state_of_the_whole_last_layer(split: Split):
    objective = tiny.build("sop", {}).double()
    batch = one(split)
    hidden_BTD = objective.backbone(
        Inputs(ids=batch["ids"], token_type_ids=batch["types"], lengths=batch["lengths"])
    )
    logits_B2 = objective.pair(objective.pooler(hidden_BTD))
    expected = torch.nn.functional.cross_entropy(logits_B2, batch["order"], reduction="sum")
    assert objective(batch)["sop"].item() == pytest.approx(expected.item(), rel=1e-12)
    right = (logits_B2.argmax(1) == batch["order"]).sum()
    assert objective.measure(batch)["sop_correct"] == right


def test_documents_without_a_pair_are_told(split: Split):
    single = sum(len(split.document(number)) == 1 for number in range(len(split)))
    assert 0 < single < len(split)
    for pairs in ("order", "none"):
        objective = tiny.build("sop", {"pairs": pairs})
        (told,) = objective.left_out(objective.examples(split, tiny.LENGTH, 0))
        assert told.startswith(f"{single} documents")
    for name, settings in (("sop", {"pairs": "next"}), ("mlm", {})):
        objective = tiny.build(name, settings)
        assert objective.left_out(objective.examples(split, tiny.LENGTH, 0)) == []


def test_a_decoder_and_a_model_without_segments_are_refused():
    assert Config().check(AlbertConfig()) == []
    assert [problem.path for problem in Config().check(AlbertConfig(type_vocab_size=1))] == [
        "model.type_vocab_size"
    ]
    assert [problem.path for problem in Config().check(Gpt2Config())] == ["model.name"]


@pytest.mark.parametrize("share", ["all", "attention"])
def test_albert_trains_by_command_and_goes_on_from_what_it_wrote(
    share: str, tiny_recipe: Path, tmp_path: Path
):
    transformers = pytest.importorskip("transformers")
    model = (
        "model={name: albert, layers: 2, hidden: 16, heads: 2, embedding_size: 8, "
        f"max_positions: 64, share: {share}}}"
    )
    command = ["pretrain-sop", str(tiny_recipe), "objective={name: sop}"]
    assert main([*command, model]) == 0
    final = tmp_path / "run" / "final"
    reference, info = transformers.AutoModelForPreTraining.from_pretrained(final, output_loading_info=True)
    assert type(reference).__name__ == "AlbertForPreTraining"
    assert not any(info.values()), info
    assert main([*command, "~model", f"init_from={final}", "--out", str(tmp_path / "more")]) == 0
    config, _, state = huggingface.load_pretrained(tmp_path / "more" / "final")
    assert config.model_dump()["share"] == share
    assert len({name for name in state if "attention" in name and "qkv.weight" in name}) == 1


@pytest.mark.parametrize("pairs", ["next", "none"])
def test_the_baselines_of_albert_and_bert_with_sentence_order_can_be_exported(
    pairs: str, tiny_recipe: Path, tmp_path: Path
):
    model = "model={name: albert, layers: 1, hidden: 16, heads: 2, embedding_size: 8, max_positions: 64}"
    objective = f"objective={{name: sop, pairs: {pairs}}}"
    short = ["train.steps=2", "--out", str(tmp_path / "out")]
    assert main(["pretrain-sop", str(tiny_recipe), model, objective, *short]) == 0
    assert ("pair" in parts_of(tmp_path / "out" / "final")) == (pairs == "next")
    command = ["pretrain-sop", str(tiny_recipe), "objective={name: sop}", *short, "--overwrite"]
    assert main(command) == 0
    assert parts_of(tmp_path / "out" / "final") == {"backbone", "mlm", "pooler", "pair"}


def parts_of(folder: Path) -> set[str]:
    return {name.partition(".")[0] for name in huggingface.load_pretrained(folder).state}
