"""DistilBERT against transformers: the same numbers, forward and backward, through files both ways."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool.errors import DataError
from nlptool.models import huggingface
from nlptool.models.base import Inputs
from nlptool.models.distilbert.config import Config
from nlptool.models.distilbert.huggingface import FAMILY
from nlptool.models.heads import Classifier, MaskedLM

transformers = pytest.importorskip("transformers")

VOCAB, TOKENS = 500, 24
CONFIG = Config(layers=3, hidden=48, heads=3, positions=40)
CLASSES = {"mlm": "DistilBertForMaskedLM", "classifier": "DistilBertForSequenceClassification"}
both_heads = pytest.mark.parametrize("head", CLASSES)


def randomise(model: nn.Module) -> nn.Module:
    """Biases and norms away from 0 and 1, so that a forgotten one shows; no dropout."""
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.2)
    return model.eval()


def ours(head: str) -> nn.ModuleDict:
    made = MaskedLM.of(CONFIG, VOCAB) if head == "mlm" else Classifier.of(CONFIG, 3, 0.2)
    return nn.ModuleDict({"backbone": CONFIG.build(VOCAB), head: made}).eval()


def settings(head: str) -> dict[str, object]:
    return FAMILY.write(CONFIG, VOCAB, {"pad": 0}, CLASSES[head]) | {"num_labels": 3}


def theirs(head: str) -> nn.Module:
    made = getattr(transformers, CLASSES[head])(transformers.DistilBertConfig.from_dict(settings(head)))
    return randomise(made)


def inputs(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, lengths and [B, T] where tokens are real; never the padding id, which stops gradients there."""
    lengths_B = torch.randint(3, TOKENS + 1, (rows,))
    return torch.randint(1, VOCAB, (rows, TOKENS)), lengths_B, torch.arange(TOKENS) < lengths_B[:, None]


def both_logits(model: nn.ModuleDict, reference: nn.Module, rows: int) -> tuple[Tensor, Tensor]:
    """Of random inputs with padding, those of real tokens."""
    ids_BT, lengths_B, real_BT = inputs(rows)
    hidden_BTD = model["backbone"](Inputs(ids=ids_BT, lengths=lengths_B))
    said = reference(ids_BT, attention_mask=real_BT.long()).logits
    if "classifier" in model:
        return model["classifier"](hidden_BTD[:, 0]), said
    return model["mlm"](hidden_BTD, model["backbone"].word_embeddings)[real_BT], said[real_BT]


@torch.no_grad()
def assert_same_logits(model: nn.ModuleDict, reference: nn.Module) -> None:
    one, other = both_logits(model, reference, 100)
    assert one.shape == other.shape
    assert (one - other).abs().max() < 1e-5


@both_heads
def test_imported_weights_give_the_logits_of_transformers(head: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    reference = theirs(head)
    reference.save_pretrained(tmp_path)
    config, vocab_size, state = huggingface.load_pretrained(tmp_path)
    assert (config, vocab_size) == (CONFIG, VOCAB)
    model = ours(head)
    assert huggingface.load(model, state) == huggingface.LoadReport((), ())
    assert_same_logits(model, reference)


@both_heads
def test_exported_weights_give_the_same_logits_in_transformers_and_no_key_is_left_over(
    head: str, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    model = ours(head)
    randomise(model)
    huggingface.save_pretrained(
        tmp_path,
        CONFIG,
        model.state_dict(),
        {"pad": 0},
        {"num_labels": 3},
        CLASSES[head].removeprefix("DistilBert"),
    )
    assert transformers.AutoConfig.from_pretrained(tmp_path).architectures == [CLASSES[head]]
    reference, info = getattr(transformers, CLASSES[head]).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values()), info
    assert_same_logits(model, reference.eval())


@both_heads
def test_gradients_are_those_of_transformers(head: str) -> None:
    torch.manual_seed(2)
    reference = theirs(head)
    model = ours(head)
    huggingface.load(model, FAMILY.from_hf(reference.state_dict()))
    for logits, holder in zip(both_logits(model, reference, 8), (model, reference), strict=True):
        labels = torch.arange(len(logits)) % logits.shape[1]
        holder.zero_grad()
        F.cross_entropy(logits, labels).backward()
    expected = FAMILY.from_hf({key: p.grad for key, p in reference.named_parameters()})
    for key, parameter in model.named_parameters():
        difference = (parameter.grad - expected[key]).norm() / expected[key].norm()
        assert difference < 1e-4, f"{key}: {difference:.1e}"


def test_a_bare_encoder_loads(tmp_path: Path) -> None:
    torch.manual_seed(3)
    made = transformers.DistilBertModel(transformers.DistilBertConfig.from_dict(settings("mlm")))
    made.save_pretrained(tmp_path)
    state = huggingface.load_pretrained(tmp_path).state
    assert {key.partition(".")[0] for key in state} == {"backbone"}
    assert huggingface.load(ours("mlm"), state).fresh == ("mlm",)


def test_the_published_size_has_its_parameter_count() -> None:
    with torch.device("meta"):
        model = nn.ModuleDict({"backbone": Config().build(30522), "mlm": MaskedLM.of(Config(), 30522)})
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in model.items()}
    assert count["backbone"] == 66_362_880
    assert sum(count.values()) == 66_985_530


def test_dropout_is_where_transformers_has_it() -> None:
    """Of 1,600 rows with dropout the mean squared change is that of transformers, to a fiftieth."""
    torch.manual_seed(4)
    reference = theirs("mlm")
    model = ours("mlm")
    huggingface.load(model, FAMILY.from_hf(reference.state_dict()))
    ids_BT = torch.randint(1, VOCAB, (64, TOKENS))
    spread = []
    with torch.no_grad():
        for net, run in (
            (model["backbone"], lambda: model["backbone"](Inputs(ids=ids_BT))),
            (reference, lambda: reference.distilbert(ids_BT).last_hidden_state),
        ):
            still = run()
            net.train()
            spread.append(torch.stack([(run() - still).pow(2).mean() for _ in range(25)]).mean().item())
    assert spread[0] == pytest.approx(spread[1], rel=0.02)


def test_a_setting_that_there_is_not_is_told(tmp_path: Path) -> None:
    torch.manual_seed(5)
    huggingface.save_pretrained(tmp_path, CONFIG, ours("mlm").state_dict(), {"pad": 0})
    written = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(written | {"activation": "relu"}))
    with pytest.raises(DataError, match='activation is "relu"; nlptool\'s DistilBERT has gelu'):
        huggingface.load_pretrained(tmp_path)
