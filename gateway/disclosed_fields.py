"""Which fields of which entries stand in a response: read from the response itself, beside the tree it came from.

OUTCOME must hold exactly what the body holds. So this walks the data that will be sent, with the operation to translate
response keys into schema fields, and the tree to say which entry stands where.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import FieldNode, FragmentDefinitionNode

from gateway.graphql.documents import Operation
from gateway.graphql.selection import EntryFilter, Variables, entry_filter, fields_of, lookup_fields
from schema import types

Fragments = Mapping[str, FragmentDefinitionNode]


def matching(rows: list[types.Involvement], wanted: EntryFilter) -> list[types.Involvement]:
    """Return the rows that one selection of entries takes, in their order."""
    found = [r for r in rows if r.status in wanted.statuses and (wanted.kinds is None or r.agency.kind in wanted.kinds)]
    return [r for r in found if r.lead][:1] if wanted.leads_only else found


def disclosed_fields(
    operation: Operation, variables: Variables, data: Mapping[str, Any], tree: Any
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return ({entry, agency, sources, practitioner, fields} for each entry in the body, section paths in the body).

    `fields` are schema paths inside the entry whose value is not null. Raises ValueError if body and tree disagree.
    """
    entries: dict[str, dict[str, Any]] = {}
    sections: set[str] = set()
    fragments = operation.fragments
    for lookup in lookup_fields(operation, variables):
        body = data[_key(lookup)]
        for node in fields_of(lookup.selection_set, fragments, variables):
            name, value = node.name.value, body[_key(node)]
            if name in {"involvements", "leadPractitioner"}:
                shown = value if isinstance(value, list) else [value] if value is not None else []
                rows = matching(tree.rows, entry_filter(node, variables))
                if len(rows) != len(shown):
                    raise ValueError("the body and the tree disagree")
                for row, entry in zip(rows, shown, strict=True):
                    _note(entries, row, set(_paths(node, entry, fragments, variables)))
            elif name not in _FRAME and value is not None:
                sections |= {f"{name}.{path}" if path else name for path in _paths(node, value, fragments, variables)}
    return [{**entry, "fields": sorted(entry["fields"])} for entry in entries.values()], sorted(sections)


_FRAME = frozenset({"__typename", "outcome", "complete", "advice", "sources", "receipt"})


def _note(entries: dict[str, dict[str, Any]], row: types.Involvement, fields: set[str]) -> None:
    known = entries.setdefault(
        row.id,
        {
            "entry": str(row.id),
            "agency": str(row.agency.id),
            "sources": [str(a.id) for a in row.sources],
            "practitioner": _person(row),
            "fields": set(),
        },
    )
    known["fields"] |= fields


def _person(row: types.Involvement) -> dict[str, str | None] | None:
    who = row.practitioner
    if who is None:
        return None
    held = who.registration
    return {"name": who.name, "registration": f"{held.body}:{held.number}" if held else None}


def _paths(node: FieldNode, value: Any, fragments: Fragments, variables: Variables) -> Iterator[str]:
    """Yield the schema path of every leaf that is not null, below a node, without list positions."""
    if isinstance(value, list):
        for item in value:
            yield from _paths(node, item, fragments, variables)
    elif isinstance(value, Mapping):
        for inner in fields_of(node.selection_set, fragments, variables):
            for path in _paths(inner, value[_key(inner)], fragments, variables):
                yield f"{inner.name.value}.{path}" if path else inner.name.value
    elif value is not None:
        yield ""


def _key(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value
