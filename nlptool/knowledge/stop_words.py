"""Words that are no concepts: the lists of KagNet's code (INK-USC/KagNet grounding/, pathfinder/)."""

_ENGLISH = """
i me my myself we our ours ourselves you you're you've you'll you'd your yours yourself yourselves he him his himself
she she's her hers herself it it's its itself they them their theirs themselves what which who whom this that that'll
these those am is are was were be been being have has had having do does did doing a an the and but if or because as
until while of at by for with about against between into through during before after above below to from up down in
out on off over under again further then once here there when where why how all any both each few more most other some
such no nor not only own same so than too very s t can will just don don't should should've now d ll m o re ve y ain
aren aren't couldn couldn't didn didn't doesn doesn't hadn hadn't hasn hasn't haven haven't isn isn't ma mightn
mightn't mustn mustn't needn needn't shan shan't shouldn shouldn't wasn wasn't weren weren't won won't wouldn wouldn't
"""
_FURTHER = "like gone did going would could get in up may wanter"
_PRONOUNS = "my you it its your i he she his her they them their our we myself"

ENGLISH = frozenset(_ENGLISH.split())
"""NLTK's list; nodes of the graph with one of them are dropped."""

PRUNED = ENGLISH | frozenset(_FURTHER.split())
"""Grounded concepts with these words are dropped (grounding/prune_qc.py)."""

PRONOUNS = frozenset(_PRONOUNS.split())
"""A concept neither begins nor ends with one of them."""

UNSPECIFIC = frozenset(
    (
        "actually", "likely", "possibly", "want", "make", "my", "someone", "sometimes people", "sometimes", "would",
        "want to", "one", "something", "everybody", "somebody", "could", "could be", "-pron-",
    )
)  # fmt: skip
"""Concepts that are never grounded."""

UNSPECIFIC_NODES = frozenset(("uk", "us", "take", "make", "object", "person", "people"))
"""Concepts that no path goes through."""
