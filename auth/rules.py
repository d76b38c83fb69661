"""The rules of "may this caller, for this purpose, look up a child at all?", each small enough to read aloud."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from auth.caller import Caller
from auth.decision import Decision, Deny, permit
from auth.entitlements import Entitlements
from schema.made_quickly import made_quickly
from schema.vocabulary import Assurance, Purpose, Relationship, Scope

OVERRIDE_SIGN_IN_SECONDS: Final = 900
"""How old a sign-in may be for break-glass: `max_age` of the challenge (RFC 9470, section 3)."""

_CLOCKS_DIFFER_SECONDS: Final = 30


class Refusal(StrEnum):
    """Why a lookup is refused; goes to the log. Callers get FORBIDDEN, or a challenge to sign in again."""

    MISSING_SCOPE = "MISSING_SCOPE"
    NO_PRACTITIONER = "NO_PRACTITIONER"
    NOTHING_GRANTED = "NOTHING_GRANTED"
    NOT_APPOINTED = "NOT_APPOINTED"
    STEP_UP_REQUIRED = "STEP_UP_REQUIRED"
    SIGN_IN_TOO_OLD = "SIGN_IN_TOO_OLD"
    PREVIOUS_NOT_GRANTED = "PREVIOUS_NOT_GRANTED"
    OTHER_PURPOSE = "OTHER_PURPOSE"
    OVERRIDE_NOT_GRANTED = "OVERRIDE_NOT_GRANTED"
    REVIEW_NOT_ACCEPTED = "REVIEW_NOT_ACCEPTED"


@made_quickly
@dataclass(frozen=True, slots=True)
class LookupRequest:
    """What the policy judges: never the child."""

    caller: Caller
    purpose: Purpose
    case_reference: str | None
    entitlements: Entitlements
    previous_alone: bool  # the operation asks for ended entries and no others
    override: bool
    accepts_review: bool
    now: float  # seconds since the epoch


class OfACaller(Protocol):
    """Anything that some caller asks for."""

    @property
    def caller(self) -> Caller:
        """Who asks."""
        ...


@dataclass(frozen=True, slots=True)
class HasScope:
    """The token carries the scope."""

    scope: Scope

    def decide(self, asked: OfACaller) -> Decision:
        """Deny MISSING_SCOPE without it."""
        if self.scope in asked.caller.scopes:
            return permit(f"has-scope {self.scope}")
        return Deny(f"has-scope {self.scope}", Refusal.MISSING_SCOPE)


@dataclass(frozen=True, slots=True)
class NamesAPractitioner:
    """A machine may ask only on behalf of a named practitioner."""

    def decide(self, asked: LookupRequest) -> Decision:
        """Deny NO_PRACTITIONER for client credentials that name nobody."""
        if asked.caller.is_machine:
            return Deny("names-a-practitioner", Refusal.NO_PRACTITIONER)
        return permit("names-a-practitioner")


@dataclass(frozen=True, slots=True)
class TokenIsForThisPurpose:
    """A token that was issued for particular lookups (RFC 9396 `child_lookup`) serves no other."""

    def decide(self, asked: LookupRequest) -> Decision:
        """Deny OTHER_PURPOSE unless one detail fits purpose and case reference, where it names them."""
        details = asked.caller.authorization_details
        if not details or any(
            d.purpose in (None, asked.purpose) and d.case_reference in (None, asked.case_reference) for d in details
        ):
            return permit("token-is-for-this-purpose")
        return Deny("token-is-for-this-purpose", Refusal.OTHER_PURPOSE)


@dataclass(frozen=True, slots=True)
class OverrideIsJustified:
    """Break-glass needs its own scope, a strong sign-in and the acceptance of review."""

    def decide(self, asked: LookupRequest) -> Decision:
        """Permit an ordinary lookup; deny an override that lacks one of the three."""
        name = "override-is-justified"
        if not asked.override:
            return permit(name)
        if Scope.OVERRIDE not in asked.caller.scopes:
            return Deny(name, Refusal.OVERRIDE_NOT_GRANTED)
        if asked.caller.assurance is not Assurance.STRONG:
            return Deny(name, Refusal.STEP_UP_REQUIRED)
        if not asked.accepts_review:
            return Deny(name, Refusal.REVIEW_NOT_ACCEPTED)
        return permit(name)


@dataclass(frozen=True, slots=True)
class SignedInLately:
    """Break-glass needs a sign-in (`auth_time`) of the last minutes: nobody else is at the keyboard meanwhile."""

    max_age_seconds: int

    def decide(self, asked: LookupRequest) -> Decision:
        """Permit an ordinary lookup; deny SIGN_IN_TOO_OLD if it is too long ago, not stated, or yet to come."""
        since = asked.caller.authenticated_at
        if not asked.override or (
            since is not None and since - _CLOCKS_DIFFER_SECONDS <= asked.now <= since + self.max_age_seconds
        ):
            return permit(f"signed-in-lately {self.max_age_seconds}")
        return Deny(f"signed-in-lately {self.max_age_seconds}", Refusal.SIGN_IN_TOO_OLD)


@dataclass(frozen=True, slots=True)
class SomethingIsOpen:
    """Some custodian opens the default answer to this caller for this purpose."""

    def decide(self, asked: LookupRequest) -> Decision:
        """Deny STEP_UP_REQUIRED if a stronger sign-in would open it, NOT_APPOINTED if an appointment might.

        Deny NOTHING_GRANTED otherwise. Where there is no custodian at all, nobody is asked and nothing is refused to
        the caller in particular.
        """
        if asked.entitlements.opens_default or not asked.entitlements.by_custodian:
            return permit("something-is-open")
        if asked.entitlements.default_at_strong():
            return Deny("something-is-open", Refusal.STEP_UP_REQUIRED)
        if asked.entitlements.may_be_appointed and Relationship.APPOINTED not in asked.entitlements.floor:
            return Deny("something-is-open", Refusal.NOT_APPOINTED)
        return Deny("something-is-open", Refusal.NOTHING_GRANTED)


@dataclass(frozen=True, slots=True)
class PreviousAloneIsGranted:
    """Who asks for ended entries alone must hold their grant: an empty list would read as "never"."""

    previous_path: str

    def decide(self, asked: LookupRequest) -> Decision:
        """Deny PREVIOUS_NOT_GRANTED when nothing but PREVIOUS is asked for and nobody opens it."""
        if asked.previous_alone and asked.entitlements.withheld(self.previous_path):
            return Deny("previous-alone-is-granted", Refusal.PREVIOUS_NOT_GRANTED)
        return permit("previous-alone-is-granted")
