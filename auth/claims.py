"""From the claims of a verified token to a Caller, or a refusal. Pure: no keys, no network, no clock of its own.

Types are exact: nothing is converted, no text is taken for a number, no missing claim is given a value.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from auth.caller import Caller, ChildLookupDetail, OnBehalfOf
from auth.refusals import Reason, Unauthenticated
from schema.vocabulary import ACR, Assurance, Purpose, Role

# RFC 6749, section 3.3: scope-token *( SP scope-token ), scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")
_REGISTRATION = re.compile(r"[A-Z][A-Z0-9]{1,15}:[A-Za-z0-9][A-Za-z0-9/-]{0,31}")
_MAX_TEXT = 255
_MAX_LISTED = 64
_ROLES = {role.value: role for role in Role}
_PURPOSES = {purpose.value: purpose for purpose in Purpose}


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What this resource server asks of every token."""

    audience: str
    max_lifetime_seconds: int
    leeway_seconds: int


def caller_from(
    claims: dict[str, Any],
    rules: ClaimRules,
    clients: frozenset[str] | None,
    organisations: frozenset[str] | None,
    now: float,
) -> Caller:
    """Return the caller whom verified claims describe (RFC 9068, section 4); raise Unauthenticated otherwise.

    `clients` and `organisations` are the issuer's allow-lists, None for any. The issuer was matched before.
    """
    _check_audience(claims.get("aud"), rules.audience)
    issued_at, expires_at = _times(claims, rules, now)
    subject = _text(claims.get("sub"), Reason.SUBJECT)
    token_id = _text(claims.get("jti"), Reason.TOKEN_ID)
    client_id = _text(claims.get("client_id"), Reason.CLIENT)
    if clients is not None and client_id not in clients:
        raise _refused(Reason.CLIENT_NOT_LISTED)
    if "cnf" in claims:
        # sent as a plain bearer token, a bound one may have been stolen: the binding is there to make that useless
        raise _refused(Reason.SENDER_CONSTRAINED)
    roles = _roles(claims)
    actor, on_behalf_of = _delegation(claims, roles)
    if on_behalf_of is not None and subject != client_id:
        # a person's token speaks for that person; only client credentials are used for somebody else
        raise _refused(Reason.DELEGATION)
    organisation = _text(claims.get("org"), Reason.ORGANISATION)
    if organisations is not None and organisation not in organisations:
        # one school's identity provider must not be able to speak for the police
        raise _refused(Reason.ORGANISATION)
    return Caller(
        issuer=claims["iss"],
        subject=subject,
        client_id=client_id,
        organisation=organisation,
        roles=roles,
        scopes=_scopes(claims.get("scope")),
        assurance=_assurance(claims),
        token_id=token_id,
        issued_at=issued_at,
        expires_at=expires_at,
        authenticated_at=int(_number(claims["auth_time"])) if "auth_time" in claims else None,
        actor=actor,
        on_behalf_of=on_behalf_of,
        registration=_registration(claims.get("registration"), Reason.PERSON),
        name=_name(claims.get("name"), Reason.PERSON),
        team=_name(claims.get("team"), Reason.PERSON),
        authorization_details=_authorization_details(claims),
    )


def _refused(reason: Reason) -> Unauthenticated:
    return Unauthenticated("invalid_token", reason)


def _text(value: object, reason: Reason) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or not value.isprintable() or not value.strip():
        raise _refused(reason)
    return value


def _check_audience(audience: object, expected: str) -> None:
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or not all(isinstance(entry, str) for entry in audiences):
        raise _refused(Reason.AUDIENCE)
    if expected not in audiences:
        raise _refused(Reason.AUDIENCE)


def _number(value: object) -> float:
    # bool is an int in Python; beyond 2**53 a NumericDate is no second that anybody meant
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1 << 53:
        raise _refused(Reason.TIME_MALFORMED)
    return value


def _times(claims: dict[str, Any], rules: ClaimRules, now: float) -> tuple[int, int]:
    issued, expires = _number(claims.get("iat")), _number(claims.get("exp"))
    if now >= expires + rules.leeway_seconds:
        raise _refused(Reason.EXPIRED)
    if issued > now + rules.leeway_seconds:
        raise _refused(Reason.NOT_YET_VALID)
    if "nbf" in claims and _number(claims["nbf"]) > now + rules.leeway_seconds:
        raise _refused(Reason.NOT_YET_VALID)
    if not 0 < expires - issued <= rules.max_lifetime_seconds:
        raise _refused(Reason.LIFETIME)
    return math.floor(issued), math.floor(expires)


def _scopes(scope: object) -> frozenset[str]:
    if not isinstance(scope, str) or not _SCOPE.fullmatch(scope):
        raise _refused(Reason.SCOPE)
    return frozenset(scope.split(" "))


def _roles(claims: dict[str, Any]) -> frozenset[Role]:
    """Return the roles that we know; an absent claim is no role, and an unknown word opens nothing."""
    roles = claims.get("roles", [])
    if not isinstance(roles, list) or len(roles) > _MAX_LISTED or not all(isinstance(role, str) for role in roles):
        raise _refused(Reason.ROLES)
    return frozenset(_ROLES[role] for role in roles if role in _ROLES)


def _assurance(claims: dict[str, Any]) -> Assurance:
    acr = claims.get("acr", "")
    if not isinstance(acr, str):
        raise _refused(Reason.ASSURANCE)
    return ACR.get(acr, Assurance.STANDARD)


def _name(value: object, reason: Reason) -> str | None:
    return None if value is None else _text(value, reason)


def _registration(value: object, reason: Reason) -> str | None:
    """Return `BODY:NUMBER`, or None; a text of another form is dropped, since it can prove no registration."""
    if value is None:
        return None
    text = _text(value, reason)
    return text if _REGISTRATION.fullmatch(text) else None


def _delegation(claims: dict[str, Any], roles: frozenset[Role]) -> tuple[str | None, OnBehalfOf | None]:
    """Return the acting system (RFC 8693, section 4.1) and the practitioner behind client credentials."""
    actor: str | None = None
    if "act" in claims:
        act = claims["act"]
        if not isinstance(act, dict):
            raise _refused(Reason.DELEGATION)
        actor = _text(act.get("sub"), Reason.DELEGATION)
    if "on_behalf_of" not in claims:
        return actor, None
    named = claims["on_behalf_of"]
    # with both forms the token would name two persons, and budgets and the log could count only one of them
    if actor is not None or not isinstance(named, dict):
        raise _refused(Reason.DELEGATION)
    role = named.get("role")
    if not isinstance(role, str) or role not in _ROLES or _ROLES[role] not in roles:
        raise _refused(Reason.DELEGATION)
    return None, OnBehalfOf(
        subject=_text(named.get("sub"), Reason.DELEGATION),
        name=_name(named.get("name"), Reason.DELEGATION),
        role=_ROLES[role],
        registration=_registration(named.get("registration"), Reason.DELEGATION),
    )


def _authorization_details(claims: dict[str, Any]) -> tuple[ChildLookupDetail, ...]:
    """Return the entries of type `child_lookup`; entries of other types are for other resource servers."""
    details = claims.get("authorization_details", [])
    if not isinstance(details, list) or len(details) > _MAX_LISTED:
        raise _refused(Reason.AUTHORIZATION_DETAILS)
    found = []
    for detail in details:
        if not isinstance(detail, dict) or not isinstance(detail.get("type"), str):
            raise _refused(Reason.AUTHORIZATION_DETAILS)
        if detail["type"] != "child_lookup":
            continue
        purpose, case_reference = detail.get("purpose"), detail.get("caseReference")
        # a limit that we cannot read must not become no limit
        if purpose is not None and (not isinstance(purpose, str) or purpose not in _PURPOSES):
            raise _refused(Reason.AUTHORIZATION_DETAILS)
        found.append(
            ChildLookupDetail(
                purpose=None if purpose is None else _PURPOSES[purpose],
                case_reference=None if case_reference is None else _text(case_reference, Reason.AUTHORIZATION_DETAILS),
            )
        )
    return tuple(found)
