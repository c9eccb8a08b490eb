"""What holds for every family of models. A family is found by its folder; nothing here exempts one.

What is compared with transformers is each class there whose parts nlptool has for the family: its head's names are in
the family's table. Where transformers has no such family, tests/references has its classes. A family that varies in
more than the values its keys name may add variants in VARIANTS; one that reads entities is given some.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
import references
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nlptool import registry
from nlptool.models import heads, huggingface
from nlptool.models.base import Inputs, LinkedEntities
from nlptool.models.config import EncoderConfig, ModelConfig
from nlptool.models.layer_sharing import SUBLAYER

transformers = pytest.importorskip("transformers")

VOCAB, ROWS, TOKENS, CLASSES = 90, 8, 12, 3
SIZE = {"layers": 3, "hidden": 32, "heads": 4, "max_positions": 16}
SPECIAL = {"pad": 0, "cls": 2, "sep": 3, "eos": 3}
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "albert": [
        {"embedding_size": 16, "groups": 3},
        {"embedding_size": 16, "share": "attention"},
        {"share": "ffn", "groups": 3},
    ],
    "electra": [{"embedding_size": 16}],
    "ernie": [
        {"cls_entity": False},
        {"layer_types": ("norm", "mix", "sim")},
        {"layer_types": ("mix", "norm", "norm")},
    ],
}
ENCODERS = {  # the end of a class's name in transformers, and the heads that it has here
    "ForMaskedLM": ("mlm",),
    "ForPreTraining": ("mlm", "pooler", "pair"),
    "ForSequenceClassification": ("pooler", "classifier"),
    "ForMultipleChoice": ("pooler", "chooser"),
    "ForTokenClassification": ("tagger",),
    "ForQuestionAnswering": ("span",),
    "Model": (),
}
DETECTORS = ENCODERS | {"ForPreTraining": ("rtd",)}
DECODERS = {"ForCausalLM": (), "Model": ()}


class Case(NamedTuple):
    family: str
    settings: dict[str, Any]
    architecture: str
    heads: tuple[str, ...]

    @property
    def config(self) -> ModelConfig:
        return registry.config("models", self.family).model_validate(SIZE | self.settings)

    def __str__(self) -> str:
        settings = [f"{key}={value}" for key, value in self.settings.items()]
        return "-".join([self.family, *settings, self.architecture])


def variants(family: str) -> list[dict[str, Any]]:
    """As it is; with every value of each key that names its values; and VARIANTS."""
    block = registry.config("models", family)
    named = {key: get_args(field.annotation) for key, field in block.model_fields.items() if key != "name"}
    others = [
        {key: value}
        for key, values in named.items()
        for value in values
        if isinstance(value, str) and value != block.model_fields[key].default
    ]
    return [{}, *others, *VARIANTS.get(family, [])]


def classes(family: str) -> dict[str, tuple[str, ...]]:
    """The classes of transformers that the family has here, and their heads."""
    block = registry.config("models", family)
    known = {name.partition(".")[0] for name in block.hf().modules}
    table = DECODERS if block.kind == "decoder" else DETECTORS if "rtd" in known else ENCODERS
    pooled = {name: tuple(h for h in own if h != "pooler" or block.pooled) for name, own in table.items()}
    return {name: own for name, own in pooled.items() if known >= set(own)}


FAMILIES = registry.names("models")
SHAPES = [
    Case(family, settings, *next(iter(classes(family).items())))
    for family in FAMILIES
    for settings in variants(family)
]
HEADS = [Case(family, {}, *pair) for family in FAMILIES for pair in list(classes(family).items())[1:]]
every_case = pytest.mark.parametrize("case", [*SHAPES, *HEADS], ids=str)
every_shape = pytest.mark.parametrize("case", SHAPES, ids=str)


def made(case: Case, seed: int = 0, dropout: float = 0.0) -> nn.ModuleDict:
    """The model with its heads, all weights away from their first values, so that a forgotten one shows."""
    torch.manual_seed(seed)
    config = case.config.model_copy(update={"dropout": dropout, "attention_dropout": dropout})
    parts: dict[str, nn.Module] = {"backbone": config.build(VOCAB)}
    if isinstance(config, EncoderConfig):
        known: dict[str, nn.Module] = {
            "mlm": heads.MaskedLM.of(config, VOCAB),
            "pooler": heads.Pooler(config.hidden),
            "pair": heads.SegmentPairHead(config.hidden),
            "rtd": heads.ReplacedTokenHead(config.hidden),
            "classifier": heads.Classifier.of(config, CLASSES, dropout),
            "chooser": heads.Classifier.chooser(config, dropout),
            "tagger": heads.TokenClassificationHead.of(config, CLASSES, dropout),
            "span": heads.TokenClassificationHead.of(config, 2, dropout),
        }
        parts |= {name: known[name] for name in case.heads}
    module = nn.ModuleDict(parts)
    for parameter in module.parameters():
        nn.init.normal_(parameter, mean=parameter.mean().item(), std=0.2 if parameter.ndim == 1 else 0.1)
    return module.train(dropout > 0)


def inputs(case: Case, rows: int = ROWS, *, padded: bool = True) -> Inputs:
    """Rows of several lengths; no padding id among them, for which transformers stops the gradient."""
    torch.manual_seed(1)
    ids_BT = torch.randint(4, VOCAB, (rows, TOKENS))
    lengths_B = torch.randint(3, TOKENS + 1, (rows,)) if padded else torch.full((rows,), TOKENS)
    types_BT = (torch.arange(TOKENS) >= lengths_B[:, None] // 2).long()
    entities = linked(case.config, rows)
    if case.config.segment_types < 2:
        return Inputs(ids=ids_BT, lengths=lengths_B, entities=entities)
    return Inputs(ids=ids_BT, token_type_ids=types_BT, lengths=lengths_B, entities=entities)


def linked(config: ModelConfig, rows: int) -> LinkedEntities | None:
    """Rows with two entities, with one and with none, for a family that reads entities."""
    width = getattr(config, "entity_size", None)
    if width is None:
        return None
    at_B2 = torch.tensor([[2, 1], [1, -1], [-1, -1]]).repeat(rows, 1)[:rows]
    return LinkedEntities(at_B2, torch.randn(rows, 2, width) * (at_B2 >= 0)[..., None])


def dense(given: Inputs) -> dict[str, Any]:
    """The entities as a reference class takes them: a vector and a mask beside each token."""
    if given.entities is None:
        return {}
    at_BL, vectors_BLW = given.entities.at, given.entities.vectors
    vectors_BTW = torch.zeros(*given.ids.shape, vectors_BLW.shape[-1], dtype=vectors_BLW.dtype)
    for row, slot in (at_BL >= 0).nonzero().tolist():
        vectors_BTW[row, at_BL[row, slot]] = vectors_BLW[row, slot]
    mask_BT = (vectors_BTW != 0).any(-1).to(vectors_BTW.dtype)
    return {"entities": (vectors_BTW, mask_BT)}


def row_of(given: Inputs, row: int, length: int) -> Inputs:
    """One row by itself, without its padding."""
    one, types, entities = slice(row, row + 1), given.token_type_ids, given.entities
    return Inputs(
        ids=given.ids[one, :length],
        token_type_ids=None if types is None else types[one, :length],
        entities=None if entities is None else LinkedEntities(entities.at[one], entities.vectors[one]),
    )


def real(given: Inputs) -> Tensor:
    assert given.lengths is not None
    return torch.arange(TOKENS) < given.lengths[:, None]


def ours(case: Case, module: nn.ModuleDict, given: Inputs) -> list[Tensor]:
    """What each head says, in the order of transformers' outputs."""
    backbone = module["backbone"]
    hidden_BTD = backbone(given)
    first_BD = module["pooler"](hidden_BTD) if "pooler" in module else hidden_BTD[:, 0]
    if case.architecture == "ForCausalLM":
        return [backbone.logits(hidden_BTD)]
    said = {
        "mlm": lambda: [module["mlm"](hidden_BTD, backbone.word_embeddings)],
        "pooler": list,
        "pair": lambda: [module["pair"](first_BD)],
        "rtd": lambda: [module["rtd"](hidden_BTD)],
        "classifier": lambda: [module["classifier"](first_BD)],
        "chooser": lambda: [module["chooser"](first_BD).view(-1, 2)],
        "tagger": lambda: [module["tagger"](hidden_BTD)],
        "span": lambda: list(module["span"](hidden_BTD).unbind(-1)),
    }
    return [logits for head in case.heads for logits in said[head]()] or [hidden_BTD]


def theirs(case: Case, model: nn.Module, given: Inputs) -> list[Tensor]:
    choices = (lambda x: x.view(-1, 2, TOKENS)) if "chooser" in case.heads else (lambda x: x)
    types = {} if given.token_type_ids is None else {"token_type_ids": choices(given.token_type_ids)}
    mask = choices(real(given).long())
    out = model(choices(given.ids), attention_mask=mask, **types, **dense(given))
    found = [out.last_hidden_state] if case.architecture == "Model" else out.to_tuple()
    return [logits for logits in found if isinstance(logits, Tensor)]


def at_real_tokens(logits: Tensor, given: Inputs) -> Tensor:
    return logits[real(given)] if logits.shape[:2] == given.ids.shape else logits


def save(case: Case, module: nn.Module, folder: Path) -> None:
    further = {"num_labels": CLASSES} if {"classifier", "tagger"} & set(case.heads) else {}
    state = module.state_dict()
    huggingface.save_pretrained(folder, case.config, state, SPECIAL, further, case.architecture)


def loaded(case: Case, folder: Path, **options: Any) -> nn.Module:
    """In transformers, by the class that config.json names; nothing of it may be missing or left over."""
    known = references.classes(case.family)
    (name,) = transformers.AutoConfig.from_pretrained(folder).architectures
    assert name == case.config.hf().class_name(case.architecture)
    pooling = {"add_pooling_layer": False} if case.architecture == "Model" and case.config.pooled else {}
    model, told = getattr(known, name).from_pretrained(folder, output_loading_info=True, **pooling, **options)
    assert not any(told.values()), told
    return model.eval()


@torch.no_grad()
def assert_same(case: Case, module: nn.ModuleDict, model: nn.Module) -> None:
    given = inputs(case)
    for own, other in zip(ours(case, module, given), theirs(case, model, given), strict=True):
        assert own.shape == other.shape
        assert at_real_tokens(own - other, given).abs().max() < 1e-5


@every_case
def test_what_is_exported_computes_the_same_in_transformers_and_nothing_is_left_over(
    case: Case, tmp_path: Path
) -> None:
    module = made(case)
    save(case, module, tmp_path)
    assert_same(case, module, loaded(case, tmp_path))


@every_case
def test_what_is_exported_comes_back_in_equal_bits(case: Case, tmp_path: Path) -> None:
    module = made(case)
    save(case, module, tmp_path)
    config, vocab_size, state = huggingface.load_pretrained(tmp_path)
    assert (config, vocab_size) == (case.config, VOCAB)
    # Some heads have one name in transformers; the objective says which one it is.
    called = {name.partition(".")[0] for name in state} - {"chooser", "tagger", "classifier"}
    own = {name: tensor for name, tensor in module.state_dict().items() if name.partition(".")[0] in called}
    assert {name for name in state if name.partition(".")[0] in called} == own.keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in own.items())
    assert len(state) == len(module.state_dict())


@every_shape
def test_what_transformers_writes_is_read_and_written_again_in_equal_bits(case: Case, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    save(case, made(case), first)
    model = loaded(case, first)
    model.save_pretrained(second)
    module = made(case, seed=5)
    found = huggingface.load_pretrained(second)
    assert huggingface.load(module, found.state) == huggingface.LoadReport((), ())
    assert_same(case, module, model)
    family, written = case.config.hf(), load_file(second / "model.safetensors")
    bare = f"{family.base_model_prefix}."  # in front of names in classes with a head alone
    again = {
        name if name in written else name.removeprefix(bare): tensor
        for name, tensor in family.to_hf(found.state).items()
    }
    assert all(torch.equal(tensor, written[name]) for name, tensor in again.items())


def added_up(gradients: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Gradients of copies of a shared sub-layer, added."""
    distinct, found = {"attention": config.attentions, "mlp": config.mlps}, dict[str, Tensor]()
    for name, gradient in gradients.items():
        layer = SUBLAYER.fullmatch(name)
        own = name
        if layer is not None:
            number = int(layer[2]) * distinct[layer[1]] // config.layers
            own = f"backbone.layers.{layer[1]}.{number}.{layer[3]}"
        found[own] = found[own] + gradient if own in found else gradient
    return found


@every_shape
def test_gradients_are_those_of_transformers(case: Case, tmp_path: Path) -> None:
    module = made(case)
    save(case, module, tmp_path)
    model, given = loaded(case, tmp_path), inputs(case)
    both = (ours(case, module, given)[0], theirs(case, model, given)[0])
    labels = torch.arange(int(real(given).sum())) % both[0].shape[-1]
    for logits in both:
        F.cross_entropy(at_real_tokens(logits, given), labels, reduction="sum").backward()
    expected = case.config.hf().from_hf({name: p.grad for name, p in model.named_parameters()})
    if case.config.attentions != case.config.mlps:  # a copy a layer there, and a part of the gradient in each
        expected = added_up(expected, case.config)
    for name, parameter in module.named_parameters():
        assert (parameter.grad - expected[name]).norm() < 1e-4 * expected[name].norm(), name


@every_shape
def test_a_row_says_the_same_alone_and_among_others(case: Case) -> None:
    module, given = made(case).double(), inputs(case)
    assert given.lengths is not None
    with torch.no_grad():
        together = module["backbone"](given)
        for row, length in enumerate(given.lengths.tolist()):
            alone = module["backbone"](row_of(given, row, length))
            assert (together[row : row + 1, :length] - alone).abs().max() < 1e-12


@every_shape
def test_output_positions_alone_are_those_of_the_whole(case: Case) -> None:
    backbone, given = made(case)["backbone"].double(), inputs(case)
    at_BK = torch.tensor([[0, 2]]).expand(ROWS, 2)
    asked = replace(given, output_positions=at_BK)
    with torch.no_grad():
        assert (backbone(asked) - backbone(given)[:, [0, 2]]).abs().max() < 1e-12


@pytest.mark.parametrize("family", FAMILIES)
def test_states_and_attention_scores_are_those_of_transformers(family: str, tmp_path: Path) -> None:
    case = Case(family, {}, "Model", ())
    module, every = made(case), range(1, SIZE["layers"] + 1)
    save(case, module, tmp_path)
    model, given = loaded(case, tmp_path, attn_implementation="eager"), inputs(case)
    types = {} if given.token_type_ids is None else {"token_type_ids": given.token_type_ids}
    with torch.no_grad():
        trace = module["backbone"].trace(given, every)
        out = model(
            given.ids,
            attention_mask=real(given).long(),
            output_hidden_states=True,
            output_attentions=True,
            **types,
            **dense(given),
        )
    for own, other in zip(trace.states, out.hidden_states, strict=True):
        assert (own - other)[real(given)].abs().max() < 1e-5
    seen_B1TT = real(given)[:, None, None, :].expand(-1, 1, TOKENS, -1)
    if case.config.kind == "decoder":
        seen_B1TT = seen_B1TT & torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril()
    for layer, other in zip(every, out.attentions, strict=True):
        own = trace.scores[layer].where(seen_B1TT, -torch.inf).softmax(-1)
        assert (own - other).transpose(1, 2)[real(given)].abs().max() < 1e-6


@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_state_is_the_output_bit_by_bit_also_with_dropout(family: str) -> None:
    """Of rows without padding: rows with it lie end to end in a forward pass, and draw other dropout."""
    case = Case(family, {}, "Model", ())
    backbone, given = made(case, dropout=0.1)["backbone"], replace(inputs(case), lengths=None)
    torch.manual_seed(1)
    expected = backbone(given)
    torch.manual_seed(1)
    trace = backbone.trace(given, (2,))
    assert torch.equal(trace.states[-1], expected)
    assert list(trace.scores) == [2]


@pytest.mark.parametrize("family", FAMILIES)
def test_recomputed_layers_have_the_same_gradients_of_states_and_scores(family: str) -> None:
    case = Case(family, {}, "Model", ())
    backbone, given, gradients = made(case, dropout=0.1)["backbone"], inputs(case), []
    for recompute in (False, True):
        backbone.layers.recompute = recompute
        torch.manual_seed(1)
        trace = backbone.trace(given, (1, 3))
        backbone.zero_grad()
        (trace.states[2].sin().sum() + trace.scores[1].sin().sum() + trace.scores[3].sin().sum()).backward()
        gradients.append([p.grad for p in backbone.parameters() if p.grad is not None])
    assert all(torch.equal(one, two) for one, two in zip(*gradients, strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_part_that_a_folder_lacks_starts_fresh(family: str, tmp_path: Path) -> None:
    """A model without heads, as transformers writes it, is read into one with them."""
    bare = Case(family, {}, "Model", ())
    save(bare, made(bare), tmp_path)
    loaded(bare, tmp_path).save_pretrained(tmp_path / "again")
    case = Case(family, {}, *next(iter(classes(family).items())))
    report = huggingface.load(made(case), huggingface.load_pretrained(tmp_path / "again").state)
    assert report == huggingface.LoadReport(tuple(sorted(case.heads)), ())
