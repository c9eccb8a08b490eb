"""Embeddings of segment types where training has not met all of them."""

from collections.abc import Mapping

from torch import Tensor

TYPES, POSITIONS = (f"backbone.embeddings.{name}.weight" for name in ("types", "positions"))


def with_types(state: Mapping[str, Tensor], trained: int) -> dict[str, Tensor]:
    """A state in which the types from `trained` on are copies of type 0.

    Packed rows have one segment, so type 1 keeps its random embedding; tokenizers give it to the second of two texts.
    """
    result = dict(state)
    if TYPES in result:
        types_SD = result[TYPES].clone()
        types_SD[trained:] = types_SD[0]
        result[TYPES] = types_SD
    return result


def fold_token_types(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A BERT's state for DistilBERT, which has no segment types: the positions take in type 0.

    So a text of one segment is embedded as the teacher does it. DistilBERT's script drops the types.
    """
    result = dict(state)
    if TYPES in result:
        result[POSITIONS] = result[POSITIONS] + result.pop(TYPES)[0]
    return result


def has_distinct_types(state: Mapping[str, Tensor]) -> bool:
    """Whether types differ, as where they have been trained."""
    return TYPES in state and bool((state[TYPES] != state[TYPES][0]).any())
