import json
import math
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from nlptool.data.batches import Batch
from nlptool.data.random_streams import RandomStreams
from nlptool.errors import DataError
from nlptool.models import huggingface
from nlptool.models.base import Inputs
from nlptool.models.bert.config import Config as BertConfig
from nlptool.models.electra.config import Config as Model
from nlptool.models.kernels.cross_entropy import IGNORED
from nlptool.objectives.electra import histograms
from nlptool.objectives.electra.config import Config
from nlptool.objectives.electra.diagnostics import diagnostics
from nlptool.objectives.electra.generator import GeneratorOutput
from nlptool.objectives.electra.objective import Electra, corrupt
from nlptool.text.store import Split

SMALL = Model(layers=12, hidden=256, heads=4, embedding_size=128)
BASE = Model(layers=12, hidden=768, heads=12)
LARGE = Model(layers=24, hidden=1024, heads=16)
CLS, SEP, MASK = (tiny.SPECIAL[name] for name in ("cls", "sep", "mask"))


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    return tiny.store(tmp_path_factory.mktemp("store"))


def one(split: Split, rows: int = 16, **settings: object) -> tuple[Electra, Batch]:
    objective = tiny.build("electra", {"generator_size": 0.5, **settings})
    return objective, tiny.batches(objective, split, rows=rows).get(0)[0]


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def by_hand() -> Batch:
    """Ten tokens, of which three are masked: 11, 12 and 13. The last slot is unused."""
    ids = torch.tensor([[CLS, 10, MASK, 20, MASK, 21, MASK, 22, 23, SEP]])
    at, labels = torch.tensor([[2, 4, 6, 0]]), torch.tensor([[11, 12, 13, IGNORED]])
    tensors = {"ids": ids, "at": at, "labels": labels, "uniform": torch.zeros(1, 4)}
    return Batch(tensors, {"mlm": 3, "rtd": 10}, 10)


class Rigged(nn.Module):
    """A generator that says what it is told: right at the first mask, wrong at the others."""

    def forward(self, batch: Batch, backbone: nn.Module) -> GeneratorOutput:
        return GeneratorOutput({"mlm": torch.tensor(0.0)}, torch.tensor([[11, 40, 41, 50]]))


def test_labels_by_hand_a_right_sample_counts_as_original():
    rows = corrupt(by_hand(), torch.tensor([[11, 40, 41, 50]]))
    assert rows.shown.tolist() == [[CLS, 10, 11, 20, 40, 21, 41, 22, 23, SEP]]
    assert rows.original.tolist() == [[CLS, 10, 11, 20, 12, 21, 13, 22, 23, SEP]]
    assert rows.replaced.tolist() == [[False] * 4 + [True, False, True] + [False] * 3]


@pytest.mark.parametrize(("learn", "positions", "replaced"), [("rtd", 10, 2), ("rtd_masked", 3, 2)])
def test_the_loss_by_hand_is_taken_at_all_positions_or_at_the_masked_ones(
    learn: str, positions: int, replaced: int
):
    """Every logit is 1: log(1 + 1/e) nats where a token is replaced, one more where it is not."""
    objective = tiny.build("electra", {"loss": learn})
    objective.generator = Rigged()
    nn.init.zeros_(objective.rtd.out.weight)
    nn.init.ones_(objective.rtd.out.bias)
    expected = positions * math.log(1 + math.exp(-1)) + positions - replaced
    assert objective(by_hand())["rtd"].item() == pytest.approx(expected, rel=1e-6)


def test_a_position_drawn_twice_gets_the_floor_of_the_mean_as_in_the_code():
    tensors = {
        "ids": torch.tensor([[CLS, MASK, 20, SEP]]),
        "at": torch.tensor([[1, 2, 1]]),
        "labels": torch.tensor([[11, 20, 11]]),
    }
    rows = corrupt(Batch(tensors, {}, 4), torch.tensor([[30, 21, 41]]))
    assert rows.shown.tolist() == [[CLS, 35, 21, SEP]]
    assert rows.original.tolist() == [[CLS, 11, 20, SEP]]


def test_no_gradient_goes_from_the_discriminator_to_the_generator(split: Split):
    objective, batch = one(split)
    sums = objective(batch)
    shared = list(objective.backbone.embeddings.parameters())
    own, others = list(objective.generator.parameters()), list(objective.backbone.layers.parameters())

    def gradients(term: str, parameters: list[Tensor]) -> list[Tensor | None]:
        return list(torch.autograd.grad(sums[term], parameters, retain_graph=True, allow_unused=True))

    assert all(g is None for g in gradients("rtd", own))
    assert all(g is None for g in gradients("mlm", others))
    for term in ("mlm", "rtd"):
        assert all(g is not None and g.norm() > 0 for g in gradients(term, shared))


def test_untied_models_share_nothing(split: Split):
    objective, batch = one(split, tie="none")
    sums = objective(batch)
    backbone, own = list(objective.backbone.parameters()), list(objective.generator.parameters())
    for term, other in (("mlm", backbone), ("rtd", own)):
        found = torch.autograd.grad(sums[term], other, retain_graph=True, allow_unused=True)
        assert all(g is None for g in found)


def test_a_generator_with_embeddings_of_its_own_has_them_as_wide_as_its_layers():
    untied, tied = (
        Config(generator_size=0.25, tie=tie).generator_config(SMALL) for tie in ("none", "embeddings")
    )
    assert (untied.hidden, untied.embedding_size, untied.projected) == (64, 64, False)
    assert (tied.hidden, tied.embedding_size, tied.projected) == (64, 128, True)


@pytest.mark.parametrize(
    ("model", "share", "discriminator", "alone", "own", "both"),
    [
        (SMALL, 0.25, 13_549_057, 4_620_026, 2_621_050, 14_196_219),
        (BASE, 1 / 3, 109_483_009, 33_740_602, 17_519_674, 119_386_427),
        (LARGE, 0.25, 335_142_913, 51_295_290, 26_996_794, 354_655_291),
    ],
)
def test_published_sizes_have_their_parameter_counts(
    model: Model, share: float, discriminator: int, alone: int, own: int, both: int
):
    vocabulary = type(tiny.VOCABULARY)(
        30522, tiny.SPECIAL, np.zeros(30522, np.int8), np.zeros(30522, np.int8)
    )
    with torch.device("meta"):
        tied = Config(generator_size=share).build(model, vocabulary)
        untied = Config(generator_size=share, tie="none").build(model, vocabulary)
    assert count(tied) == both
    assert count(tied.backbone, tied.rtd) == discriminator
    assert (
        count(untied.generator) == own
    )  # embeddings of its own are as wide as its layers, as in Google's code
    assert count(untied) == discriminator + own
    assert sum(t.numel() for t in tied.generator.state(tied.backbone).values()) == alone


def test_the_generator_has_the_shape_of_the_code():
    assert Config().generator_config(SMALL).model_dump() == SMALL.model_dump() | {
        "hidden": 64,
        "heads": 1,
        "intermediate": 256,
    }
    third = Config(generator_size=0.33333, generator_layers=0.5).generator_config(BASE)
    assert (third.layers, third.hidden, third.heads, third.embedding_size) == (6, 256, 4, 768)


@pytest.mark.parametrize(
    ("settings", "model", "path", "told"),
    [
        ({}, BertConfig(), "model.name", "set model.name=electra"),
        ({"tie": "all"}, SMALL, "objective.tie", "of one size"),
        (
            {"generator_size": 0.5},
            Model(hidden=262, heads=2),
            "objective.generator_size",
            "131 wide, which 2 heads",
        ),
        ({"generator_size": 0.001}, SMALL, "objective.generator_size", "0 wide"),
        ({"generator_layers": 0.01}, SMALL, "objective.generator_layers", "is not one layer"),
    ],
)
def test_what_does_not_go_together_is_refused(
    settings: dict[str, object], model: Model, path: str, told: str
):
    (problem,) = Config.model_validate(settings).check(model)
    assert problem.path == path
    assert told in problem.message


def test_published_sizes_go_together():
    for model, share in ((SMALL, 0.25), (BASE, 0.33333), (LARGE, 0.25)):
        for either in (share, 0.5, 1.0):
            assert Config(generator_size=either).check(model) == []
        assert Config(tie="all", generator_size=1.0).check(model) == []


def test_the_weight_is_fifty_and_one_where_tokens_are_guessed():
    weights = {
        learn: Config(loss=learn).discriminator_weight
        for learn in ("rtd", "rtd_masked", "replace_mlm", "all_tokens")
    }
    assert weights == {"rtd": 50, "rtd_masked": 50, "replace_mlm": 1, "all_tokens": 1}
    assert Config(loss="all_tokens", discriminator_weight=3).discriminator_weight == 3


def test_masked_tokens_show_the_mask_alone_and_special_ones_are_never_asked(split: Split):
    _, batch = one(split, mask_rate=0.5)
    assert set(batch["ids"].gather(1, batch["at"])[batch["labels"] != IGNORED].tolist()) == {MASK}
    assert set(batch["labels"].unique().tolist()).isdisjoint(tiny.SPECIAL.values())
    assert int((batch["ids"] == MASK).sum()) == batch.counts["mlm"]


def test_the_code_draws_positions_by_themselves_and_shows_some(split: Split):
    """int(0.155 * 24) slots a row, of 20 candidates or so; a mask shows unless all its slots say otherwise."""
    _, batch = one(split, rows=128, masking="code")
    at, labels, ids = batch["at"], batch["labels"], batch["ids"]
    assert at.shape == (128, 3)
    distinct = sum(len(set(row)) for row in at.tolist())
    assert distinct == pytest.approx(384 - 128 * 3 / 20, abs=18)  # three pairs of slots a row
    assert distinct < 384
    shown = ids.gather(1, at)
    assert bool(((shown == MASK) | (shown == labels)).all())
    assert (shown == labels).double().mean().item() == pytest.approx(0.15, abs=0.07)


def test_electra_15_computes_the_masked_positions_of_the_whole_layer(split: Split):
    objective, batch = one(split, loss="rtd_masked")
    objective.double()
    samples = objective.generator(batch, objective.backbone).samples
    rows = corrupt(batch, samples)
    logits_BT = objective.rtd(objective.backbone(Inputs(ids=rows.shown)))
    losses_BT = nn.functional.binary_cross_entropy_with_logits(
        logits_BT, rows.replaced.double(), reduction="none"
    )
    expected = losses_BT.gather(1, batch["at"])[batch["labels"] != IGNORED].sum()
    assert objective(batch)["rtd"].item() == pytest.approx(expected.item(), rel=1e-12)


def test_all_tokens_mixes_copy_and_guess(split: Split):
    objective, batch = one(split, loss="all_tokens")
    objective.double()
    nn.init.normal_(objective.gate.dense.weight)
    samples = objective.generator(batch, objective.backbone).samples
    rows = corrupt(batch, samples)
    hidden_BTD = objective.backbone(Inputs(ids=rows.shown))
    gate_BT1 = objective.gate.dense(hidden_BTD).sigmoid()
    softmax_BTV = objective.mlm(hidden_BTD, objective.backbone.word_embeddings).softmax(-1)
    p_BTV = gate_BT1 * nn.functional.one_hot(rows.shown, tiny.SIZE) + (1 - gate_BT1) * softmax_BTV
    expected = -p_BTV.gather(2, rows.original[:, :, None]).log().sum()
    assert objective(batch)["all_tokens"].item() == pytest.approx(expected.item(), rel=1e-12)
    figures = objective.summary(objective.measure(batch), batch.counts)
    right = (p_BTV.argmax(-1) == rows.original).double().mean().item()
    assert figures["all_tokens_accuracy"] == pytest.approx(right)


def test_figures_of_samples_and_decisions_by_hand(split: Split):
    objective, batch = one(split)
    figures = objective.summary(objective.measure(batch), batch.counts)
    rows = corrupt(batch, objective.generator(batch, objective.backbone).samples)
    logits_BT = objective.rtd(objective.backbone(Inputs(ids=rows.shown)))
    said, true = logits_BT > 0, rows.replaced
    assert figures["replaced"] == pytest.approx(true.double().mean().item())
    masked = batch["labels"] != IGNORED
    right = ~true.gather(1, batch["at"])[masked]
    assert figures["generator_accuracy"] == pytest.approx(right.double().mean().item())
    assert figures["mlm_majority"] == batch["labels"][masked].bincount().max().item() / masked.sum().item()
    assert figures["rtd_accuracy"] == pytest.approx((said == true).double().mean().item())
    assert figures["rtd_majority"] == pytest.approx(1 - figures["replaced"])
    assert figures["rtd_recall"] == pytest.approx((said & true).sum().item() / true.sum().item())
    assert figures["rtd_precision"] == pytest.approx((said & true).sum().item() / max(said.sum().item(), 1))


def test_the_area_under_the_curve_by_hand():
    """Of six pairs four are in order and one is a tie."""
    logits = torch.tensor([-2.0, 0.5, 1.0, 0.5, 3.0])
    positive = torch.tensor([False, False, False, True, True])
    table = histograms.histograms(logits, positive)
    assert histograms.area(table) == pytest.approx(4.5 / 6)
    assert histograms.decisions(table) == pytest.approx(
        {"accuracy": 3 / 5, "majority": 3 / 5, "precision": 2 / 4, "recall": 1.0}
    )
    assert histograms.area(histograms.histograms(logits, torch.zeros(5, dtype=torch.bool))) == 0.5


@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0])
def test_the_area_is_that_of_scikit_learn_within_the_width_of_a_bin(shift: float):
    metrics = pytest.importorskip("sklearn.metrics")
    torch.manual_seed(0)
    positive = torch.rand(5000) < 0.13
    logits = torch.randn(5000) * 2 + shift * positive
    logits[:50] = 100.0  # beyond the outermost bin
    parts = [histograms.histograms(x, p) for x, p in zip(logits.split(700), positive.split(700), strict=True)]
    expected = metrics.roc_auc_score(positive.numpy(), logits.clamp(max=20).numpy())
    assert histograms.area(torch.stack(parts).sum(0)) == pytest.approx(expected, abs=histograms.WIDTH / 4)


FIGURES = {
    "mlm_accuracy": 0.35,
    "mlm_majority": 0.05,
    "generator_accuracy": 0.3,
    "replaced": 0.1,
    "rtd_auc": 0.85,
    "rtd_recall": 0.3,
}


def test_nothing_is_remarked_of_a_run_that_does_well_or_begins(split: Split):
    objective, batch = one(split)
    assert objective.remarks(objective.summary(objective.measure(batch), batch.counts)) == []
    start = {
        "mlm_accuracy": 0.05,
        "generator_accuracy": 0.01,
        "replaced": 0.15,
        "rtd_auc": 0.5,
        "rtd_recall": 0.0,
    }
    assert diagnostics(FIGURES | start) == []
    assert diagnostics(FIGURES) == []
    assert diagnostics({k: v for k, v in FIGURES.items() if not k.startswith("rtd")}) == []


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ({"replaced": 0.005, "generator_accuracy": 0.97}, "only 0.50 % of the tokens are replaced"),
        ({"rtd_auc": 0.51, "rtd_recall": 0.0}, "calls everything original"),
        ({"rtd_auc": 0.95, "mlm_accuracy": 0.06}, "little more than word frequencies"),
    ],
)
def test_each_collapse_is_remarked_with_what_to_do(figures: dict[str, float], told: str):
    (remark,) = diagnostics(FIGURES | figures)
    assert told in remark
    assert "objective." in remark


def test_exported_models_give_the_losses_of_transformers(split: Split, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    objective, batch = one(split)
    objective.eval()
    model = Model.model_validate({"dropout": 0.0, "attention_dropout": 0.0} | tiny.facts("electra").MODEL)
    models = {}
    for name, folder in objective.folders(model).items():
        (tmp_path / name).mkdir(exist_ok=True)
        huggingface.save_pretrained(tmp_path / name, folder.config, folder.state, tiny.SPECIAL)
        kind = "ElectraForMaskedLM" if name else "ElectraForPreTraining"
        models[name], info = getattr(transformers, kind).from_pretrained(
            tmp_path / name, output_loading_info=True
        )
        assert not any(info.values()), info
    shared = "electra.embeddings.word_embeddings.weight"
    assert torch.equal(models[""].state_dict()[shared], models["generator"].state_dict()[shared])
    sums = objective(batch)
    labels = torch.full_like(batch["ids"], IGNORED).scatter(1, batch["at"], batch["labels"])
    mlm = models["generator"](batch["ids"], labels=labels).loss
    rows = corrupt(batch, objective.generator(batch, objective.backbone).samples)
    rtd = models[""](rows.shown, labels=rows.replaced.float()).loss
    assert sums["mlm"].item() / batch.counts["mlm"] == pytest.approx(mlm.item(), rel=1e-5)
    assert sums["rtd"].item() / batch.counts["rtd"] == pytest.approx(rtd.item(), rel=1e-5)


@pytest.mark.parametrize("learn", ["replace_mlm", "all_tokens"])
def test_a_model_that_guesses_tokens_is_exported_as_a_masked_lm(learn: str, split: Split):
    objective, _ = one(split, loss=learn)
    parts = {
        name: {key.partition(".")[0] for key in folder.state}
        for name, folder in objective.folders(objective.backbone.config).items()
    }
    assert parts == {"": {"backbone", "mlm"}, "generator": {"backbone", "mlm"}}


def test_rates_on_real_text_are_those_of_the_formulas(shared_data: Path, tmp_path: Path):
    """Novels in bytes, one id each: 19 of 128 tokens masked, of which an untrained generator misses all but 1/V."""
    import lzma

    from nlptool.text.store import DTYPES, SplitWriter

    with lzma.open(shared_data / "pretrain_en" / "novels.jsonl.xz", "rt", encoding="utf8") as lines:
        text = json.loads(next(lines))["text"][:200_000].encode("ascii", "replace")
    ids = np.frombuffer(text, np.uint8).astype(np.int64) + 6
    writer = SplitWriter(tmp_path / "train", DTYPES[8])
    writer.add(ids, np.array([len(ids)], np.int32))
    writer.close()
    size = 6 + 128
    vocabulary = type(tiny.VOCABULARY)(size, tiny.SPECIAL, np.zeros(size, np.int8), np.zeros(size, np.int8))
    torch.manual_seed(0)
    objective = Config().build(Model(layers=1, hidden=32, heads=1, max_positions=128), vocabulary)
    rows = objective.examples(Split(tmp_path / "train"), 128, 0).take(
        np.arange(200), np.zeros(200, np.int64), RandomStreams(0, 0)
    )
    batch = objective.collate(rows, RandomStreams(0, 0))
    assert batch.counts == {"mlm": 200 * 19, "rtd": 200 * 128}
    assert (batch["ids"] == MASK).double().mean().item() == 19 / 128
    figures = objective.summary(objective.measure(batch), batch.counts)
    error = math.sqrt(3800 / size) / 25600
    assert figures["replaced"] == pytest.approx(19 / 128 * (1 - 1 / size), abs=4 * error)
    assert figures["mlm"] == pytest.approx(math.log(size), abs=0.03)
    assert figures["rtd"] == pytest.approx(math.log(2), abs=0.03)


def test_a_run_leaves_a_discriminator_and_a_generator_that_fills_masks(tiny_recipe: Path, tmp_path: Path):
    from nlptool.cli import main
    from nlptool.evaluation.fill_mask import FillMask

    model = (
        'model={"name": "electra", "layers": 2, "hidden": 32, "heads": 2, "embedding_size": 16, '
        '"max_positions": 64}'
    )
    assert main(["pretrain-electra", str(tiny_recipe), model, 'objective={"name": "electra"}']) == 0
    final = tmp_path / "run" / "final"
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    last = {key: value for line in lines for key, value in line.items() if line["step"] == 12}
    assert 0 <= last["heldout/rtd_auc"] <= 1
    assert last["heldout/rtd_majority"] == pytest.approx(1 - last["heldout/replaced"])
    assert json.loads((final / "config.json").read_text())["architectures"] == ["ElectraForPreTraining"]
    with pytest.raises(DataError, match="no masked-LM head") as told:
        FillMask(final)
    assert told.value.hint == f"{final / 'generator'} has one"
    (found,) = FillMask(final / "generator").predictions("the old [MASK] reads")
    assert len(found) == 5
