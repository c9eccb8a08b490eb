"""ROUGE and BLEU on worked cases; the packages are checked by their own tests."""

import pytest

from nlptool.errors import UsageError
from nlptool.evaluation.metrics import generated_text, text_overlap

rouge_score = pytest.importorskip("rouge_score")
sacrebleu = pytest.importorskip("sacrebleu")


def of(name: str, prediction: str, *references: str) -> float:
    return generated_text.compute([name], [prediction], [references])[name]


def test_rouge_by_hand():
    """5 words each, 4 the same; 2 pairs the same of 4; the longest common subsequence has 4."""
    said, right = "police killed the gunman here", "police kill the gunman there"
    assert of("rouge1", said, right) == pytest.approx(4 / 5), "killed and kill have the same stem"
    assert of("rouge2", said, right) == pytest.approx(3 / 4)
    assert of("rougeL", "the gunman police killed here", right) == pytest.approx(2 / 5)


def test_the_mean_of_rouge_goes_by_sentence():
    """Two sentences the other way round: words and pairs but one agree, and so does each sentence with one."""
    said, right = "dogs bark. cats sleep", "cats sleep. dogs bark."
    assert of("rouge", said, right) == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert of("rougeL", said, right) == pytest.approx(1 / 2)


def test_rouge_lsum_joins_the_sentences_and_rouge_l_does_not():
    """The reference's two sentences are there in the other order: each is found whole, in a row only one of them."""
    said, right = "The U.S. army left. Dogs bark.", "Dogs bark.\nThe U.S. army left."
    assert of("rougeLsum", said, right) == pytest.approx(1.0)
    assert of("rougeL", said, right) == pytest.approx(5 / 7)
    assert of("rouge", said, right) == pytest.approx((1 + of("rouge2", said, right) + 1) / 3)


def test_an_abbreviation_and_a_number_end_no_sentence():
    text = "The U.S. army walked 3.14 miles. Mr. Smith said no.\nIt rained"
    assert text_overlap.sentence_lines(text).splitlines() == [
        "The U.S. army walked 3.14 miles.",
        "Mr. Smith said no.",
        "It rained",
    ]


TEXTS = {
    "Korean": "한국의 수도는 서울이며 사람이 많이 산다",
    "Chinese": "北京是中国的首都也是政治中心",
    "Japanese": "東京は日本の首都でとても大きいです",
    "Russian": "Москва столица России и большой город",
    "Hindi": "दिल्ली भारत की राजधानी है",
    "French": "été à la plage où l'été brûle déjà",
    "Thai": "กรุงเทพเป็นเมืองหลวงของไทย",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_identical_text_of_every_script_is_worth_all_with_the_tokenizers_for_it(text: str):
    for rouge in ("unicode", "char"):
        chosen = text_overlap.Tokenize(rouge=rouge, bleu="char")
        for name in (*text_overlap.ROUGE, *text_overlap.BLEU):
            found = generated_text.compute([name], [text], [[text]], chosen)[name]
            assert found == pytest.approx(1.0), (name, rouge)
    assert text_overlap.bleu_and_error([text], [[text]], text_overlap.Tokenize(bleu="char"))[
        0
    ] == pytest.approx(1.0)


def test_unicode_words_are_those_that_a_script_has():
    assert text_overlap.unicode_words("Été_à l'Île, 3.5 km²") == ["été", "à", "l", "île", "3", "5", "km2"]
    assert text_overlap.unicode_words("서울은 큰 도시!") == ["서울은", "큰", "도시"]
    assert text_overlap.unicode_words("我爱Python3") == ["我", "爱", "python3"]
    assert text_overlap.unicode_words("दिल्ली में") == ["दिल्ली", "में"], "vowel signs belong to their words"
    assert text_overlap.characters("A b, 가나") == ["a", "b", "가", "나"]


def test_unicode_words_of_english_are_those_of_rouge_score():
    said, right = "Police killed the gunmen's 2 dogs_here", "police kill a gunman's 2 dogs here"
    for name in text_overlap.ROUGE:
        chosen = generated_text.compute([name], [said], [[right]], text_overlap.Tokenize(rouge="unicode"))
        assert chosen[name] == of(name, said, right)


@pytest.mark.parametrize(
    ("names", "text", "tokenize", "told"),
    [
        (
            ("rouge1", "bleu"),
            TEXTS["Korean"],
            {},
            ["rouge1: rouge-score reads only", "bleu: 13a does not split 100 %"],
        ),
        (("rougeLsum",), TEXTS["French"], {}, ["which 67 % of the references' words are not"]),
        (("bleu",), TEXTS["French"], {}, []),
        (("bleu_lower",), TEXTS["Chinese"], {"bleu": "intl"}, ["bleu_lower: intl does not split 100 %"]),
        (("rouge", "bleu"), TEXTS["Korean"], {"rouge": "unicode", "bleu": "char"}, []),
        (("squad_f1",), TEXTS["Korean"], {}, []),
        (("rouge1",), "the cat sat. " * 40 + "café", {}, []),
        (("rouge1",), "", {}, []),
    ],
)
def test_what_a_metric_does_not_see_is_told_with_the_key(names, text, tokenize, told):
    found = text_overlap.remarks(names, [[text]], text_overlap.Tokenize(**tokenize))
    assert len(found) == len(told)
    for remark, part in zip(found, told, strict=True):
        assert part in remark


def test_a_tokenizer_that_is_not_installed_is_told_before_anything_is_done(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(generated_text, "find_spec", lambda module: None if module == "mecab_ko" else module)
    with pytest.raises(UsageError, match="ko-mecab needs mecab_ko, which is not installed") as told:
        generated_text.require_packages(("bleu",), text_overlap.Tokenize(bleu="ko-mecab"))
    assert "sacrebleu[ko]" in told.value.hint
    generated_text.require_packages(("bleu",), text_overlap.Tokenize(bleu="zh"))


@pytest.mark.parametrize("name", [*generated_text.METRICS])
@pytest.mark.parametrize("said", ["", " ", "!", "a", "종이 울린다", "我们", "😀"])
def test_every_metric_of_texts_takes_any_text_and_any_number_of_references(name: str, said: str):
    if name in ("joint_goal", "logical_form"):
        pytest.skip("its references are no texts")
    for right in ([], [""], [said], ["x", "y"], ["", said]):
        assert 0 <= of(name, said, *right) <= 1 + 1e-9
        assert 0 <= generated_text.compute([name], [said, said], [right, right])[name] <= 1 + 1e-9


def test_where_no_text_is_right_silence_is():
    for name in (
        *text_overlap.ROUGE,
        "exact",
        "squad_f1",
        "squad2_f1",
        "korquad_f1",
        "triviaqa_f1",
        "coqa_f1",
        "quac_f1",
    ):
        assert of(name, " !") == 1.0, name
        assert of(name, "a bell") == 0.0, name


def test_the_best_reference_counts_for_rouge():
    assert of("rouge1", "cats sleep", "dogs bark", "cats sleep") == 1.0


def test_bleu_by_hand():
    """Of 6 words 5 are right, 3 of 5 pairs, 1 of 4 triples; with four in a row smoothed: 1 / (2 * 3)."""
    said, right = "the cat sat on a mat", "the cat sat at a mat"
    assert of("bleu", said, right) == pytest.approx((5 / 6 * 3 / 5 * 1 / 4 * 1 / 6) ** 0.25)
    assert of("bleu", "a b c d", "a b c d e f g h") == pytest.approx(2.718281828 ** (1 - 8 / 4)), "too short"


def test_case_counts_for_bleu_unless_asked():
    assert of("bleu_lower", "The Cat sat down now", "the cat sat down now") == pytest.approx(1.0)
    assert of("bleu", "The Cat sat down now", "the cat sat down now") < 0.9


def test_questions_may_have_different_numbers_of_references():
    said = ["the cat sat on it", "dogs like to bark"]
    assert text_overlap.bleu(said, [[said[0], "no"], [said[1]]]) == pytest.approx(1.0)


def test_the_error_of_bleu_is_what_leaving_out_each_text_does():
    said = ["the cat sat on a mat", "dogs like to bark at night", "a bell rang in the town", "it is cold"]
    right = [
        ["the cat sat at a mat"],
        ["dogs like to bark"],
        ["the bell rang in town", "a bell rang"],
        ["it was cold"],
    ]
    value, error = text_overlap.bleu_and_error(said, right)
    assert value == pytest.approx(text_overlap.bleu(said, right))
    without = [text_overlap.bleu(said[:i] + said[i + 1 :], right[:i] + right[i + 1 :]) for i in range(4)]
    middle = sum(without) / 4
    assert error == pytest.approx((3 / 4 * sum((w - middle) ** 2 for w in without)) ** 0.5)
    assert text_overlap.bleu_and_error(said[:1], right[:1])[1] is None


@pytest.mark.parametrize(("name", "package"), [("rouge1", "rouge-score"), ("bleu_lower", "sacrebleu")])
def test_a_missing_package_is_named(name: str, package: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(generated_text, "find_spec", lambda module: None)
    generated_text.require_packages(("squad_f1", "joint_goal"))
    with pytest.raises(UsageError, match=f"{name}: {package} is not installed") as told:
        generated_text.require_packages((name,))
    assert "sacrebleu>=" in told.value.hint
