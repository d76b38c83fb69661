"""Consent as a source records it: from when, until when, and whether it was withdrawn. It is never inferred."""

from __future__ import annotations

from datetime import date

import msgspec


class Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One recorded consent. What is not stated is not relied on: without an end it carries nothing."""

    given_on: date
    until: date | None
    withdrawn_on: date | None

    def holds_on(self, day: date) -> bool:
        """Return whether something may be told on this day because of it; a withdrawal ends it, whatever its day."""
        if self.withdrawn_on is not None or self.until is None:
            return False
        return self.given_on <= day <= self.until
