"""Elastic Common Schema 9.4. What it has no field for stands under `labels` (keywords) or `contactpoint` (objects)."""

from __future__ import annotations

from typing import Any

from gateway.audit.export.entry import Entry


def ecs(entry: Entry) -> dict[str, Any]:
    """Return the document of a record."""
    said, caller = entry.said, entry.caller
    acting = caller.get("onBehalfOf") or {}
    number = (entry.identified or {}).get("nhsNumber")
    labels = {
        "shard": entry.shard,
        "purpose": said.get("purpose"),
        "relationship": said.get("relationship"),
        "subject": number or said.get("subject"),
        "receipt": said.get("receipt"),
        "case_reference": said.get("caseReference"),
        "agreements": (said.get("agreements") or {}).get("version"),
    }
    event: dict[str, Any] = {
        "id": entry.id,
        "kind": "alert" if entry.kind == "OVERRIDE" else "event",
        "category": ["database"],
        "type": ["denied" if entry.kind == "DENIED" else "access"],
        "action": entry.kind.lower(),
        "outcome": "failure" if entry.failed else "success",
        "sequence": entry.seq,
        "hash": entry.hash.hex(),
        "module": "contactpoint",
        "dataset": "contactpoint.audit",
    }
    if said.get("reason"):
        event["reason"] = said["reason"]
    if said.get("ms") is not None:
        event["duration"] = said["ms"] * 1_000_000
    if code := said.get("outcome") or said.get("code"):
        event["code"] = code
    document: dict[str, Any] = {
        "@timestamp": entry.recorded,
        "ecs": {"version": "9.4.0"},
        "event": event,
        "labels": {name: str(value) for name, value in labels.items() if value is not None},
        "contactpoint": {name: value for name, value in said.items() if value is not None},
    }
    if person := entry.person:
        document["user"] = {"id": caller.get("subject") or person, "roles": list(caller.get("roles") or ())}
        if caller.get("name"):
            document["user"]["full_name"] = caller["name"]
        if acting:
            document["user"]["effective"] = {"id": acting["subject"], "roles": [acting["role"]]}
    if organisation := caller.get("organisation"):
        document["organization"] = {"id": organisation}
    if rule := said.get("rule") or (said.get("rules") or {}).get("policy"):
        document["rule"] = {"name": rule}
    return document
