"""Step 4 of a lookup: who is charged for it, and what they are told whose budget is spent."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NoReturn

from auth.caller import Caller
from auth.sharing import AgreementSet
from gateway.audit.charging import Passed
from gateway.audit.errors import AuditError
from gateway.audit.keys import AuditKeys
from gateway.budgets import Budgets, Charge, Spent
from gateway.errors import AuditUnavailable, RateLimited
from gateway.front.repeated_refusals import RepeatedRefusals
from gateway.lookup_record import LookupRecord
from gateway.remembered import Remembered


@dataclass(frozen=True)
class LookupBudgets:
    """The budgets as a lookup meets them."""

    budgets: Budgets
    refusals: RepeatedRefusals
    keys: AuditKeys
    principals: Remembered[Hashable, tuple[str, str, str]] = field(default_factory=lambda: Remembered(4096), repr=False)

    async def charge(self, record: LookupRecord, agreements: AgreementSet) -> Charge:
        """Return what this lookup is charged, to be taken in the transaction of its first record.

        Raises RateLimited for a budget that is known to be spent, and AuditUnavailable if that cannot be recorded.
        """
        charge = self.budgets.charge(self._principals(record.caller, override=record.access.justification is not None))
        if isinstance(charge, Spent):
            await self._refuse(charge, record, agreements)
        return charge

    async def refuse(self, passed: Passed, record: LookupRecord, agreements: AgreementSet) -> NoReturn:
        """Refuse a lookup that would have passed a limit: nothing was taken. Raises as `charge` does."""
        await self._refuse(self.budgets.refused(passed), record, agreements)

    def _principals(self, caller: Caller, *, override: bool) -> tuple[str, str, str]:
        """Return who is charged; break-glass has a budget of its own in place of the person's."""
        key = (caller.issuer, caller.person, caller.client_id, caller.organisation, override)
        found = self.principals.get(key)
        if found is None:
            opaque = self.keys.opaque_id
            found = (
                f"{'override' if override else 'person'}:{self._person(caller)}",
                f"client:{opaque('client', caller.issuer, caller.client_id)}",
                f"organisation:{opaque('organisation', caller.organisation)}",
            )
            self.principals.keep(key, found)
        return found

    async def _refuse(self, spent: Spent, record: LookupRecord, agreements: AgreementSet) -> NoReturn:
        code = f"BUDGET {spent.budget}"
        try:
            await self.refusals.note(self._person(record.caller), code, record.denied(code, None, agreements))
        except AuditError:
            raise AuditUnavailable(1) from None
        raise RateLimited(spent.retry_after_seconds)

    def _person(self, caller: Caller) -> str:
        return self.keys.opaque_id("person", caller.issuer, caller.person)
