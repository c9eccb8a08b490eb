import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlptool.data import masking
from nlptool.data.random_streams import RandomStreams
from nlptool.data.vocabulary import Vocabulary

# Ten tokens: [CLS] un believ able , said the old man [SEP]
CLS, SEP, PAD, UNK, MASK, UN, BELIEV, ABLE, COMMA, SAID, THE, OLD, MAN = range(13)
SENTENCE = np.array([[CLS, UN, BELIEV, ABLE, COMMA, SAID, THE, OLD, MAN, SEP]])
SPECIAL = {"cls": CLS, "sep": SEP, "pad": PAD, "unk": UNK, "mask": MASK}
SPACE, LETTER, OTHER = 1, 2, 3  # classes of first and last characters
FIRST = np.array([0] * 5 + [SPACE, LETTER, LETTER, OTHER, SPACE, SPACE, SPACE, SPACE], np.int8)
LAST = np.array([0] * 5 + [LETTER, LETTER, LETTER, OTHER, LETTER, LETTER, LETTER, LETTER], np.int8)
VOCABULARY = Vocabulary(13, SPECIAL, FIRST, LAST)
CANDIDATES = ~VOCABULARY.is_special[SENTENCE]
# Units: 0 unbelievable (positions 1 2 3), 1 comma (4), 2 said (5), 3 the (6), 4 old (7), 5 man (8)


def scan(*units: int) -> np.ndarray:
    """Numbers that make the scan visit these units first, in this order."""
    order = np.full((1, 10), 0.9)
    order[0, list(units)] = np.arange(len(units)) / 100
    return order


def spans(budget: int, order: np.ndarray, size: np.ndarray | float = 0.0, ngram: int = 1) -> list[int]:
    starts = masking.word_starts(SENTENCE, CANDIDATES, VOCABULARY)
    sizes = np.broadcast_to(np.asarray(size, float), (1, 10))
    picked = masking.pick_spans(starts, CANDIDATES, np.array([budget]), order, sizes, ngram)
    if ngram == 1:
        assert (masking.pick_words(starts, CANDIDATES, np.array([budget]), order) == picked).all()
    return np.flatnonzero(picked[0]).tolist()


def test_the_budget_is_fifteen_percent_rounded_but_at_least_one():
    lengths = np.array([1, 3, 10, 13, 128, 512])
    assert masking.budget(lengths, 0.15).tolist() == [1, 1, 2, 2, 19, 77]


def test_a_tie_rounds_to_the_even_number_as_python_does():
    assert masking.budget(np.array([10, 30, 50]), 0.25).tolist() == [2, 8, 12]


def test_the_tokens_of_least_order_are_picked():
    order = np.array([[0.0, 0.5, 0.1, 0.6, 0.7, 0.8, 0.2, 0.9, 0.3, 0.0]])
    picked = masking.pick_tokens(CANDIDATES, np.array([3]), order)
    assert np.flatnonzero(picked[0]).tolist() == [2, 6, 8]


def test_rows_have_budgets_of_their_own():
    order = np.tile(np.arange(10) / 10, (3, 1))
    picked = masking.pick_tokens(np.tile(CANDIDATES, (3, 1)), np.array([1, 4, 2]), order)
    assert [np.flatnonzero(row).tolist() for row in picked] == [[1], [1, 2, 3, 4], [1, 2]]


def test_a_budget_above_the_candidates_takes_all_and_never_a_special_token():
    order = np.zeros((1, 10))
    assert masking.pick_tokens(CANDIDATES, np.array([10]), order).tolist() == CANDIDATES.tolist()


def test_words_begin_at_space_and_where_the_kind_of_character_changes():
    starts = masking.word_starts(SENTENCE, CANDIDATES, VOCABULARY)
    assert np.flatnonzero(starts[0]).tolist() == [1, 4, 5, 6, 7, 8]


def test_a_word_does_not_reach_back_over_a_special_token():
    ids = np.array([[BELIEV, SEP, ABLE, ABLE]])
    starts = masking.word_starts(ids, ~VOCABULARY.is_special[ids], VOCABULARY)
    assert starts.tolist() == [[True, False, True, False]]


def test_a_word_is_masked_whole():
    assert spans(3, scan(0)) == [1, 2, 3]


def test_a_word_that_exceeds_the_budget_is_passed_over_and_the_scan_goes_on():
    assert spans(2, scan(0, 4, 2)) == [5, 7]


def test_a_word_that_exceeds_what_is_left_is_passed_over():
    assert spans(3, scan(4, 0, 5, 1)) == [4, 7, 8]


def test_a_word_longer_than_the_budget_is_cut_to_parts_that_fit():
    starts = masking.word_starts(SENTENCE, CANDIDATES, VOCABULARY)
    cut = masking.cut_words(starts, CANDIDATES, np.array([2]))
    assert np.flatnonzero(cut[0]).tolist() == [1, 3, 4, 5, 6, 7, 8]
    assert masking.cut_words(starts, CANDIDATES, np.array([3])).tolist() == starts.tolist()


def test_every_token_of_long_words_is_masked_at_some_step():
    ids = np.array([[CLS, *[BELIEV, ABLE, ABLE, ABLE, ABLE] * 2, SEP, SEP, SEP, SEP, SEP]])
    scheme, seen = (
        masking.MaskingScheme(0.15, whole_word=True, ngram=1, corrupt=(1.0, 0.0, 0.0)),
        np.zeros(16, int),
    )
    for step in range(200):
        masked = masking.mask(ids, None, scheme, VOCABULARY, RandomStreams(0, step))
        seen[masked.at[masked.used]] += 1
    assert (seen[1:11] > 0).all()  # of a budget of two


def test_no_word_at_all_fits():
    ids = SENTENCE[:, :4]
    starts = masking.word_starts(ids, CANDIDATES[:, :4], VOCABULARY)
    picked = masking.pick_spans(
        starts, CANDIDATES[:, :4], np.array([2]), np.zeros((1, 4)), np.zeros((1, 4)), 1
    )
    assert not picked.any()


@pytest.mark.parametrize(
    ("size", "expected"), [(0.54, [5, 7, 8]), (0.55, [5, 6, 8]), (0.81, [5, 6, 8]), (0.82, [5, 6, 7])]
)
def test_spans_have_one_two_or_three_words_six_three_and_two_times_in_eleven(
    size: float, expected: list[int]
):
    sizes = np.zeros((1, 10))
    sizes[0, 2] = size  # said, said the, said the old; the rest of the budget goes to man, then old
    assert spans(3, scan(2, 5, 4), sizes, ngram=3) == expected


def test_a_span_is_shortened_to_the_budget():
    assert spans(2, scan(2), 0.99, ngram=3) == [5, 6]


def test_a_span_that_begins_with_a_long_word_keeps_the_word_or_nothing():
    assert spans(4, scan(0, 5), 0.99, ngram=3) == [1, 2, 3, 4]
    assert spans(2, scan(0, 4), 0.99, ngram=3) == [7, 8]


def test_a_span_that_would_meet_an_earlier_one_is_dropped():
    sizes = np.zeros((1, 10))
    sizes[0, 2] = 0.99  # said the old, but `the` is taken
    assert spans(3, scan(3, 2, 1, 5), sizes, ngram=3) == [4, 6, 8]


def test_a_span_ends_with_the_row():
    sizes = np.zeros((1, 10))
    sizes[0, 5] = 0.99
    assert spans(2, scan(5, 1), sizes, ngram=3) == [4, 8]


def plain_scan(lengths, budget, order, size, ngram):
    """BERT's and ALBERT's scan for one row, unit by unit; the units taken."""
    taken: set[int] = set()
    used = 0
    for unit in np.argsort(order[: len(lengths)], kind="stable"):
        weights = np.cumsum(1 / np.arange(1, ngram + 1))
        wanted = 1 + int((size[unit] * weights[-1] >= weights[:-1]).sum())
        span = list(range(unit, min(unit + wanted, len(lengths))))
        while span and used + sum(lengths[u] for u in span) > budget:
            span.pop()
        if span and not taken & set(span):
            taken |= set(span)
            used += sum(lengths[u] for u in span)
    return taken


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 5))
def test_many_rows_at_once_are_scanned_as_one_row_by_itself(seed: int, ngram: int, longest: int):
    rng = np.random.default_rng(seed)
    rows, tokens = 5, 40
    candidates = rng.random((rows, tokens)) < 0.9
    starts = candidates & (rng.random((rows, tokens)) < 1 / longest)
    first = candidates & (np.cumsum(candidates, axis=1) == 1)
    starts |= first
    order, size = rng.random((2, rows, tokens))
    budget = rng.integers(1, 12, rows)
    picked = masking.pick_spans(starts, candidates, budget, order, size, ngram)
    if ngram == 1:
        assert (masking.pick_words(starts, candidates, budget, order) == picked).all()
    for row in range(rows):
        unit = np.cumsum(starts[row]) - 1
        lengths = [int((candidates[row] & (unit == u)).sum()) for u in range(starts[row].sum())]
        taken = plain_scan(lengths, budget[row], order[row], size[row], ngram)
        expected = [bool(candidates[row, t]) and int(unit[t]) in taken for t in range(tokens)]
        assert picked[row].tolist() == expected
        assert picked[row].sum() <= budget[row]


def test_without_words_the_span_scan_picks_what_the_token_scan_picks():
    rng = np.random.default_rng(0)
    everything = np.ones((20, 64), bool)
    order, budget = rng.random((20, 64)), rng.integers(1, 20, 20)
    picked = masking.pick_tokens(everything, budget, order)
    assert (masking.pick_words(everything, everything, budget, order) == picked).all()
    assert (masking.pick_spans(everything, everything, budget, order, order, 1) == picked).all()


def test_every_position_is_as_likely_as_any_other():
    rng = np.random.default_rng(0)
    everything = np.ones((20_000, 20), bool)
    picked = masking.pick_tokens(everything, np.full(20_000, 3), rng.random((20_000, 20)))
    assert (picked.sum(axis=1) == 3).all()
    shares = picked.mean(axis=0)
    assert np.abs(shares - 0.15).max() < 5 * np.sqrt(0.15 * 0.85 / 20_000)


def test_slots_hold_the_positions_in_order_and_zero_where_unused():
    picked = np.array([[False, True, False, True], [False, False, False, False], [False, True, True, True]])
    at, used = masking.slots(picked, 3)
    assert at.tolist() == [[1, 3, 0], [0, 0, 0], [1, 2, 3]]
    assert used.tolist() == [[True, True, False], [False, False, False], [True, True, True]]


def test_a_masked_token_becomes_mask_random_or_itself_by_its_own_number():
    originals = np.array([[MAN, MAN, MAN, MAN, MAN, MAN]])
    what = np.array([[0.0, 0.79, 0.8, 0.89, 0.9, 0.99]])
    which = np.array([[0.5, 0.5, 0.0, 0.999, 0.5, 0.5]])
    shown = masking.masked_inputs(originals, what, which, (0.8, 0.1, 0.1), VOCABULARY)
    assert shown.tolist() == [[MASK, MASK, UN, MAN, MAN, MAN]]


def test_shares_are_eighty_ten_ten_and_random_tokens_are_never_special():
    rng = np.random.default_rng(0)
    originals = np.full((1, 200_000), THE)
    what, which = rng.random((2, 1, 200_000))
    shown = masking.masked_inputs(originals, what, which, (0.8, 0.1, 0.1), VOCABULARY)[0]
    counts = np.bincount(shown, minlength=13)
    expected = np.zeros(13)
    expected[[UN, BELIEV, ABLE, COMMA, SAID, OLD, MAN]] = 0.1 / 8
    expected[MASK], expected[THE] = 0.8, 0.1 + 0.1 / 8
    assert counts[[CLS, SEP, PAD, UNK]].sum() == 0
    assert np.abs(counts / 200_000 - expected).max() < 0.004
