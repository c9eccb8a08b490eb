"""For every shipped task a row as the hub has it, and what a model is asked of it, written out by hand.

Prompt, the answers that are scored, and the place of the right one. Rows are made up, in the columns of the data set.
"""

from typing import Any, NamedTuple


class Example(NamedTuple):
    """A row, and its question."""

    row: dict[str, Any]
    prompts: str | tuple[str, ...]
    """One, where it stands before all answers."""
    answers: tuple[str, ...]
    gold: int
    references: tuple[str, ...] = ()


ARC = Example(
    {
        "id": "1",
        "question": "What melts ice?",
        "choices": {"text": ["heat", "shade", "wind", "night"], "label": ["1", "2", "3", "4"]},
        "answerKey": "1",
    },
    "Question: What melts ice?\nAnswer:",
    (" heat", " shade", " wind", " night"),
    0,
)
FOUNDRY = {"query": "Question: Is it?", "choices": ["no", "yes"], "gold": 1}

EXAMPLES: dict[str, Example] = {
    "lambada": Example({"text": "She rang the old bell"}, "She rang the old", (" bell",), 0),
    "lambada_cloze": Example({"text": "She rang the old bell"}, "She rang the old ____. ->", (" bell",), 0),
    "blimp": Example(
        {"sentence_good": "Tom runs.", "sentence_bad": "Tom run.", "UID": "x"},
        "",
        (" Tom runs.", " Tom run."),
        0,
    ),
    "hellaswag": Example(
        {
            "activity_label": "Removing ice",
            "ctx_a": "A man scrapes [header] the glass.",
            "ctx_b": "he",
            "endings": ["stops. [title] He drives", "sleeps", "[step] sings", "eats  it"],
            "label": "3",
        },
        "Removing ice: A man scrapes the glass. He",
        (" stops.. He drives", " sleeps", "  sings", " eats it"),
        3,
    ),
    "piqa": Example(
        {"goal": "Dry a shoe", "sol1": "use paper", "sol2": "use soup", "label": 0},
        "Question: Dry a shoe\nAnswer:",
        (" use paper", " use soup"),
        0,
    ),
    "arc/easy": ARC,
    "arc/challenge": ARC,
    "openbookqa": Example(
        {
            "question_stem": "Fog is around",
            "choices": {"text": ["a marsh", "a dune", "a hall", "a roof"], "label": ["A", "B", "C", "D"]},
            "answerKey": "B",
        },
        "Fog is around",
        (" a marsh", " a dune", " a hall", " a roof"),
        1,
    ),
    "siqa": Example(
        {
            "context": "Ann left.",
            "question": "Why?",
            "answerA": "tired",
            "answerB": "sad",
            "answerC": "bored",
            "label": "3",
        },
        "Q: Ann left. Why?\nA:",
        (" tired", " sad", " bored"),
        2,
    ),
    "winogrande": Example(
        {"sentence": "Tom called Max because _ was late.", "option1": "Tom", "option2": "Max", "answer": "2"},
        ("Tom called Max because Tom", "Tom called Max because Max"),
        (" was late.", " was late."),
        1,
    ),
    "superglue/boolq": Example(
        {"passage": "Ice is cold.", "question": "is ice cold", "label": 1},
        "Ice is cold.\nQuestion: is ice cold?\nAnswer:",
        (" no", " yes"),
        1,
    ),
    "superglue/cb": Example(
        {"premise": "Does she think it rains?", "hypothesis": "it rains", "label": 2},
        "Does she think it rains?\nQuestion: it rains. True, False, or Neither?\nAnswer:",
        (" True", " False", " Neither"),
        2,
    ),
    "superglue/copa": Example(
        {
            "premise": "The bell rang.",
            "choice1": "I woke.",
            "choice2": "It broke.",
            "question": "effect",
            "label": 0,
        },
        "The bell rang therefore",
        ("  i woke.", "  it broke."),
        0,
    ),
    "superglue/rte": Example(
        {"premise": "Tom ran home.", "hypothesis": "Tom ran.", "label": 0},
        "Tom ran home.\nQuestion: Tom ran. True or False?\nAnswer:",
        (" True", " False"),
        0,
    ),
    "superglue/wic": Example(
        {
            "word": "bank",
            "sentence1": "The banks were steep.",
            "sentence2": "A bank lends.",
            "start1": 4,
            "end1": 9,
            "start2": 2,
            "end2": 6,
            "label": 0,
        },
        "Sentence 1: The banks were steep.\nSentence 2: A bank lends.\nQuestion: Is the word 'banks' used in the "
        "same way in the two sentences above?\nAnswer:",
        (" no", " yes"),
        0,
    ),
    "superglue/wsc": Example(
        {
            "text": "Mark told Pete a lie , which Pete did n't like ; he was cross .",
            "span1_text": "Pete",
            "span2_text": "he",
            "span1_index": 2,
            "span2_index": 12,
            "label": 1,
        },
        "Passage: Mark told Pete a lie, which Pete didn't like ; *he* was cross.\nQuestion: In the passage above, "
        'does the pronoun "*he*" refer to "*Pete*"?\nAnswer:',
        (" no", " yes"),
        1,
    ),
    "glue/sst2": Example(
        {"sentence": "a dull film ", "label": 0},
        "a dull film \nQuestion: Is this sentence positive or negative?\nAnswer:",
        (" negative", " positive"),
        0,
    ),
    "glue/rte": Example(
        {"sentence1": "Tom ran home.", "sentence2": "Tom ate.", "label": 1},
        "Tom ran home.\nQuestion: Tom ate. True or False?\nAnswer:",
        (" True", " False"),
        1,
    ),
    "agnews": Example(
        {"text": "Rain in Rome", "label": 0},
        "Article: Rain in Rome\nAnswer:",
        (" World", " Sports", " Business", " Technology"),
        0,
    ),
    "kobest/boolq": Example(
        {"paragraph": "얼음은 차다.", "question": "얼음은 찬가?", "label": 1},
        "얼음은 차다. 질문: 얼음은 찬가? 답변: ",
        (" 아니오", " 예"),
        1,
    ),
    "kobest/copa": Example(
        {
            "premise": "종이 울렸다.",
            "question": "결과",
            "alternative_1": "나는 깼다.",
            "alternative_2": "종이 깨졌다.",
            "label": 0,
        },
        "종이 울렸다.  그래서",
        (" 나는 깼다.", " 종이 깨졌다."),
        0,
    ),
    "kobest/hellaswag": Example(
        {
            "context": "문을 연다.",
            "ending_1": "ㄱ",
            "ending_2": "ㄴ",
            "ending_3": "ㄷ",
            "ending_4": "ㄹ",
            "label": 2,
        },
        "문장: 문을 연다.",
        (" ㄱ", " ㄴ", " ㄷ", " ㄹ"),
        2,
    ),
    "kobest/sentineg": Example(
        {"sentence": "좋지 않다", "label": 0}, "문장: 좋지 않다 긍부정:", (" 부정", " 긍정"), 0
    ),
    "kobest/wic": Example(
        {"word": "배", "context_1": "배를 탔다.", "context_2": "배를 먹었다.", "label": 0},
        "문장1: 배를 탔다. 문장2: 배를 먹었다. 두 문장에서 배가 같은 뜻으로 쓰였나?",
        (" 아니오", " 예"),
        0,
    ),
    "nsmc": Example(
        {"id": "1", "document": "재미있다", "label": 1}, "문장: 재미있다 긍부정:", (" 부정", " 긍정"), 1
    ),
    "triviaqa": Example(
        {"question": "Who rang?", "answer": {"aliases": ["Tom", "Thomas"], "value": "Tom"}},
        "Question: Who rang??\nAnswer:",
        (" Tom",),
        0,
        ("Tom", "Thomas"),
    ),
    "nq": Example(
        {"question": "who rang", "answer": ["Tom", "Max"]}, "Q: who rang?\nA:", (" Tom",), 0, ("Tom", "Max")
    ),
    "coqa": Example(
        {
            "story": "Tom rang.",
            "questions": {"input_text": ["Who?", "What?"]},
            "answers": {"input_text": ["Tom", "a bell"]},
            "additional_answers": {
                "0": {"input_text": ["he", "bell"]},
                "1": {"input_text": ["Tom", "a bell"]},
                "2": {"input_text": ["Tom", "the bell"]},
            },
        },
        "Tom rang.\n\nQ: Who?\n\nA: Tom\n\nQ: What?\n\nA:",
        (" a bell",),
        0,
        ("a bell", "bell", "a bell", "the bell"),
    ),
    "quac": Example(
        {
            "wikipedia_page_title": "Bells",
            "section_title": "History",
            "context": "Tom rang. CANNOTANSWER",
            "questions": ["Who?", "Why?"],
            "orig_answers": {"texts": ["Tom", "CANNOTANSWER"]},
            "answers": {"texts": [["Tom", "Tom rang"], ["CANNOTANSWER", "CANNOTANSWER"]]},
        },
        "TITLE: Bells - History\nPARAGRAPH: Tom rang. CANNOTANSWER\nQ: Who?\nA: Tom\nQ: Why?\nA:",
        (" CANNOTANSWER",),
        0,
        ("CANNOTANSWER", "CANNOTANSWER"),
    ),
    "squad2": Example(
        {
            "title": "Bells",
            "context": "Tom rang.",
            "question": "Why?",
            "answers": {"text": [], "answer_start": []},
        },
        "Title: Bells\n\nBackground: Tom rang.\n\nQuestion: Why?\n\nAnswer:",
        (" unanswerable",),
        0,
    ),
    "squad": Example(
        {
            "title": "Bells",
            "context": "Tom rang.",
            "question": "Who rang?",
            "answers": {"text": ["Tom", "Tom", "Tom."], "answer_start": [0, 0, 0]},
        },
        "Title: Bells\n\nBackground: Tom rang.\n\nQuestion: Who rang?\n\nAnswer:",
        (" Tom",),
        0,
        ("Tom", "Tom."),
    ),
    "korquad": Example(
        {
            "title": "종",
            "context": "종은 오래된 탑에 있다.",
            "question": "종은 어디에 있는가?",
            "answers": {"text": ["오래된 탑"], "answer_start": [3]},
        },
        "제목: 종\n\n지문: 종은 오래된 탑에 있다.\n\n질문: 종은 어디에 있는가?\n\n답:",
        (" 오래된 탑",),
        0,
        ("오래된 탑",),
    ),
    "cnn_dailymail": Example(
        {"article": "Tom rang. All woke.", "highlights": "Tom woke all.", "id": "1"},
        "Tom rang. All woke.\nTL;DR:",
        (" Tom woke all.",),
        0,
        ("Tom woke all.",),
    ),
    "wmt14/en-fr": Example(
        {"translation": {"en": "a bell", "fr": "une cloche"}},
        "a bell =",
        (" une cloche",),
        0,
        ("une cloche",),
    ),
    "wmt14/fr-en": Example(
        {"translation": {"en": "a bell", "fr": "une cloche"}}, "une cloche =", (" a bell",), 0, ("a bell",)
    ),
    "foundry/answer": Example(
        {"context": "Who?", "answer": "Tom", "aliases": ["Thomas"]},
        "Who?\nAnswer:",
        (" Tom",),
        0,
        ("Tom", "Thomas"),
    ),
    "foundry/question": Example(FOUNDRY, "Question: Is it?\nAnswer:", (" no", " yes"), 1),
    "foundry/ending": Example(FOUNDRY, "Question: Is it?", (" no", " yes"), 1),
    "foundry/continuation": Example(
        {"context": "She rang the old", "continuation": "bell"}, "She rang the old", (" bell",), 0
    ),
}
