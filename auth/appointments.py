"""The register of appointments, as auth needs it; gateway implements it on the database.

A court, a panel or a MAPPA meeting appoints a person for a child. The body registers it; the person never claims it.
"""

from __future__ import annotations

from datetime import date
from typing import Final, Protocol

from auth.caller import Caller
from schema.identifiers import NHSNumber
from schema.vocabulary import Purpose

APPOINTABLE: Final = frozenset({Purpose.CAFCASS_S42, Purpose.COURT_ORDER, Purpose.PREVENT_CHANNEL, Purpose.MAPPA_S325})
"""The purposes for which somebody is appointed to a case; for every other a registration is refused."""


class AppointmentsUnreadable(Exception):
    """The register cannot be read: nobody may be taken for appointed, and nothing may be disclosed (503)."""


class AppointmentRegister(Protocol):
    """Who is appointed for which child, for which purpose and until when."""

    async def find(self, caller: Caller, nhs_number: NHSNumber, purpose: Purpose, today: date) -> str | None:
        """Return the id of an appointment of this person by their organisation that counts, for child and purpose.

        None: they are not appointed.

        Raises AppointmentsUnreadable.
        """
        ...
