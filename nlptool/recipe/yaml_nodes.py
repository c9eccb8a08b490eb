"""YAML 1.2 to nodes, with limits on size and depth, and errors in plain words."""

from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node
from ruamel.yaml.reader import ReaderError

MOST_VALUES, DEEPEST = 50_000, 40  # far beyond any recipe; keys count as values, aliases as what they repeat
TOO_MANY = f"more than {MOST_VALUES:,} values, aliases written out"
TOO_DEEP = f"blocks and lists more than {DEEPEST} deep"
PLAIN_WORDS = [  # ruamel.yaml's messages; our explanations
    ("found character '\\t'", "a tab; YAML is indented by spaces"),
    (
        "mapping values are not allowed",
        "a key where none can stand; check indentation, quote text that holds ': '",
    ),
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("that cannot start any token", "a value cannot begin with this character; quote it"),
    ("but found another document", "a second document (---); a recipe is one"),
]
PLAIN_WORDS_AT_START = [  # the same for faults that are detected far below their line
    ("could not find expected ':'", "expected key: value, found a lone word"),
    ("found unexpected end of stream", "a quote that is never closed"),
    ("but got '<stream end>'", "a bracket that is never closed"),
]


class NotYamlError(Exception):
    """A text that is not YAML, or exceeds the limits: line and reason."""

    def __init__(self, line: int, words: str) -> None:
        super().__init__(words)
        self.line, self.words = line, words if words in (TOO_MANY, TOO_DEEP) else f"not valid YAML: {words}"


class BoundedComposer(Composer):
    """Composes nodes up to the limits, since parsing dominates the time."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        # An anchor may be redefined; the warning would be Python's own.
        self.warn_double_anchors = False
        self.nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The next node."""
        self.nodes += 1
        mark = self.parser.peek_event().start_mark
        if self.nodes > MOST_VALUES:
            raise MarkedYAMLError(problem=TOO_MANY, problem_mark=mark)
        if self.depth > DEEPEST:
            raise MarkedYAMLError(problem=TOO_DEEP, problem_mark=mark)
        return super().compose_node(parent, index)


@lru_cache(maxsize=32)
def compose(text: str) -> Node | None:
    """The nodes of a YAML text, which must not be changed; None if it is empty. Raises NotYamlError.

    Cached, since a run reads its own recipe and its teacher's several times, each a hundred lines with all defaults.
    """
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.Composer = BoundedComposer
        return yaml.compose(text)  # type: ignore[no-any-return]
    except MarkedYAMLError as error:
        for table, mark in (
            (PLAIN_WORDS, error.problem_mark),
            (PLAIN_WORDS_AT_START, error.context_mark or error.problem_mark),
        ):
            for key, words in table:
                if key in str(error.problem) and mark is not None:
                    raise NotYamlError(mark.line + 1, words) from None
        mark = error.problem_mark or error.context_mark
        raise NotYamlError(mark.line + 1 if mark else 1, str(error.problem)) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise NotYamlError(line, f"a control character, {error.character:#04x}") from None
    except (YAMLError, RecursionError) as error:
        raise NotYamlError(1, str(error)) from None
