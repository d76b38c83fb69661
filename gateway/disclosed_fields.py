"""Which fields of which entries stand in a response: read from the data that will be sent, beside its tree.

OUTCOME must hold exactly what the body holds. The compiled operation translates response keys into schema fields, the
tree says which entry stands where, and what is not null in the data has left.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from gateway.audit.canonical import once
from gateway.graphql.compiled import CompiledLookup, matching
from schema import types


def disclosed_fields(
    compiled: CompiledLookup, data: Mapping[str, Any], tree: Any
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return ({entry, agency, sources, practitioner, fields} for each entry in the body, section paths in the body).

    `fields` are schema paths inside the entry whose value is not null; they and `sources` are in the log's own form. A
    stale entry has `staleAsOf`, too. Raises ValueError if body and tree disagree.
    """
    rows_shown: dict[str, types.Involvement] = {}
    found: dict[str, int] = {}
    sections = 0
    body = data[compiled.lookup_key]
    for place in compiled.entries:
        value = body[place.key]
        shown = value if isinstance(value, list) else [] if value is None else [value]
        rows = matching(tree.rows, place.wanted)
        if len(rows) != len(shown):
            raise ValueError("the body and the tree disagree")
        find = place.found
        for row, entry in zip(rows, shown, strict=True):
            of = row.id
            if of in found:
                found[of] |= find(entry)
            else:
                rows_shown[of], found[of] = row, find(entry)
    for section in compiled.sections:
        value = body[section.key]
        for item in value if isinstance(value, list) else [] if value is None else [value]:
            sections |= section.found(item)
    recorded = compiled.leaves.recorded
    entries = []
    for told, row in rows_shown.items():
        who, said_by = row.practitioner, row.sources
        held = None if who is None else who.registration
        registered = None if held is None else f"{held.body}:{held.number}"
        named: dict[str, Any] = {
            "entry": told,
            "agency": row.agency.id,
            "sources": _recorded((said_by[0].id,) if len(said_by) == 1 else tuple([a.id for a in said_by])),
            "practitioner": None if who is None else {"name": who.name, "registration": registered},
            "fields": recorded(found[told]),
        }
        if row.stale_as_of is not None:
            named["staleAsOf"] = row.stale_as_of.isoformat()
        entries.append(named)
    return entries, list(compiled.leaves.names(sections))


@lru_cache(maxsize=1024)  # of the configured agencies
def _recorded(agencies: tuple[str, ...]) -> msgspec.Raw:
    return once([str(agency) for agency in agencies])
