"""The shield register, as auth needs it; gateway implements it on the database.

Any source's shield shields the whole lookup. The register holds keyed pseudonyms, so that a source being down never
lifts a shield.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from auth.caller import Caller
from auth.sharing import Custodian
from auth.standing import Standing
from schema.identifiers import NHSNumber
from schema.vocabulary import AgencyKind, Relationship


class ShieldsUnreadable(Exception):
    """The register cannot be read: nothing may be disclosed (503)."""


class ShieldRegister(Protocol):
    """Which sources shield which children."""

    async def shielding(self, nhs_number: NHSNumber) -> frozenset[str]:
        """Return the ids of the sources whose shield is on record. Raises ShieldsUnreadable."""
        ...


def sees_through(caller: Caller, standing: Standing, shielding: Iterable[Custodian | None]) -> bool:
    """Return whether a shield does not hide the child from this caller.

    Only the relationship PRACTITIONER, the owning authority and OVERRIDE see through. The owner is the local authority
    that set a shield: that a trust holds a restricted patient does not open it to everybody in the trust. Where anybody
    else set one too, it does not see through: else an authority could lift a shield by adding its own. None stands for
    a source that is no longer configured, whose owner nobody knows.
    """
    if not standing.isdisjoint((Relationship.PRACTITIONER, Relationship.OVERRIDE)):
        return True
    owned = [
        source is not None
        and source.kind is AgencyKind.CHILDRENS_SERVICES
        and source.organisation == caller.organisation
        for source in shielding
    ]
    return bool(owned) and all(owned)
