"""Scores of segment pairs: by a rule with a known score, and against transformers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nlptool.data.pretraining_examples import SegmentPairs
from nlptool.data.random_streams import RandomStreams
from nlptool.errors import DataError
from nlptool.evaluation.segment_pairs import SegmentPairScorer
from nlptool.models import huggingface
from nlptool.models.albert.config import Config
from nlptool.models.base import Inputs
from nlptool.models.heads import MaskedLM, Pooler, SegmentPairHead
from nlptool.models.huggingface import Pretrained
from nlptool.text.store import DTYPES, Split, SplitWriter

SPECIAL = {"pad": 0, "cls": 1, "sep": 2}
CONFIG = Config(layers=1, hidden=8, heads=2, embedding_size=4, max_positions=32)


@pytest.fixture
def rising(tmp_path: Path) -> Split:
    """100 documents of 20 sentences; each token is larger than the one before it."""
    writer = SplitWriter(tmp_path / "heldout", DTYPES[8])
    for document in range(100):
        writer.add(np.arange(10 + 100 * document, 110 + 100 * document), np.full(20, 5, np.int32))
    writer.close()
    return Split(tmp_path / "heldout")


def by_size(inputs: Inputs) -> Tensor:
    """[B, 1, 1]: above 0 where the second segment's tokens are larger than the first's."""
    b_start_B = inputs.token_type_ids.argmax(1)
    return (inputs.ids.gather(1, b_start_B[:, None]) - inputs.ids[:, 1:2]).sign().float()[:, :, None]


def test_who_knows_the_order_is_right_of_every_swap_and_of_half_the_strangers(rising: Split) -> None:
    state = nn.ModuleDict({"backbone": CONFIG.build(10_200), "pooler": Pooler(8), "pair": SegmentPairHead(8)})
    judge = SegmentPairScorer(Pretrained(CONFIG, 10_200, state.state_dict()), SPECIAL)
    judge.model, judge.pooler = by_size, lambda hidden_B11: hidden_B11[:, 0]  # type: ignore[assignment]
    judge.pair = lambda x_B1: torch.cat([x_B1, -x_B1], dim=1)  # type: ignore[assignment]
    order = judge.accuracy(rising, "order", length=23)
    assert order.total == len(SegmentPairs(rising, 23, 0, "order", cls=1, sep=2, pad=0)) > 500
    assert order.right == order.total
    following = judge.accuracy(rising, "next", length=23)
    assert abs(following.value - 0.75) < 4 * (0.75 * 0.25 / following.total) ** 0.5
    assert judge.accuracy(rising, "order", length=23, most=7).total == 7


def test_a_model_without_a_head_for_pairs_is_refused() -> None:
    state = nn.ModuleDict({"backbone": CONFIG.build(20)}).state_dict()
    with pytest.raises(DataError, match="no head for segment pairs"):
        SegmentPairScorer(Pretrained(CONFIG, 20, state), SPECIAL)


@pytest.mark.parametrize("pairs", ["order", "next"])
def test_judgements_are_those_of_transformers(rising: Split, tmp_path: Path, pairs: str) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = CONFIG.model_copy(update={"init": 0.5})
    parts = {
        "backbone": config.build(10_200),
        "mlm": MaskedLM.of(config, 10_200),
        "pooler": Pooler(8, 0.5),
        "pair": SegmentPairHead(8, 0.5),
    }
    examples = SegmentPairs(rising, 32, 0, pairs, **SPECIAL)
    index = np.arange(len(examples))
    rows = examples.take(index, index * 0, RandomStreams(0, 0))
    ids_BT, types_BT, lengths_B = map(torch.from_numpy, (rows.ids, rows.types, rows.lengths))
    mask_BT = torch.arange(32) < lengths_B[:, None]
    with torch.no_grad():  # so that half of the pairs are said to be in order
        logits_B2 = parts["pair"](
            parts["pooler"](parts["backbone"](Inputs(ids=ids_BT, token_type_ids=types_BT, lengths=lengths_B)))
        )
        parts["pair"].dense.bias[1] += (logits_B2[:, 0] - logits_B2[:, 1]).quantile(0.5)
    state = nn.ModuleDict(parts).state_dict()
    huggingface.save_pretrained(tmp_path, config, state, SPECIAL)
    model = transformers.AlbertForPreTraining.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        logits_B2 = model(ids_BT, token_type_ids=types_BT, attention_mask=mask_BT).sop_logits
    said = logits_B2.argmax(1)
    assert abs(said.float().mean() - 0.5) < 0.1
    expected = int((said == torch.from_numpy(rows.labels)).sum())
    assert SegmentPairScorer(Pretrained(config, 10_200, state), SPECIAL).accuracy(rising, pairs, 32) == (
        expected,
        len(examples),
    )
