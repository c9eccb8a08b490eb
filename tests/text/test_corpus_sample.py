from nlptool.text.corpus_sample import PIECE, CorpusSample


def test_a_corpus_within_the_budget_is_its_own_sample():
    sample = CorpusSample(100)
    assert sample.draw(["one", "two", "three"]) == ["one", "two", "three"]
    assert (sample.seen, sample.kept) == (11, 11)


def test_a_long_document_is_drawn_in_pieces_that_end_before_white_space():
    text = "word " * 100_000
    whole = CorpusSample(len(text)).draw([text])
    assert "".join(whole) == text
    assert all(PIECE <= len(piece) < 2 * PIECE for piece in whole[:-1])
    assert all(piece.startswith(" ") for piece in whole[1:])


def test_the_sample_stays_within_its_budget_and_in_the_order_of_the_corpus():
    sample = CorpusSample(1000)
    drawn = sample.draw(f"{n:05}" for n in range(20_000))
    assert sample.kept == sum(map(len, drawn)) == 1000
    assert sample.seen == 100_000
    assert drawn == sorted(drawn)


def test_every_part_of_the_corpus_has_its_share():
    drawn = [int(text) for text in CorpusSample(10_000).draw(f"{n:05}" for n in range(20_000))]
    shares = [sum(start <= n < start + 5000 for n in drawn) for start in range(0, 20_000, 5000)]
    assert all(400 < share < 600 for share in shares)  # 500 expected, standard deviation about 19
