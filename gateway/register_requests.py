"""One request to a register: who sent it, in the log's words, and how it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auth.caller import Caller
from auth.decision import Deny
from gateway.audit.keys import AuditKeys
from gateway.lookup_record import who_asks


class NotPermitted(Exception):
    """The caller may not do this. Callers get FORBIDDEN, whatever the cause; rule and reason go to the log."""

    def __init__(self, decision: Deny) -> None:
        super().__init__(decision.reason)
        self.decision = decision


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    """Who asks something of a register."""

    caller: Caller
    request_id: str
    document: Mapping[str, Any]  # as `gateway.lookup_record.document_of` gives it

    def words(self) -> dict[str, Any]:
        """Return what every record of this request says of the one who sent it."""
        return who_asks(self.caller, self.request_id, self.document)

    def person(self, keys: AuditKeys) -> str:
        """Return the pseudonym of the person, the same as in budgets."""
        return keys.opaque_id("person", self.caller.issuer, self.caller.person)
