"""Who is asking: what a verified token says of its bearer, and nothing that it does not.

A `Caller` is built by `auth.claims` only, from a token whose signature has been checked. No field has a default:
a caller without roles is written as one without roles.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from schema.vocabulary import Assurance, Purpose, Role


@dataclass(frozen=True, slots=True)
class OnBehalfOf:
    """The practitioner for whom a system asks with its own client credentials."""

    subject: str = field(repr=False)
    name: str | None = field(repr=False)
    role: Role
    registration: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChildLookupDetail:
    """One `authorization_details` entry of type `child_lookup` (RFC 9396): the lookups that the token is meant for."""

    purpose: Purpose | None
    case_reference: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """The verified bearer of a token. Times are seconds since the epoch, as in the token."""

    issuer: str
    subject: str = field(repr=False)
    client_id: str
    organisation: str
    roles: frozenset[Role]
    scopes: frozenset[str]
    assurance: Assurance
    token_id: str = field(repr=False)
    issued_at: int
    expires_at: int
    authenticated_at: int | None
    actor: str | None
    on_behalf_of: OnBehalfOf | None
    registration: str | None = field(repr=False)
    name: str | None = field(repr=False)
    team: str | None  # within the organisation; for the log, never for a decision
    authorization_details: tuple[ChildLookupDetail, ...]

    @property
    def person(self) -> str:
        """The subject that budgets and audit count: the practitioner behind a system, else the token's subject."""
        return self.subject if self.on_behalf_of is None else self.on_behalf_of.subject

    @property
    def effective_roles(self) -> frozenset[Role]:
        """The roles that decide: a system that asks for a practitioner has that practitioner's role and no other."""
        return self.roles if self.on_behalf_of is None else frozenset({self.on_behalf_of.role})

    @property
    def is_machine(self) -> bool:
        """True for client credentials that name no practitioner; such a caller may not look up a child."""
        return self.on_behalf_of is None and self.subject == self.client_id

    @property
    def practitioner_registration(self) -> str | None:
        """The professional registration (`BODY:NUMBER`) of the person who is asking, if the token states one."""
        return self.registration if self.on_behalf_of is None else self.on_behalf_of.registration

    @property
    def practitioner_name(self) -> str | None:
        """The name of the person who is asking, if the token states one; for display, never for a decision."""
        return self.name if self.on_behalf_of is None else self.on_behalf_of.name
