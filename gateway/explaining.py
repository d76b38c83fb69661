"""Why one field would be told of an imagined child, or not: every rule that a lookup applies, asked one after another.

The rules are the lookup's own objects, and the last word is the door's: nothing is decided here. An imagined child is
what one custodian would say of it; no agency is asked and no child is looked up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from auth.access_matrix import Asked, Verdict, explain
from auth.caller import Caller
from auth.disclosure import SourceFacts, Viewer, disclose, why_held_back
from auth.entitlements import Entitlement, Entitlements, entitle
from auth.paths import INVOLVEMENTS, LINKED_ADULT, PRACTITIONER, PREVIOUS, SCOPES, SENSITIVE
from auth.policy import LOOK_UP_A_CHILD
from auth.rules import LookupRequest
from auth.sharing import AgreementSet, Custodian, custodian_kind
from auth.shielding import sees_through
from gateway.federation.corroboration import corroborated
from schema import types
from schema.access_types import ChildState
from schema.identifiers import CRN, NHSNumber
from schema.records import AdultRef, Agency, Answered, ChildRef, Contact, IdentityClaim, Involvement, Practitioner
from schema.sections import SECTIONS, words_of
from schema.vocabulary import (
    AgencyKind,
    ContactMode,
    DisclosureBasis,
    InvolvementRelationship,
    InvolvementStatus,
    RefusalReason,
    Scope,
    Sensitivity,
)

_CHILD, _ADULT = ChildRef(NHSNumber("9990000018")), AdultRef(CRN("X123456"))
_FAMILY, _ANOTHER_FAMILY = "Amis", "Brook"
_ABOUT_ADULTS = frozenset({AgencyKind.PROBATION, AgencyKind.PRISON})
_SHIELDED = frozenset({ChildState.SHIELDED, ChildState.SHIELDED_BY_OWN_AUTHORITY})
_ELSEWHERE = "another-organisation"

_ROWS: Mapping[ChildState, Mapping[str, Any]] = {
    ChildState.SENSITIVE: {"sensitivity": Sensitivity.SENSITIVE},
    ChildState.SENSITIVE_WITH_CONSENT: {"sensitivity": Sensitivity.SENSITIVE, "basis": DisclosureBasis.CONSENT},
    ChildState.SENSITIVE_CONSENT_ENDED: {"sensitivity": Sensitivity.SENSITIVE, "basis": DisclosureBasis.CONSENT},
    ChildState.SIGNIFICANT_HARM: {"sensitivity": Sensitivity.SENSITIVE, "basis": DisclosureBasis.SIGNIFICANT_HARM},
    ChildState.UNKNOWN_SENSITIVITY: {"sensitivity": Sensitivity.UNKNOWN},
    ChildState.LINKED_ADULT: {"relationship": InvolvementRelationship.LINKED_ADULT, "identity": None},
    ChildState.PREVIOUS: {"status": InvolvementStatus.PREVIOUS},
    ChildState.REFUSED: {"refusal": RefusalReason.MORE_DETRIMENTAL},
    ChildState.UNBORN: {"relationship": InvolvementRelationship.UNBORN},
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """`open`: a grant opens the field; `told`: it would be told of this child; and every verdict, in order."""

    open: bool
    told: bool
    verdicts: tuple[Verdict, ...]


def explain_child(
    agreements: AgreementSet,
    asked: Asked,
    state: ChildState,
    today: date,
    *,
    now: float,
    kinds: Mapping[str, AgencyKind],
    scopes: frozenset[str] | None = None,
    machine: bool = False,
) -> Explanation:
    """Return why a field would be told of such a child. `scopes` None: a token with every scope.

    `kinds` says of which kind each connector is; one whose kind is not known is judged as of kind OTHER.
    """
    caller = _caller(asked, frozenset(Scope) if scopes is None else scopes, now, machine=machine)
    custodians = {name: _custodian(name, kinds) for name in sorted({a.custodian for a in agreements.agreements})}
    custodian = custodians.setdefault(asked.custodian, _custodian(asked.custodian, kinds))
    entitlements = entitle(agreements, custodians.values(), caller, asked.purpose, today, floor=asked.floor)
    entitlement = entitlements.by_custodian[custodian.id]
    scope = SCOPES[asked.path]
    policy = list(_policy(asked, caller, entitlements, now))
    is_open, conditions = explain(agreements, asked, today, kinds)
    of_child, told = _of_child(asked, state, caller, entitlements, entitlement, today)
    token = Verdict("token", scope in caller.scopes, f"scope {scope} is needed")
    asks = Verdict("source", entitlement.not_asked is None, f"is it asked: {entitlement.not_asked or 'yes'}")
    permitted = all(verdict.holds for verdict in policy)
    return Explanation(is_open and token.holds, permitted and told, (token, *policy, *conditions, asks, *of_child))


def _caller(asked: Asked, scopes: frozenset[str], now: float, *, machine: bool) -> Caller:
    return Caller(
        issuer="explained",
        subject="explained" if machine else "somebody",
        client_id="explained",
        organisation=asked.organisation,
        roles=frozenset({asked.role}),
        scopes=scopes,
        assurance=asked.assurance,
        token_id="explained",  # noqa: S106 - not a token, and no password
        issued_at=int(now),
        expires_at=int(now) + 900,
        authenticated_at=int(now),
        actor=None,
        on_behalf_of=None,
        registration=None,
        name=None,
        team=None,
        authorization_details=(),
    )


def _custodian(name: str, kinds: Mapping[str, AgencyKind]) -> Custodian:
    kind = custodian_kind(name, kinds) or AgencyKind.OTHER
    return Custodian(name, kind, _ELSEWHERE, frozenset(SCOPES), about_adults=kind in _ABOUT_ADULTS)


def _policy(asked: Asked, caller: Caller, entitlements: Entitlements, now: float) -> Iterator[Verdict]:
    """Yield the verdict of every rule; a lookup stops at the first that refuses."""
    request = LookupRequest(
        caller=caller,
        purpose=asked.purpose,
        case_reference=None,
        entitlements=entitlements,
        previous_alone=False,
        override=asked.override,
        accepts_review=asked.override,
        now=now,
    )
    for rule in LOOK_UP_A_CHILD.rules:
        decision = rule.decide(request)
        yield Verdict(f"policy {decision.rule}", bool(decision), getattr(decision, "reason", "permits"))


def _of_child(
    asked: Asked,
    state: ChildState,
    caller: Caller,
    entitlements: Entitlements,
    entitlement: Entitlement,
    today: date,
) -> tuple[list[Verdict], bool]:
    """Return the verdicts that depend on the child, and whether the door lets the field through."""
    born = today - timedelta(days=3650)
    facts = _facts(asked, state, entitlement.custodian, born, today)
    known = corroborated(facts, entitlements, born, _FAMILY, today)
    verdicts = [
        Verdict(
            "corroboration", known, "a name and a date of birth that agree" if known else "nothing proves who is meant"
        )
    ]
    own = state is ChildState.SHIELDED_BY_OWN_AUTHORITY
    owner = Custodian(
        "owner", AgencyKind.CHILDRENS_SERVICES, caller.organisation if own else _ELSEWHERE, frozenset(), False
    )
    seen = state not in _SHIELDED or sees_through(caller, asked.standing, [owner])
    shielded = "by the caller's own organisation" if own else "by another authority" if state in _SHIELDED else "no"
    verdicts.append(Verdict("shield", seen, f"shielded: {shielded}"))
    for fact in facts:
        for row in fact.answer.involvements:
            why = why_held_back(row, entitlement, asked.standing, today)
            verdicts.append(Verdict("row", why is None, f"held back: {why}" if why else "may be shown"))
    viewer = Viewer(caller, lambda custodian, local_id: local_id)
    disclosed = disclose(facts, entitlements, asked.standing, viewer, today) if known and seen else None
    told = disclosed is not None and _tells(asked.path, disclosed.rows, disclosed.sections)
    verdicts.append(Verdict("door", told, "tells the field" if told else "does not tell the field"))
    return verdicts, told


def _facts(asked: Asked, state: ChildState, custodian: Custodian, born: date, today: date) -> list[SourceFacts]:
    """Return what the custodian says of the imagined child, and of an adult where it holds adults."""
    agency = Agency(custodian.id, custodian.id, custodian.kind)
    broker = Agency(
        "broker", "The broker", AgencyKind.CHILDRENS_SERVICES, None, Contact(ContactMode.BROKERED, "01632 960900")
    )
    name = _ANOTHER_FAMILY if state is ChildState.UNCORROBORATED else _FAMILY
    claim = IdentityClaim(born, (name,))
    trace = None if state is ChildState.UNKNOWN else claim
    about = Answered(
        subject=_CHILD, involvements=(), trace=trace, shielded=False, linked_adults=(), sections={}, as_of=None
    )
    held: dict[str, Any] = {}
    if state is not ChildState.UNKNOWN and custodian.about_adults is (state is ChildState.LINKED_ADULT):
        held = {"involvements": (_row(state, claim, today),), "sections": _sections(asked.path, agency)}
    elif state is ChildState.LINKED_ADULT:
        held = {"involvements": (_row(state, claim, today),)}
    if not custodian.about_adults:
        return [SourceFacts(custodian, agency, broker, dataclasses.replace(about, **held))]
    of_adult = dataclasses.replace(about, subject=_ADULT, trace=None, **held)
    return [SourceFacts(custodian, agency, broker, answer) for answer in (about, of_adult)]


def _row(state: ChildState, claim: IdentityClaim, today: date) -> Involvement:
    ended = state is ChildState.PREVIOUS
    consent = {ChildState.SENSITIVE_WITH_CONSENT: 30, ChildState.SENSITIVE_CONSENT_ENDED: -1}.get(state)
    usual: dict[str, Any] = {
        "local_id": "row",
        "practitioner": Practitioner("Somebody"),
        "role": None,
        "team": None,
        "service": None,
        "contact_mode": ContactMode.DIRECT,
        "expected_response": None,
        "status": InvolvementStatus.CURRENT,
        "started_on": None,
        "ended_on": today - timedelta(days=1) if ended else None,
        "lead": False,
        "relationship": InvolvementRelationship.CHILD,
        "last_confirmed_at": None,
        "sensitivity": Sensitivity.STANDARD,
        "basis": None,
        "basis_until": today + timedelta(days=consent) if consent else None,
        "refusal": None,
        "identity": claim,
    }
    return Involvement(**(usual | dict(_ROWS.get(state, {}))))


def _sections(path: str, agency: Agency) -> Mapping[type, Any]:
    """Return the section that holds the path, with something in that field."""
    for declaration in SECTIONS.values():
        for field in declaration.fields:
            if field.path == path:
                value: Any = _item(field.item, agency) if field.item is not None else "something"
                return {declaration.cls: declaration.cls(**{field.name: value})}
    return {}


def _item(item: type, agency: Agency) -> tuple[object]:
    """Return one item whose every text is a word that its field may have."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(item):
        words = words_of(field)
        values[field.name] = words[0] if words else "SOMETHING" if str(field.type) == "str" else None
    return (item(**(values | {"agency": agency})),)


def _tells(path: str, rows: tuple[types.Involvement, ...], sections: Mapping[str, Any]) -> bool:
    of_child = [row for row in rows if row.relationship is not InvolvementRelationship.LINKED_ADULT]
    if path == INVOLVEMENTS:
        return bool(of_child)
    if path == PRACTITIONER:
        return any(row.practitioner is not None for row in rows)
    if path == PREVIOUS:
        return any(row.status is InvolvementStatus.PREVIOUS for row in of_child)
    if path == LINKED_ADULT:
        return len(of_child) < len(rows)
    if path == SENSITIVE:
        return any(row.contact.mode is ContactMode.BROKERED for row in rows)
    # a section is there only if its field is: the imagined custodian holds nothing else of it
    return bool(sections)
