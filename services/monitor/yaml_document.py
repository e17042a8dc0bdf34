"""YAML of a monitor file -> plain values with the line of every key. Safe: no tags, no aliases, no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

KeyPath = tuple[str | int, ...]

_PLAIN: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null"))
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_DEEPEST: Final = 16


@dataclass(frozen=True, slots=True)
class YamlFault:
    """Something that YAML allows, or not even that, and the monitor file does not."""

    path: KeyPath
    line: int | None
    message: str


@dataclass(slots=True)
class Document:
    """Values (mappings, tuples, scalars), the line of every path, and what was wrong."""

    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    faults: list[YamlFault] = field(default_factory=list)

    def line(self, path: KeyPath) -> int | None:
        """The line of `path`, or of the nearest thing around it that stands in the file."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


def read_yaml(text: str) -> Document:
    """Parse YAML `text`; faults are collected, never raised."""
    document = Document()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = None if node is None else _Reader(document).value(node, ())
        document.value = {} if value is None and not document.faults else value
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(f"{error.context or ''} {error.problem or ''}".split())
        document.faults.append(YamlFault((), mark.line + 1 if mark else None, f"not YAML: {words}"))
    except yaml.YAMLError as error:
        document.faults.append(YamlFault((), None, f"not YAML: {str(error).splitlines()[0]}"))
    except RecursionError:
        document.faults.append(YamlFault((), None, f"nested more than {_DEEPEST} levels deep"))
    return document


class _Reader:
    """Walks the node graph of one document; every node may be seen only once (no aliases)."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._seen: set[int] = set()
        self._scalars = yaml.SafeLoader("")

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        """The plain value of `node`; None where there is a fault."""
        if id(node) in self._seen:
            line = self._document.line(path)
            self._document.faults.append(
                YamlFault(path, line, "aliases (*name) are not supported; write the value out")
            )
            return None
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        self._seen.add(id(node))
        if len(path) > _DEEPEST:
            self._fault(node, path, f"nested more than {_DEEPEST} levels deep")
            return None
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return tuple(self.value(child, (*path, i)) for i, child in enumerate(node.value))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._fault(node, path, "YAML tags (!name) are not supported")
        return None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> Mapping[str, Any]:
        values: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(key_node, path, "a key must be text")
                continue
            key = str(key_node.value)
            if key in values:
                self._fault(key_node, (*path, key), f"written twice, first in line {first[key]}; keep one")
                continue
            first[key] = line
            self._document.lines[(*path, key)] = line
            values[key] = self.value(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        if node.tag == _TIMESTAMP:
            return node.value
        if node.tag not in _PLAIN:
            self._fault(node, path, "YAML tags (!name) and merge keys are not supported")
            return None
        try:
            return self._scalars.construct_object(node)
        except (ValueError, yaml.YAMLError):
            self._fault(node, path, "not a value; put quotes around it if it is text")
            return None

    def _fault(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self._document.faults.append(YamlFault(path, node.start_mark.line + 1, message))
