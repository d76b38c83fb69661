"""What the health service knows of a fictional child, as FHIR R4 resources with UK Core identifiers."""

from __future__ import annotations

from datetime import date
from typing import Any

from gateway.demo.people import CareTeam, Child, Inclusion, NameUse, PersonName, SafeguardingFlag, Worker
from gateway.demo.staff import AUTHORITY_NAMES, AUTHORITY_ODS, COUNCILS, HEALTH_TRUST

Resource = dict[str, Any]

NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
ODS_CODE = "https://fhir.nhs.uk/Id/ods-organization-code"
NMC_NUMBER = "https://fhir.hl7.org.uk/Id/nmc-number"
SDS_USER = "https://fhir.nhs.uk/Id/sds-user-id"
SDS_ROLE_PROFILE = "https://fhir.nhs.uk/Id/sds-role-profile-id"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
SNOMED = "http://snomed.info/sct"
DISCLOSURE_BASIS = "https://contactpoint.example/fhir/disclosure-basis"
BASIS_UNTIL = f"{DISCLOSURE_BASIS}-until"
BASIS_WITHDRAWN = f"{DISCLOSURE_BASIS}-withdrawn"
OUT_OF_HOURS = "https://contactpoint.example/fhir/out-of-hours"
FLAG_CODE = "https://contactpoint.example/fhir/child-protection-flag"

_USES = {NameUse.CURRENT: "usual", NameUse.FORMER: "old", NameUse.ALIAS: "temp"}
_ROLE_CODES = {"Health visitor": "224561008"}
_FLAG_NAMES = {
    "CPP": "Child protection plan",
    "LAC": "Looked after child",
    "UCPP": "Unborn child protection plan",
}


def operation_outcome(code: str, issue: str) -> Resource:
    """Return an OperationOutcome of the Spine's form."""
    system = "https://fhir.nhs.uk/R4/CodeSystem/Spine-ErrorOrWarningCode"
    coding = {"system": system, "version": "1", "code": code, "display": code.replace("_", " ").capitalize()}
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": issue, "details": {"coding": [coding]}}],
    }


def patient(child: Child) -> Resource:
    """Return the trace; a restricted patient's address and practice are left out, as PDS does."""
    health = child.health
    if health is None:
        raise ValueError("the child is not registered")
    restricted = health.confidentiality != "U"
    resource: Resource = {
        "resourceType": "Patient",
        "id": child.nhs_number,
        "identifier": [
            {
                "system": NHS_NUMBER,
                "value": child.nhs_number,
                "extension": [
                    {
                        "url": "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus",
                        "valueCodeableConcept": {
                            "coding": [
                                {
                                    "system": "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatus",
                                    "version": "1.0.0",
                                    "code": "01",
                                    "display": "Number present and verified",
                                }
                            ]
                        },
                    }
                ],
            }
        ],
        "meta": {
            "versionId": "2",
            "security": [
                {
                    "system": CONFIDENTIALITY,
                    "code": health.confidentiality,
                    "display": "restricted" if restricted else "unrestricted",
                }
            ],
        },
        "name": [_name(name, number) for number, name in enumerate(child.names, 1)],
        "gender": {"F": "female", "M": "male"}.get(child.sex, "unknown"),
        "birthDate": child.date_of_birth.isoformat(),
    }
    if child.birth_order is not None:
        resource["multipleBirthInteger"] = child.birth_order
    if child.deceased_on is not None:
        resource["deceasedDateTime"] = f"{child.deceased_on.isoformat()}T00:00:00+00:00"
    if not restricted and health.practice is not None:
        identifier = {"system": ODS_CODE, "value": health.practice, "period": _period(child.date_of_birth, None)}
        resource["generalPractitioner"] = [{"id": "254406A3", "type": "Organization", "identifier": identifier}]
    if not restricted and child.postcode is not None:
        resource["address"] = [
            {
                "id": "456",
                "use": "home",
                "period": _period(child.date_of_birth, None),
                "line": ["1 Fictional Street", "Northshire"],
                "postalCode": child.postcode,
            }
        ]
    return resource


def care_team(row: CareTeam, subject: str) -> Resource:
    """Return a CareTeam; its practitioners are references to PractitionerRole."""
    resource: Resource = {
        "resourceType": "CareTeam",
        "id": row.id,
        "status": "inactive" if row.ended_on else "active",
        "name": row.team.name,
        "subject": _subject(subject),
        "period": _period(row.started_on, row.ended_on),
        "managingOrganization": [_organisation(row.organisation)],
        "telecom": _team_telecom(row),
    }
    if row.practitioners:
        resource["participant"] = [
            {
                "role": [_role(worker)],
                "member": {"reference": f"PractitionerRole/{role_id(worker)}"},
                "onBehalfOf": _organisation(row.organisation),
            }
            for worker in row.practitioners
        ]
    return _with_labels(resource, row)


def episode(row: CareTeam, subject: str) -> Resource:
    """Return the EpisodeOfCare of a care team."""
    resource: Resource = {
        "resourceType": "EpisodeOfCare",
        "id": f"ep-{row.id.removeprefix('ct-')}",
        "status": "finished" if row.ended_on else "active",
        "type": [{"text": row.team.name}],
        "patient": _subject(subject),
        "period": _period(row.started_on, row.ended_on),
        "managingOrganization": _organisation(row.organisation),
        "team": [{"reference": f"CareTeam/{row.id}"}],
    }
    if row.practitioners:
        worker = row.practitioners[0]
        resource["careManager"] = {"reference": f"Practitioner/{practitioner_id(worker)}", "display": worker.name}
    return _with_labels(resource, row)


def role_id(worker: Worker) -> str:
    return f"pr-{worker.code.lower()}"


def practitioner_id(worker: Worker) -> str:
    return f"p-{worker.code.lower()}"


def practitioner(worker: Worker) -> Resource:
    """Return who the worker is, with the number of their professional register where they have one."""
    identifiers = [{"system": SDS_USER, "value": f"9{sum(worker.code.encode()):011d}"}]
    if worker.registration is not None:
        identifiers.append({"system": NMC_NUMBER, "value": worker.registration})
    name = {"use": "usual", "text": worker.name, "family": worker.family, "given": [worker.given]}
    return {
        "resourceType": "Practitioner",
        "id": practitioner_id(worker),
        "active": True,
        "identifier": identifiers,
        "name": [name],
    }


def practitioner_role(worker: Worker, organisation: str, inclusion: Inclusion) -> Resource:
    """Return in what capacity the worker works; CONTAINED carries the Practitioner and Organization inside."""
    resource: Resource = {
        "resourceType": "PractitionerRole",
        "id": role_id(worker),
        "active": True,
        "identifier": [{"system": SDS_ROLE_PROFILE, "value": f"1{sum(worker.code.encode()):011d}"}],
        "practitioner": {"reference": f"Practitioner/{practitioner_id(worker)}", "display": worker.name},
        "organization": _organisation(organisation),
        "code": [_role(worker)],
        "telecom": [
            {"system": "phone", "value": worker.phone, "use": "work"},
            {"system": "email", "value": worker.email, "use": "work"},
        ],
    }
    if inclusion is Inclusion.CONTAINED:
        inside = {**practitioner(worker), "id": "practitioner"}
        body = {"resourceType": "Organization", "id": "organization", "name": HEALTH_TRUST}
        body["identifier"] = [{"system": ODS_CODE, "value": organisation}]  # type: ignore[assignment]
        resource["contained"] = [inside, body]
        resource["practitioner"] = {"reference": "#practitioner"}
        resource["organization"] = {"reference": "#organization"}
    return resource


def flag(row: SafeguardingFlag, subject: str) -> Resource:
    """Return what an authority has told the health service about the child; the authority is contained."""
    council = COUNCILS[row.authority]
    return {
        "resourceType": "Flag",
        "id": row.id,
        "contained": [
            {
                "resourceType": "Organization",
                "id": "authority",
                "identifier": [{"system": ODS_CODE, "value": AUTHORITY_ODS[row.authority]}],
                "name": AUTHORITY_NAMES[row.authority],
                "telecom": [
                    {"system": "phone", "value": council.assessment.phone, "use": "work"},
                    _out_of_hours(council.assessment.out_of_hours or council.assessment.phone),
                ],
            }
        ],
        "status": "inactive" if row.ended_on else "active",
        "category": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/flag-category", "code": "safety"}]},
        ],
        "code": {"coding": [{"system": FLAG_CODE, "code": row.code, "display": _FLAG_NAMES[row.code]}]},
        "subject": _subject(subject),
        "period": _period(row.started_on, row.ended_on),
        "author": {"reference": "#authority", "display": AUTHORITY_NAMES[row.authority]},
    }


def _with_labels(resource: Resource, row: CareTeam) -> Resource:
    if row.labels:
        resource["meta"] = {"security": [{"system": _label_system(label), "code": label} for label in row.labels]}
    if row.basis is not None:
        extension: Resource = {"url": DISCLOSURE_BASIS, "valueCode": row.basis.code}
        about = [(BASIS_UNTIL, row.basis.until), (BASIS_WITHDRAWN, row.basis.withdrawn_on)]
        stated = [{"url": url, "valueDate": day.isoformat()} for url, day in about if day is not None]
        if stated:
            # an extension has a value or extensions of its own, never both; those of its value stand beside it
            extension["_valueCode"] = {"extension": stated}
        resource["extension"] = [extension]
    return resource


def _label_system(label: str) -> str:
    return CONFIDENTIALITY if label in {"R", "V", "N"} else ACT_CODE


def _team_telecom(row: CareTeam) -> list[Resource]:
    telecom: list[Resource] = [
        {"system": "phone", "value": row.team.phone, "use": "work", "rank": 1},
        {"system": "email", "value": row.team.email, "use": "work"},
    ]
    if row.team.out_of_hours is not None:
        telecom.append(_out_of_hours(row.team.out_of_hours))
    return telecom


def _out_of_hours(number: str) -> Resource:
    return {
        "system": "phone",
        "value": number,
        "use": "work",
        "rank": 2,
        "extension": [{"url": OUT_OF_HOURS, "valueBoolean": True}],
    }


def _role(worker: Worker) -> Resource:
    code = _ROLE_CODES.get(worker.role)
    concept: Resource = {"text": worker.role}
    if code is not None:
        concept["coding"] = [{"system": SNOMED, "code": code, "display": worker.role}]
    return concept


def _organisation(code: str) -> Resource:
    return {"identifier": {"system": ODS_CODE, "value": code}, "display": HEALTH_TRUST}


def _subject(nhs_number: str) -> Resource:
    return {"type": "Patient", "identifier": {"system": NHS_NUMBER, "value": nhs_number}}


def _name(name: PersonName, number: int) -> Resource:
    return {
        "id": str(number),
        "use": _USES[name.use],
        "period": _period(name.since, name.until),
        "given": list(name.given),
        "family": name.family,
    }


def _period(start: date, end: date | None) -> Resource:
    period = {"start": start.isoformat()}
    if end is not None:
        period["end"] = end.isoformat()
    return period
