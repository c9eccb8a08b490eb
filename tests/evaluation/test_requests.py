"""Log-likelihood requests: the counted tokens, and the scores of each kind of model."""

import random
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import logsigmoid

from nlptool.errors import DataError
from nlptool.evaluation import scoring
from nlptool.evaluation.generation.generate import Generator
from nlptool.evaluation.requests import (
    EncodedRequest,
    Request,
    Scored,
    encoded,
    in_order,
    sum_scores,
    truncate_context,
)
from nlptool.models import huggingface
from nlptool.models.base import Inputs
from nlptool.models.electra.config import Config as ElectraConfig
from nlptool.models.gpt2.config import Config
from nlptool.models.heads import ReplacedTokenHead
from nlptool.models.huggingface import Pretrained
from nlptool.text.tokenizer import Tokenizer

POSITIONS = 24
WORDS = ("the", "river", "old", "town", "a", "bell", "small", "winter", "stone", "reads")
REQUESTS = [
    Request("the old town", " reads a bell."),
    Request("the old town", " reads"),
    Request("the old town ", "reads"),
    Request("the old town\n\n", "a small stone"),
    Request("", "the river"),
    Request("the old town reads a bell. " * 4, "winter light"),  # has to be cut
    Request("stone", " " + "river " * 5),
]


@pytest.fixture(scope="module")
def tokenizer(tiny_store: Path) -> Tokenizer:
    return Tokenizer.load(tiny_store / "tokenizer")


@pytest.fixture(scope="module")
def folder(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small GPT-2 with large weights, so that its choices vary."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("gpt2")
    config = Config(layers=2, hidden=32, heads=4, max_positions=POSITIONS, init=0.3)
    state = nn.ModuleDict({"backbone": config.build(tokenizer.vocab_size)}).state_dict()
    huggingface.save_pretrained(path, config, state, tokenizer.special)
    tokenizer.bare().save(path, POSITIONS)
    return path


def scorer(path: Path) -> scoring.Scorer:
    pretrained = huggingface.load_pretrained(path)
    return scoring.scorer(pretrained, Tokenizer.load(path))


def test_the_answer_is_what_follows_the_tokens_of_the_context(tokenizer: Tokenizer):
    (pair,) = encoded([Request("the old", " town")], tokenizer)
    assert tokenizer.decode(pair.context) == "the old"
    assert tokenizer.decode(pair.answer) == " town"


def test_a_space_at_the_end_of_the_context_goes_to_the_answer(tokenizer: Tokenizer):
    behind, before = encoded([Request("the old ", "town"), Request("the old", " town")], tokenizer)
    assert behind == before


def test_a_context_of_white_space_or_nothing_is_none(tokenizer: Tokenizer):
    nothing, space = encoded([Request("", "town"), Request(" ", "town")], tokenizer)
    assert (list(nothing.context), list(space.context)) == ([], [])
    assert tokenizer.decode(space.answer) == " town"


def test_a_token_across_the_join_is_told_with_the_way_out(tokenizer: Tokenizer):
    with pytest.raises(DataError, match='the answer "n" adds no token to "the old tow"') as told:
        encoded([Request("the old tow", "n")], tokenizer)
    assert "a token reaches across the join" in told.value.hint
    assert "answer: ' {choice}'" in told.value.hint
    (pair,) = encoded([Request("the old tow", " n")], tokenizer)
    assert tokenizer.decode(pair.answer) == " n", "so the hint leads out"


def test_an_answer_without_a_token_is_refused(tokenizer: Tokenizer):
    with pytest.raises(DataError, match='the answer "" adds no token to "the old"'):
        encoded([Request("the old", "")], tokenizer)


def test_a_context_is_cut_at_its_beginning_and_an_answer_never():
    pair, request = EncodedRequest([1, 2, 3], [4, 5]), Request("the old town", " reads")
    assert truncate_context([pair], [request], 4) == [EncodedRequest([2, 3], [4, 5], 1)]
    assert truncate_context([pair], [request], 5) == [pair]
    assert truncate_context([pair], [request], 2) == [EncodedRequest([], [4, 5], 3)]
    with pytest.raises(DataError, match=r"an answer of 2 tokens, the model reads 1:  reads"):
        truncate_context([pair], [request], 2, least=1)


def test_a_request_is_known_with_its_last_token():
    pairs = [EncodedRequest([], [1, 2], 3), EncodedRequest([], []), EncodedRequest([], [1])]
    found = sum_scores(iter([(0, -1.0, True), (2, -4.0, True), (0, -2.0, False)]), pairs)
    assert list(found) == [(1, Scored(0, 0, True)), (2, Scored(-4, 1, True)), (0, Scored(-3, 2, False, 3))]


def test_what_was_found_is_put_in_order():
    a, b = Scored(-2.0, 1, True), Scored(-1.0, 1, True)
    assert in_order([(1, a), (0, b)]) == [b, a]


def causal_reference(path: Path) -> list[tuple[float, int, bool, int]]:
    """Each request by itself, by transformers."""
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(path).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    expected = []
    for context, answer, _ in REQUESTS:
        before = tokenizer.encode(context.rstrip()) or [tokenizer.eos_token_id]
        after = tokenizer.encode(context + answer)[len(tokenizer.encode(context.rstrip())) :]
        ids = torch.tensor([*before, *after])[-POSITIONS - 1 :]
        with torch.no_grad():
            logits = model(ids[None, :-1]).logits[0, -len(after) :]
        labels = torch.tensor(after)
        total = logits.log_softmax(-1).gather(1, labels[:, None]).sum().item()
        greedy = bool((logits.argmax(-1) == labels).all())
        expected.append((total, len(after), greedy, max(0, len(before) + len(after) - POSITIONS - 1)))
    return expected


def test_a_causal_model_finds_what_transformers_finds(folder: Path):
    found, expected = scoring.answers(scorer(folder), REQUESTS), causal_reference(folder)
    assert [s.logprob for s in found] == pytest.approx([e[0] for e in expected], abs=1e-4)
    assert [s[1:] for s in found] == [e[1:] for e in expected]
    assert found[1] == found[2]
    assert [s.cut > 0 for s in found] == [False] * 5 + [True, False]


def test_log_likelihoods_are_those_of_lm_eval(folder: Path):
    peer = pytest.importorskip("lm_eval.models.huggingface", reason="pip install 'lm-eval==0.4.*'")
    instance = pytest.importorskip("lm_eval.api.instance").Instance
    rng = random.Random(0)
    shots = [" ".join(rng.choices(WORDS, k=4)) + "." for _ in range(4)]
    contexts = [" ".join(rng.sample(shots, rng.randrange(4))) + end for end in ("", " ", "\n", " the") * 4]
    asked = [
        Request(c, " " + " ".join(rng.choices(WORDS, k=rng.randint(1, 4))))
        for c in contexts
        for _ in range(3)
    ]
    requests = [*REQUESTS, *(request for request in asked if request.context.strip())]
    found = scoring.answers(scorer(folder), requests)
    for batch in (1, 8):
        model = peer.HFLM(str(folder), backend="causal", device="cpu", dtype="float32", batch_size=batch)
        theirs = model.loglikelihood(
            [instance("loglikelihood", {}, tuple(request), n) for n, request in enumerate(requests)],
            disable_tqdm=True,
        )
        assert [s.logprob for s in found] == pytest.approx([one[0] for one in theirs], abs=1e-4)
        assert [s.greedy for s in found] == [one[1] for one in theirs]


def test_an_answer_that_the_model_would_give_is_greedy(folder: Path):
    contexts = ["the old town", "a small stone", "winter", "light reads"]
    chosen = [
        Request(text, more)
        for text, more in zip(contexts, Generator(folder).complete(contexts, 1), strict=True)
    ]
    found = scoring.answers(scorer(folder), chosen)
    alone = [s.greedy for s in found if s.tokens == 1]
    assert alone
    assert all(alone)
    assert not any(
        s.greedy for s in scoring.answers(scorer(folder), [Request(text, " river") for text in contexts])
    )


def test_an_answer_longer_than_the_model_reads_is_refused(folder: Path):
    with pytest.raises(DataError, match="the model reads 24"):
        scoring.answers(scorer(folder), [Request("the", " river" * 30)])


def test_only_an_answer_without_a_context_needs_an_end_of_text(folder: Path, tokenizer: Tokenizer):
    pretrained = huggingface.load_pretrained(folder)
    bare = Tokenizer(tokenizer.content, {"pad": "[PAD]"})
    model = scoring.scorer(pretrained, bare)
    assert scoring.answers(model, [Request("the", " river")])[0].tokens == 1
    with pytest.raises(DataError, match="no sep_token"):
        scoring.answers(model, [Request("", "river")])


def test_a_masked_model_masks_each_token_of_the_answer_in_turn(tiny_run: Path):
    transformers = pytest.importorskip("transformers")
    final = tiny_run / "final"
    reference = transformers.AutoModelForMaskedLM.from_pretrained(final).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(final)
    found = scoring.answers(scorer(final), REQUESTS[:2])
    for request, scored in zip(REQUESTS, found, strict=False):
        ids = tokenizer(request.context + request.answer, return_tensors="pt")["input_ids"]
        begin, total = ids.shape[1] - 1 - scored.tokens, 0.0
        for at in range(begin, ids.shape[1] - 1):
            masked = ids.clone()
            masked[0, at] = tokenizer.mask_token_id
            with torch.no_grad():
                total += reference(masked).logits[0, at].log_softmax(-1)[ids[0, at]].item()
        assert scored.logprob == pytest.approx(total, abs=1e-4)
        assert tokenizer.decode(ids[0, begin:-1]) == request.answer


def test_a_masked_model_reads_an_answer_without_context_like_a_text(tiny_run: Path):
    model = scorer(tiny_run / "final")
    (found,) = scoring.answers(model, [Request("", "the old town")])
    assert found.logprob == model.scores(["the old town"])[0]


def test_a_discriminator_counts_the_answer_only(tiny_store: Path, tmp_path: Path):
    torch.manual_seed(0)
    tokenizer = Tokenizer.load(tiny_store / "tokenizer")
    config = ElectraConfig(layers=1, hidden=16, heads=2, max_positions=64)
    encoder = config.build(tokenizer.vocab_size)
    module = nn.ModuleDict({"backbone": encoder, "rtd": ReplacedTokenHead(16)}).eval()
    model = scoring.scorer(Pretrained(config, tokenizer.vocab_size, module.state_dict()), tokenizer)
    (found,) = scoring.answers(model, REQUESTS[:1])
    (pair,) = encoded(REQUESTS[:1], tokenizer)
    ids = [tokenizer.special["cls"], *pair.context, *pair.answer, tokenizer.special["sep"]]
    with torch.no_grad():
        logits = module["rtd"](encoder(Inputs(ids=torch.tensor([ids]), lengths=torch.tensor([len(ids)]))))[
            0, :-1
        ]
    asked = logits[-found.tokens :]
    assert found.logprob == pytest.approx(logsigmoid(-asked).sum().item(), abs=1e-5)
    assert found.greedy == bool((asked < 0).all())
