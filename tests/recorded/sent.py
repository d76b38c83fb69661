"""What a response body holds, read from the body and the document alone: a reading quick enough for all of them.

`tests.end_to_end.accounts` lets graphql-core execute the document once more; this walks it by the specification's own
words (CollectFields, section 6.3.2). The two are held equal in `test_recorded.py`. Nothing here comes from the gateway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from graphql import (
    BooleanValueNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    parse,
)

FRAME = frozenset({"outcome", "complete", "advice", "sources", "receipt"})
ENTRIES = frozenset({"involvements", "leadPractitioner"})
Place = tuple[Any, ...]


class Unreadable(Exception):
    """The body does not fit its document."""


@dataclass
class Held:
    """What a body holds: the fields of each entry by where it stands, its id and name if given, and the sections."""

    entries: dict[Place, set[str]] = field(default_factory=dict)
    ids: dict[Place, str] = field(default_factory=dict)
    sections: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)  # as of when, of entries that bear that label

    def by_id(self) -> dict[str, set[str]] | None:
        """The fields of each entry by its id; None when some entry came without one."""
        if self.entries.keys() != self.ids.keys():
            return None
        found: dict[str, set[str]] = {}
        for place, fields in self.entries.items():
            found.setdefault(self.ids[place], set()).update(fields)
        return found


@dataclass(frozen=True, slots=True)
class Asked:
    """One response key: the field behind it, and what is asked for below it, which may be nothing after @skip."""

    name: str
    leaf: bool
    below: Mapping[str, Asked]


@lru_cache(maxsize=4096)
def _parsed(document: str) -> DocumentNode:
    return parse(document, no_location=True)


def asked_for(document: str, operation: str | None, variables: Mapping[str, Any]) -> Mapping[str, Asked]:
    """Return what an operation asks for under these variables. Fails when the document has no such operation."""
    node = _operation(document, operation)
    defaults = {
        d.variable.name.value: d.default_value.value
        for d in node.variable_definitions or ()
        if isinstance(d.default_value, BooleanValueNode)
    }
    flags = defaults | {name: value for name, value in variables.items() if isinstance(value, bool)}
    return _asked_for(document, operation, tuple(sorted(flags.items())))


@lru_cache(maxsize=4096)
def _asked_for(document: str, operation: str | None, flags: tuple[tuple[str, bool], ...]) -> Mapping[str, Asked]:
    fragments = {d.name.value: d for d in _parsed(document).definitions if isinstance(d, FragmentDefinitionNode)}
    return _collected([_operation(document, operation).selection_set], fragments, dict(flags))


def _operation(document: str, name: str | None) -> OperationDefinitionNode:
    found = [
        d
        for d in _parsed(document).definitions
        if isinstance(d, OperationDefinitionNode) and (name is None or (d.name is not None and d.name.value == name))
    ]
    if len(found) != 1:
        raise Unreadable("the document has no such operation")
    return found[0]


def _collected(
    sets: Sequence[SelectionSetNode], fragments: Mapping[str, FragmentDefinitionNode], flags: Mapping[str, bool]
) -> Mapping[str, Asked]:
    grouped: dict[str, list[FieldNode]] = {}
    for each in sets:
        _group(each, fragments, flags, grouped)
    return {
        key: Asked(
            nodes[0].name.value,
            nodes[0].selection_set is None,
            _collected([n.selection_set for n in nodes if n.selection_set is not None], fragments, flags),
        )
        for key, nodes in grouped.items()
    }


def _group(
    selected: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    flags: Mapping[str, bool],
    into: dict[str, list[FieldNode]],
) -> None:
    for node in selected.selections:
        if not _taken(node, flags):
            continue
        # every type of this schema is an object: a fragment that validates always applies
        if isinstance(node, FieldNode):
            key = node.alias.value if node.alias else node.name.value
            into.setdefault(key, []).append(node)
        elif isinstance(node, InlineFragmentNode):
            _group(node.selection_set, fragments, flags, into)
        elif isinstance(node, FragmentSpreadNode):
            _group(fragments[node.name.value].selection_set, fragments, flags, into)


def _taken(node: Any, flags: Mapping[str, bool]) -> bool:
    for directive in node.directives or ():
        if directive.name.value not in {"skip", "include"}:
            continue
        value = directive.arguments[0].value
        condition = flags[value.name.value] if isinstance(value, VariableNode) else value.value
        if condition is (directive.name.value == "skip"):
            return False
    return True


def lookup_in(asked: Mapping[str, Asked], data: Mapping[str, Any]) -> tuple[Asked, Mapping[str, Any]] | None:
    """Return the lookup that a response holds, with what was asked for of it; None when it holds none."""
    for key, each in asked.items():
        if each.name == "child" and isinstance(data.get(key), Mapping):
            return each, data[key]
    return None


def held_in(asked: Mapping[str, Asked], data: Mapping[str, Any]) -> Held:
    """Return what the data of a response holds. Raises Unreadable when it holds other keys than were asked for."""
    held = Held()
    _object(held, asked, data, (), (), None)
    return held


def _object(
    held: Held,
    asked: Mapping[str, Asked],
    value: Mapping[str, Any],
    names: tuple[str, ...],
    place: Place,
    entry: Place | None,
) -> None:
    if value.keys() != asked.keys():
        raise Unreadable("the body holds something else than the document asks for")
    for key, each in asked.items():
        inner = value[key]
        if inner is None or each.name == "__typename":
            continue
        path, where = (*names, each.name), (*place, key)
        if each.leaf:
            _leaf(held, entry, path, inner)
            continue
        for index, item in enumerate(inner if isinstance(inner, list) else [inner]):
            at = (*where, index)
            mine = entry
            if len(path) == 2 and path[0] == "child" and each.name in ENTRIES:
                mine = at
                held.entries[at] = set()
            _object(held, each.below, item, path, at, mine)


def _leaf(held: Held, entry: Place | None, path: tuple[str, ...], value: Any) -> None:
    if path[0] != "child" or value == []:
        return
    if entry is not None:
        inside = ".".join(path[2:])
        held.entries[entry].add(inside)
        if inside == "id":
            held.ids[entry] = value
        elif inside == "practitioner.name":
            held.names.add(value)
        elif inside == "staleAsOf":
            held.stale.add(value)
    elif path[1] not in FRAME:
        held.sections.add(".".join(path[1:]))


def differences(held: Held, disclosed: Mapping[str, Any]) -> Iterable[str]:
    """Say, in words and without a value, where what a body holds and what OUTCOME says was disclosed differ."""
    told = {entry["entry"]: _told(entry["fields"]) for entry in disclosed["entries"]}
    if len(told) != len(disclosed["entries"]):
        yield "OUTCOME names an entry twice"
    by_id = held.by_id()
    if by_id is not None:
        if by_id != told:
            yield f"{len(by_id)} entries in the body and {len(told)} in OUTCOME differ, or their fields"
    elif not _alike(list(held.entries.values()), list(told.values())):
        yield "the fields of the entries differ"
    recorded = {entry["practitioner"]["name"] for entry in disclosed["entries"] if entry["practitioner"]}
    if not held.names <= recorded:
        yield f"named and not recorded: {len(held.names - recorded)}"
    if held.stale != {entry["staleAsOf"] for entry in disclosed["entries"] if "staleAsOf" in entry}:
        yield "other entries are stale, or as of another moment"
    if held.sections != _told(disclosed["sections"]):
        yield "the sections differ"


def _alike(held: Sequence[set[str]], told: Sequence[set[str]]) -> bool:
    """Say whether entries without ids can be those that are told; one entry may stand in a body more than once."""
    if len(held) <= len(told):
        return Counter(map(frozenset, held)) == Counter(map(frozenset, told))
    return set().union(*held) == set().union(*told) and all(any(one <= other for other in told) for one in held)


def _told(paths: Iterable[str]) -> set[str]:
    """The paths without type names, which tell nothing that the schema does not."""
    return {path for path in paths if not path.endswith("__typename")}
