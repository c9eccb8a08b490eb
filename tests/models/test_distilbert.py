"""DistilBERT's own properties."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from nlptool.errors import DataError
from nlptool.models import huggingface
from nlptool.models.base import Inputs
from nlptool.models.distilbert.config import Config
from nlptool.models.distilbert.huggingface import FAMILY
from nlptool.models.heads import MaskedLM

VOCAB, TOKENS = 500, 24
CONFIG = Config(layers=3, hidden=48, heads=3, max_positions=40)


def ours() -> nn.ModuleDict:
    return nn.ModuleDict({"backbone": CONFIG.build(VOCAB), "mlm": MaskedLM.of(CONFIG, VOCAB)}).eval()


def test_the_published_size_has_its_parameter_count() -> None:
    with torch.device("meta"):
        model = nn.ModuleDict({"backbone": Config().build(30522), "mlm": MaskedLM.of(Config(), 30522)})
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in model.items()}
    assert count["backbone"] == 66_362_880
    assert sum(count.values()) == 66_985_530


def test_dropout_is_where_transformers_has_it() -> None:
    """Of 1,600 rows with dropout the mean squared change is that of transformers, to a fiftieth."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(4)
    settings = FAMILY.write(CONFIG, VOCAB, {"pad": 0}, "ForMaskedLM")
    made = transformers.DistilBertForMaskedLM(transformers.DistilBertConfig.from_dict(settings))
    reference = made.eval()
    model = ours()
    huggingface.load(model, FAMILY.from_hf(reference.state_dict()))
    ids_BT = torch.randint(1, VOCAB, (64, TOKENS))
    spread = []
    with torch.no_grad():
        for module, run in (
            (model["backbone"], lambda: model["backbone"](Inputs(ids=ids_BT))),
            (reference, lambda: reference.distilbert(ids_BT).last_hidden_state),
        ):
            still = run()
            module.train()
            spread.append(torch.stack([(run() - still).pow(2).mean() for _ in range(25)]).mean().item())
    assert spread[0] == pytest.approx(spread[1], rel=0.02)


def test_a_setting_that_there_is_not_is_told(tmp_path: Path) -> None:
    torch.manual_seed(5)
    huggingface.save_pretrained(tmp_path, CONFIG, ours().state_dict(), {"pad": 0})
    written = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(written | {"activation": "relu"}))
    with pytest.raises(DataError, match='activation is "relu"; nlptool\'s DistilBERT has gelu'):
        huggingface.load_pretrained(tmp_path)
