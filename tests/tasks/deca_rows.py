"""Two rows of each of decaNLP's data sets, made up, in the form that they have."""

from typing import Any

SENTENCE = "The old river risked the small town."
WOZ = {
    "dialogue_idx": 7,
    "dialogue": [
        {
            "system_acts": [],
            "transcript": "A thai place in the north?",
            "belief_state": [
                {"act": "inform", "slots": [["food", "thai"]]},
                {"act": "inform", "slots": [["area", "north"]]},
            ],
        },
        {
            "system_acts": ["area", ["food", "thai"]],
            "transcript": "The south.  Which phone?",
            "belief_state": [
                {"act": "request", "slots": [["slot", "phone"]]},
                {"act": "inform", "slots": [["food", "thai"]]},
                {"act": "inform", "slots": [["area", "south"]]},
            ],
        },
        {"system_acts": [], "transcript": "Bye", "belief_state": []},
    ],
}
TABLE = {"header": ["Year", "Team"]}

ROWS: dict[str, list[dict[str, Any]]] = {
    "squad": [
        {"question": "Which town?", "context": SENTENCE, "answers": {"text": ["small town", "town"]}},
        {"question": "Which sea?", "context": SENTENCE, "answers": {"text": []}},
    ],
    "iwslt": [
        {"translation": {"en": "The old river", "de": "Der alte Fluss war still"}},
        {"translation": {"en": "A town", "de": "Eine Stadt"}},
    ],
    "cnn_dailymail": [
        {"article": SENTENCE, "highlights": "A river risked a town."},
        {"article": SENTENCE * 9, "highlights": "A river."},
    ],
    "mnli": [
        {"premise": SENTENCE, "hypothesis": "A river is old.", "label": 0},
        {"premise": SENTENCE, "hypothesis": "A river is new.", "label": 2},
    ],
    "sst": [{"text": "a stone", "label": 0}, {"text": "a light", "label": 1}],
    "qa_srl": [
        {
            "sentence": SENTENCE,
            "question": ["What", "_", "_", "risked", "something", "_", "_", "?"],
            "answers": ["The old river", "river"],
        },
        {"sentence": SENTENCE, "question": "What was risked?", "answers": ["the small town"]},
    ],
    "qa_zre": [
        {"question": "How old is XXX?", "subject": "Ann", "context": "Ann is ten.", "answers": ["ten", "10"]},
        {"question": "How tall is XXX?", "subject": "Ann", "context": "Ann is ten.", "answers": []},
    ],
    "woz": [WOZ],
    "wikisql": [
        {
            "question": "Which team in 1999?",
            "table": TABLE,
            "sql": {"sel": 1, "agg": 0, "conds": [[0, 0, "1999"]]},
        },
        {
            "question": "How many teams after 1999?",
            "table": TABLE,
            "sql": {
                "sel": 1,
                "agg": 3,
                "conds": {"column_index": [0], "operator_index": [1], "condition": ["1999"]},
            },
        },
    ],
    "mwsc": [
        {
            "sentence": "The town feared the river because it was small.",
            "question": "What was small?",
            "options": ["town", "river"],
            "answer": "town",
        },
        {
            "sentence": "The town feared the river because it was wild.",
            "question": "What was wild?",
            "options": ["town", "river"],
            "answer": "river",
        },
    ],
}
