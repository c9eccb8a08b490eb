"""ERNIE's own properties; what holds for every family is in test_families.py."""

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool.errors import DataError
from nlptool.models import heads, huggingface
from nlptool.models.base import Inputs, LinkedEntities
from nlptool.models.bert.config import Config as BertConfig
from nlptool.models.ernie.config import Config
from nlptool.objectives.ernie.as_bert import as_bert, of_bert
from nlptool.text.tokenizer import Tokenizer

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "ernie.safetensors"
SMALL = Config(
    layers=4,
    hidden=16,
    heads=2,
    max_positions=12,
    entity_size=8,
    entity_heads=2,
    dropout=0,
    attention_dropout=0,
)
VOCAB = 30


def made(config: Config, vocab_size: int = VOCAB) -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict(
        {
            "backbone": config.build(vocab_size),
            "mlm": heads.MaskedLM.of(config, vocab_size),
            "pooler": heads.Pooler(config.hidden),
            "pair": heads.SegmentPairHead(config.hidden),
            "dea": heads.EntityHead(config.hidden, config.entity_size),
        }
    )


def linked(shown_BT: Tensor, table: Tensor) -> LinkedEntities:
    """As the released class is given entities: -1, or a number in a table whose row 0 is that of none."""
    most = int((shown_BT >= 0).sum(1).max())
    at_BL = torch.full((len(shown_BT), most), -1)
    vectors_BLW = torch.zeros(len(shown_BT), most, table.shape[1])
    for row, shown_T in enumerate(shown_BT):
        at = (shown_T >= 0).nonzero().view(-1)
        at_BL[row, : len(at)], vectors_BLW[row, : len(at)] = at, table[shown_T[at] + 1]
    return LinkedEntities(at_BL, vectors_BLW)


@pytest.mark.skipif(not GOLDEN.exists(), reason="tensors of the released class are not at hand")
def test_outputs_losses_and_all_gradients_are_those_of_the_released_class() -> None:
    golden, given = load_file(GOLDEN), json.loads(GOLDEN.with_name("ernie_config.json").read_text())
    config = Config.model_validate(Config.hf().read(given))
    config = config.model_copy(update={"dropout": 0.0, "attention_dropout": 0.0})
    model, family = made(config, 60), Config.hf()
    state = {name.removeprefix("state."): t for name, t in golden.items() if name.startswith("state.")}
    assert huggingface.load(model, family.from_hf(state)) == huggingface.LoadReport((), ())
    assert all(torch.equal(tensor, state[name]) for name, tensor in family.to_hf(model.state_dict()).items())

    real_BT = golden["in.mask"].bool()
    inputs = Inputs(
        ids=golden["in.ids"],
        token_type_ids=golden["in.types"],
        lengths=real_BT.sum(1),
        entities=linked(golden["in.entities_shown"], golden["in.table"]),
    )
    candidates_CW = golden["in.table"][golden["in.candidates"] + 1]
    hidden_BTD = model["backbone"](inputs)
    pooled_BD = model["pooler"](hidden_BTD)
    scores_BTC, pair_B2 = model["dea"](hidden_BTD, candidates_CW), model["pair"](pooled_BD)
    for own, name in ((hidden_BTD, "sequence"), (scores_BTC, "entity_scores")):
        assert torch.allclose(own[real_BT], golden[f"out.{name}"][real_BT], rtol=1e-5, atol=1e-5), name
    for own, name in ((pooled_BD, "pooled"), (pair_B2, "nsp")):
        assert (own - golden[f"out.{name}"]).abs().max() < 1e-5, name

    true_BT = golden["in.entities_true"]
    labels_BT = torch.searchsorted(golden["in.candidates"], true_BT).where(true_BT >= 0, -1)
    dea = F.cross_entropy(scores_BTC.flatten(0, 1), labels_BT.flatten(), ignore_index=-1)
    logits_BTV = model["mlm"](hidden_BTD, model["backbone"].word_embeddings)
    mlm = F.cross_entropy(logits_BTV.flatten(0, 1), golden["in.mlm_labels"].flatten(), ignore_index=-1)
    others = mlm + F.cross_entropy(pair_B2, golden["in.nsp"])
    losses = torch.stack((dea, others, dea + others))
    assert (losses - golden["out.losses_ent_mlmnsp_total"]).abs().max() < 1e-5

    losses[2].backward()
    theirs = {name.removeprefix("grad."): t for name, t in golden.items() if name.startswith("grad.")}
    expected = family.from_hf(theirs)
    own = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert own.keys() == expected.keys()
    for name, gradient in own.items():
        assert gradient is not None
        assert (gradient - expected[name]).norm() < 1e-4 * expected[name].norm(), name


def test_the_released_size_has_its_parameter_count() -> None:
    config = Config()
    assert config.layer_types == (*["sim"] * 5, "mix", *["norm"] * 6)
    with torch.device("meta"):
        model = made(config, 30522)
    stored = sum(tensor.numel() for tensor in model.state_dict().values())
    trained = sum(parameter.numel() for parameter in model.parameters())
    assert stored == 114_751_532
    last = 3072 * 100 + 100 + 2 * 100
    assert stored - trained == last  # what no output depends on is kept, not trained


def test_without_entities_it_is_exactly_a_bert() -> None:
    config = SMALL.model_copy(update={"cls_entity": False})
    model = made(config)
    for parameter in model.parameters():
        nn.init.normal_(parameter, parameter.mean().item(), 0.1)
    bert, state = as_bert(config, model.state_dict())
    other = nn.ModuleDict({"backbone": bert.build(VOCAB), "pooler": heads.Pooler(bert.hidden)})
    assert huggingface.load(other, state).fresh == ()
    ids_BT, lengths_B = torch.randint(1, VOCAB, (3, 9)), torch.tensor([9, 4, 6])
    none = LinkedEntities(torch.full((3, 2), -1), torch.zeros(3, 2, 8))
    with torch.no_grad():
        expected = other["backbone"](Inputs(ids=ids_BT, lengths=lengths_B))
        for entities in (None, none):
            own = model["backbone"](Inputs(ids=ids_BT, lengths=lengths_B, entities=entities))
            assert (own - expected).abs().max() < 1e-6
    with pytest.raises(ValueError, match="no BERT computes the same"):
        as_bert(SMALL, model.state_dict())


def test_it_begins_as_a_bert_with_new_parts() -> None:
    bert = BertConfig(layers=4, hidden=16, heads=2, max_positions=12, intermediate=24, init=0.05)
    config = of_bert(bert, 8)
    assert (config.layer_types, config.intermediate, config.init) == (
        ("sim", "mix", "norm", "norm"),
        24,
        0.05,
    )
    assert config.entity_size == 8


def test_an_entity_changes_its_row_and_no_other() -> None:
    model = made(SMALL)["backbone"]
    ids_BT, at_BL = torch.randint(1, VOCAB, (2, 9)), torch.tensor([[3], [5]])
    vectors = torch.randn(2, 1, 8)
    with torch.no_grad():
        one = model(Inputs(ids=ids_BT, entities=LinkedEntities(at_BL, vectors)))
        vectors[1] += 1
        two = model(Inputs(ids=ids_BT, entities=LinkedEntities(at_BL, vectors)))
    assert torch.equal(one[0], two[0])
    assert (one[1] - two[1]).abs().min(-1).values.max() > 0


def test_types_of_layers_are_one_for_each_and_some_read_entities() -> None:
    for types, told in ((("sim", "mix"), "one for each of the 4 layers"), (("sim",) * 4, "model.name=bert")):
        with pytest.raises(ValidationError, match=told):
            Config(layers=4, layer_types=types)
    with pytest.raises(ValidationError, match="must divide entity_size"):
        Config(entity_size=50, entity_heads=4)


def test_a_folder_of_the_released_code_is_read(tmp_path: Path) -> None:
    """ernie_config.json without model_type, types of layers cut at the end, norms by their names of 2018."""
    config = SMALL.model_copy(update={"layer_types": ("sim", "mix", "norm", "sim"), "entity_size": 100})
    config = config.model_copy(update={"entity_heads": 4})
    model = made(config)
    tensors = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
        for name, t in config.hf().to_hf(model.state_dict()).items()
    }
    save_file({name: t.contiguous() for name, t in tensors.items()}, tmp_path / "model.safetensors")
    settings = {
        "vocab_size": VOCAB,
        "hidden_size": 16,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 12,
        "hidden_dropout_prob": 0,
        "attention_probs_dropout_prob": 0,
        "layer_types": ["sim", "mix", "norm"],
    }
    (tmp_path / "ernie_config.json").write_text(json.dumps(settings))
    found = huggingface.load_pretrained(tmp_path)
    assert found.config == config
    assert huggingface.load(model, found.state) == huggingface.LoadReport((), ())


def test_transformers_opens_the_tokenizer_and_the_bert_in_a_folder_of_it(tiny_store: Path, tmp_path: Path):
    """Its key layer_types is for other things there, and folders that had it are read as before."""
    transformers = pytest.importorskip("transformers")
    tokenizer = Tokenizer.load(tiny_store / "tokenizer")
    config, vocab = SMALL.model_copy(update={"max_positions": 64}), tokenizer.vocab_size
    state = {f"backbone.{name}": tensor for name, tensor in config.build(vocab).state_dict().items()}
    huggingface.save_pretrained(tmp_path, config, state, tokenizer.special, {}, "Model")
    tokenizer.framed().save(tmp_path)
    (ids,) = transformers.AutoTokenizer.from_pretrained(tmp_path)(["the river"]).input_ids
    assert ids[1:-1] == tokenizer.encode("the river")
    bert = transformers.BertModel.from_pretrained(tmp_path, add_pooling_layer=False)
    assert torch.equal(bert.embeddings.word_embeddings.weight, state["backbone.embeddings.tokens.weight"])
    written = json.loads((tmp_path / "config.json").read_text())
    written["layer_types"] = written.pop("entity_layer_types")
    (tmp_path / "config.json").write_text(json.dumps(written))
    assert huggingface.load_pretrained(tmp_path).config == config


def test_baidus_ernie_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "ernie", "vocab_size": 30}))
    with pytest.raises(
        DataError, match=r'model_type "ernie" is Baidu\'s ERNIE \(Sun et al. 2019\); nlptool\'s'
    ):
        huggingface.load_pretrained(tmp_path)


def test_pickled_weights_are_refused_with_the_way_to_convert_them(tmp_path: Path) -> None:
    (tmp_path / "ernie_config.json").write_text(json.dumps({"vocab_size": 30, "layer_types": ["sim", "mix"]}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK")
    with pytest.raises(DataError, match="a pickle can run any program") as caught:
        huggingface.load_pretrained(tmp_path)
    assert "save_file" in str(caught.value.hint)
