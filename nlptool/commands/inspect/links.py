"""Links of a token store to a knowledge graph, for `inspect`."""

from pathlib import Path

import numpy as np

from nlptool import recipe
from nlptool.commands.tokenize.recipe import Recipe as TokenizeRecipe
from nlptool.data.row_view import ENTITY, Mark
from nlptool.errors import NlptoolError
from nlptool.knowledge.graph import Graph
from nlptool.text.links import LinkFile
from nlptool.text.store import TokenStore


def graph_of(store: TokenStore) -> Graph | None:
    """The graph of a store's links, for labels of entities; None if it no longer exists."""
    if "links" not in store.info:
        return None
    try:
        links = recipe.kept(store.path, TokenizeRecipe).links
        found = None if links is None else Graph(Path(links.graph))
    except NlptoolError:
        return None
    return found if found is not None and found.fingerprint == store.info["links"]["graph"] else None


class StoreLinks:
    """Links of a split by position. Raises DataError where the store's file of links is damaged."""

    def __init__(self, store: TokenStore, split: str) -> None:
        self._links = LinkFile(store.path / split) if "links" in store.info else None
        self._names = graph_of(store)

    def __len__(self) -> int:
        return 0 if self._links is None else len(self._links)

    def marks(self, start: int, stop: int) -> dict[int, Mark]:
        """The links of tokens [start, stop), by position from `start`."""
        if self._links is None:
            return {}
        (first,), (last,) = self._links.ranges(np.array([start]), np.array([stop]))
        positions, _, entities = self._links.all
        linked = zip(positions[first:last].tolist(), entities[first:last].tolist(), strict=True)
        return {at - start: Mark(ENTITY, self._called(entity)) for at, entity in linked}

    def _called(self, entity: int) -> str:
        return f"entity {entity}" if self._names is None else self._names.label(entity)
