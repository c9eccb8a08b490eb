"""Merging relations: several names become one, some with head and tail swapped. No numpy here."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

CONCEPTNET: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "antonym": ("antonym", "distinctfrom"),
        "atlocation": ("atlocation", "locatednear"),
        "capableof": ("capableof",),
        "causes": ("causes", "causesdesire", "*motivatedbygoal"),
        "createdby": ("createdby",),
        "desires": ("desires",),
        "hascontext": ("hascontext",),
        "hasproperty": ("hasproperty",),
        "hassubevent": (
            "hassubevent", "hasfirstsubevent", "haslastsubevent", "hasprerequisite", "entails", "mannerof",
        ),
        "isa": ("isa", "instanceof", "definedas"),
        "madeof": ("madeof",),
        "notcapableof": ("notcapableof",),
        "notdesires": ("notdesires",),
        "partof": ("partof", "*hasa"),
        "receivesaction": ("receivesaction",),
        "relatedto": ("relatedto", "similarto", "synonym"),
        "usedfor": ("usedfor",),
    }
)  # fmt: skip
"""ConceptNet's 42 relations merged into KagNet's 17 (Lin et al. 2019; conceptnet/merge_relation.txt of its code)."""

TABLES = MappingProxyType({"conceptnet": CONCEPTNET})


class Merged(NamedTuple):
    """The new name of a relation."""

    name: str
    exchanged: bool
    """Whether head and tail change places: `hasa(car, wheel)` is `partof(wheel, car)`."""


def merge_table(groups: Mapping[str, Iterable[str]]) -> dict[str, Merged]:
    """New relations by the old names in lower case. groups: new name -> old ones; `*` before one swaps its ends.

    Raises ValueError where an old name stands in two groups.
    """
    table: dict[str, Merged] = {}
    for name, members in groups.items():
        for member in members:
            key = member.removeprefix("*").casefold()
            if key in table:
                raise ValueError(f"{key} is in two groups, {table[key].name} and {name}")
            table[key] = Merged(name, member.startswith("*"))
    return table
