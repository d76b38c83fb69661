"""FHIR R4 AuditEvent, with the profiles of IHE Basic Audit Log Patterns (BALP) where one fits.

INTENT is a PatientQuery, an OUTCOME that discloses a PrivacyDisclosure.Source; everything else is an AuditEvent without
a profile. What FHIR has no place for stands in `entity.detail`, by the names of the log.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from gateway.audit.export.entry import Entry

_BALP: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit"
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_EVENT: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_REST: Final = "http://hl7.org/fhir/restful-interaction"
_LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_ENTITY: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_PURPOSE: Final = "https://contactpoint.example/fhir/CodeSystem/purpose"
_PSEUDONYM: Final = "https://contactpoint.example/fhir/sid/child-pseudonym"
_NHS: Final = "https://fhir.nhs.uk/Id/nhs-number"
_GATEWAY: Final = {"display": "ContactPoint Gateway"}
# the log keeps no network addresses
_NETWORK: Final = {"address": "not recorded"}
_CREATES: Final = frozenset({"ADMIN", "REVIEW", "SHARD"})


def fhir(entry: Entry) -> dict[str, Any]:
    """Return the AuditEvent of a record."""
    profile, kind, subtype, action = _sort(entry)
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": entry.id,
        "type": kind,
        "subtype": [subtype, {"system": f"{_PURPOSE}/../record-kind", "code": entry.kind}],
        "action": action,
        "recorded": entry.recorded,
        "outcome": "8" if entry.said.get("fault") else "4" if entry.failed else "0",
        "agent": _agents(entry, disclosing=profile is not None and profile.endswith("Source")),
        "source": {
            "site": entry.shard,
            "observer": _GATEWAY,
            "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4"}],
        },
        "entity": _entities(entry),
    }
    if profile is not None:
        event["meta"] = {"profile": [f"{_BALP}.{profile}"]}
    if purpose := entry.said.get("purpose"):
        event["purposeOfEvent"] = [
            {"coding": [{"system": _PURPOSE, "code": purpose}], "text": entry.said.get("reason")}
        ]
    if told := entry.said.get("outcome") or entry.said.get("code"):
        event["outcomeDesc"] = told
    return event


def _sort(entry: Entry) -> tuple[str | None, dict[str, str], dict[str, str], str]:
    if entry.kind == "INTENT" and entry.said.get("subject"):
        return "PatientQuery", _code(_EVENT, "rest"), _code(_REST, "search"), "E"
    if entry.kind == "OUTCOME" and entry.discloses:
        return "PrivacyDisclosure.Source", _code(_DCM, "110106"), _code(_LIFECYCLE, "disclose"), "R"
    if entry.kind in _CREATES:
        return None, _code(_DCM, "110113"), _code(_LIFECYCLE, "originate"), "C"
    return None, _code(_EVENT, "rest"), _code(_REST, "search"), "E"


def _agents(entry: Entry, *, disclosing: bool) -> list[dict[str, Any]]:
    """In a query the client is the source; in a disclosure the gateway is, and the client receives."""
    caller = entry.caller
    client = {"identifier": {"value": str(caller.get("client") or caller.get("command") or "unknown")}}
    ours, theirs = ("110153", "110152") if disclosing else ("110152", "110153")
    user: dict[str, Any] = {
        "type": {"coding": [_code(_PARTICIPATION, "IRCP")]},
        "who": {"identifier": {"system": caller.get("issuer"), "value": entry.person or "unknown"}},
        "requestor": True,
    }
    if caller.get("issuer") is None:
        del user["who"]["identifier"]["system"]
    if caller.get("name"):
        user["name"] = caller["name"]
    if roles := caller.get("roles"):
        user["role"] = [{"text": role} for role in roles]
    if caller.get("registration"):
        user["altId"] = caller["registration"]
    policies = [str(g) for grants in ((entry.said.get("rules") or {}).get("grants") or {}).values() for g in grants]
    if policies:
        user["policy"] = [f"urn:contactpoint:grant:{name}" for name in sorted(set(policies))]
    found = [
        user,
        {"type": {"coding": [_code(_DCM, theirs)]}, "who": client, "requestor": False, "network": _NETWORK},
        {"type": {"coding": [_code(_DCM, ours)]}, "who": _GATEWAY, "requestor": False, "network": _NETWORK},
    ]
    if organisation := caller.get("organisation"):
        found.append({"who": {"identifier": {"value": organisation}}, "requestor": False})
    return found


def _entities(entry: Entry) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if subject := entry.said.get("subject"):
        number = (entry.identified or {}).get("nhsNumber")
        named = {"system": _NHS, "value": number} if number else {"system": _PSEUDONYM, "value": subject}
        found.append(
            {
                "type": _code(_ENTITY, "1"),
                "role": _code(_ROLE, "1"),
                "what": {"type": "Patient", "identifier": named},
            }
        )
    if entry.kind == "INTENT":
        asked = json.dumps({name: entry.said.get(name) for name in ("operation", "fields", "sources")}, sort_keys=True)
        found.append(
            {
                "type": _code(_ENTITY, "2"),
                "role": _code(_ROLE, "24"),
                "query": base64.b64encode(asked.encode()).decode(),
            }
        )
    found.extend(
        {
            "type": _code(_ENTITY, "2"),
            "role": _code(_ROLE, "4"),
            "what": {"identifier": {"value": told["entry"]}},
            "name": (told.get("practitioner") or {}).get("name") or "(not named)",
            "detail": [{"type": "field", "valueString": path} for path in told["fields"]],
        }
        for told in (entry.said.get("disclosed") or {}).get("entries") or ()
    )
    found.append(
        {
            "type": _code("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId"),
            "what": {"identifier": {"value": str(entry.said.get("request") or entry.id)}},
            "detail": _details(entry),
        }
    )
    return found


def _details(entry: Entry) -> list[dict[str, str]]:
    """Return the leaf hash, and the rest of the payload as JSON by its own names; child keys stay encrypted."""
    rest: Mapping[str, Any] = {name: value for name, value in entry.said.items() if value not in (None, [], {})}
    found = [{"type": "leafHash", "valueString": entry.hash.hex()}]
    for name, value in sorted(rest.items()):
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
        if text.strip():
            found.append({"type": name, "valueString": text})
    return found


def _code(system: str, code: str) -> dict[str, str]:
    return {"system": system, "code": code}
