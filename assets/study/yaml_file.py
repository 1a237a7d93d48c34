"""Reading a study's YAML: as safe as YAML can be, and with an end, whatever is in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from assets.study.errors import InputError
from assets.study.files import read_text

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST_FILE = 4_000_000
"""Bytes; a study of ten thousand checkpoints has half as many."""
_MOST_NODES = 100_000
"""Keys and values, each counted wherever an alias stands for it."""
_DEEPEST = 40
_MERGE = "tag:yaml.org,2002:merge"


def read_yaml(path: Path) -> Any:
    """What stands in a YAML file.

    Raises:
        InputError: It cannot be read, is no YAML, gives a key twice, or is too large, deep or
            multiplied by aliases.
    """
    text = read_text(path, _LARGEST_FILE)
    try:
        return yaml.load(text, _Loader)  # a safe loader
    except InputError as error:
        raise InputError(f"{path}, {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}{_where(error)}: not valid YAML: {_what(error)}") from None
    except ValueError as error:  # such as of a date, or of Python's bound for digits
        what = "a number has too many digits" if "digits" in str(error) else error
        raise InputError(f"{path}: not valid YAML: {what}") from None


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _what(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return f"the character {error.character:#04x} at position {error.position + 1:,} is none"
    context = getattr(error, "context", None)
    problem = getattr(error, "problem", None)
    return ", ".join(part for part in (context, problem) if part) or " ".join(str(error).split())


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key given twice, where plain YAML keeps the last in silence.

    An alias stands for all of what it names, so that a page of aliases of aliases is more than any
    memory holds: what is counted is what they stand for.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[int, int] = {}
        """Of each node that is read, by its id, what it stands for."""
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        is_alias = self.check_event(yaml.AliasEvent)
        self._depth += 1
        if self._depth > _DEEPEST:
            raise InputError(f"line {line}: stands within {_DEEPEST} others; no study is as deep")
        node = super().compose_node(parent, index)
        assert node is not None
        self._depth -= 1
        if is_alias and id(node) not in self._sizes:
            raise InputError(f"line {line}: the alias stands within what it is an alias of")
        size = self._sizes.setdefault(
            id(node), 1 + sum(self._sizes[id(inner)] for inner in _inner(node))
        )
        if max(size, len(self._sizes)) > _MOST_NODES:
            raise InputError(
                f"line {line}: here are over {_MOST_NODES:,} keys and values, an alias counted for "
                "all that it stands for; make it shorter"
            )
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict | set):
                break  # which the loader refuses
            if key in seen:
                line = key_node.start_mark.line + 1
                raise InputError(f"line {line}: the key {key!r} stands twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _inner(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [inner for pair in node.value for inner in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
