"""OCSF 1.8 API Activity (class 6003). What OCSF has no attribute for stands in `unmapped`, by the names of the log."""

from __future__ import annotations

from typing import Any, Final

from gateway.audit.export.entry import Entry

_CLASS: Final = 6003
_READ, _CREATE, _OTHER = 2, 1, 99
_ACTIVITIES: Final = {"INTENT": _READ, "OUTCOME": _READ, "OVERRIDE": _READ, "DENIED": _READ, "READ": _READ}
_MAPPED: Final = frozenset({"caller", "request", "operation", "subject", "ms", "receipt"})


def ocsf(entry: Entry) -> dict[str, Any]:
    """Return the event of a record."""
    activity = _ACTIVITIES.get(entry.kind, _CREATE if entry.kind in {"ADMIN", "REVIEW"} else _OTHER)
    said, caller = entry.said, entry.caller
    alerting = entry.kind == "OVERRIDE" or bool(said.get("override"))
    event: dict[str, Any] = {
        "activity_id": activity,
        "category_uid": 6,
        "class_uid": _CLASS,
        "type_uid": _CLASS * 100 + activity,
        "time": entry.time_ms,
        "severity_id": 4 if alerting else 2 if entry.failed else 1,
        "status_id": 2 if entry.failed else 1,
        "metadata": {
            "version": "1.8.0",
            "product": {"name": "ContactPoint Gateway", "vendor_name": "ContactPoint"},
            "uid": entry.id,
            "sequence": entry.seq,
            "log_name": entry.shard,
            "event_code": entry.kind,
        },
        "actor": _actor(entry),
        "api": {
            "operation": str((said.get("operation") or {}).get("name") or entry.kind),
            "request": {"uid": str(said.get("request") or entry.id)},
            "service": {"name": "contactpoint"},
        },
        # the log keeps no network addresses
        "src_endpoint": {"name": str(caller.get("client") or caller.get("command") or "unknown")},
        "unmapped": {
            "leaf_hash": entry.hash.hex(),
            **{name: value for name, value in said.items() if name not in _MAPPED and value is not None},
        },
    }
    if activity == _OTHER:
        event["activity_name"] = entry.kind
    if code := said.get("outcome") or said.get("code"):
        event["status_code"] = code
    if receipt := said.get("receipt"):
        event["metadata"]["correlation_uid"] = receipt
    if (spent := said.get("ms")) is not None:
        event["unmapped"]["ms"] = spent
    if (count := said.get("count")) is not None:
        event["unmapped"]["count"] = count
    if subject := said.get("subject"):
        number = (entry.identified or {}).get("nhsNumber")
        event["resources"] = [{"type": "child", "uid": number or subject}]
    return event


def _actor(entry: Entry) -> dict[str, Any]:
    caller = entry.caller
    user: dict[str, Any] = {"uid": entry.person or "unknown"}
    if caller.get("name"):
        user["full_name"] = caller["name"]
    if roles := caller.get("roles"):
        user["groups"] = [{"name": role} for role in roles]
    if organisation := caller.get("organisation"):
        user["org"] = {"uid": organisation}
        if caller.get("team"):
            user["org"]["ou_name"] = caller["team"]
    actor: dict[str, Any] = {"user": user}
    if client := caller.get("client"):
        actor["app_uid"] = client
    if token := caller.get("token"):
        actor["session"] = {"uid": token}
        if caller.get("issuer"):
            actor["session"]["issuer"] = caller["issuer"]
    return actor
