"""The set of agreements in force: read again while the gateway runs, and kept when what is there cannot be read.

One lookup uses one version from its plan to its OUTCOME; before OUTCOME what it opened is judged by the set of that
moment once more. A set that cannot be read in full never takes the place of one that could.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from auth import agreement_files
from auth.agreement_files import AgreementsUnreadable
from auth.sharing import AgreementSet
from gateway.audit.events import AdminAction, EventKind
from gateway.audit.log import AuditLog
from gateway.configured import unheld_agreements
from gateway.metrics import note_agreements

log = structlog.get_logger("gateway.agreements_in_force")

_SETTLED_SECONDS: Final = 1.0
_CANNOT_BE_READ: Final = "a file cannot be read"


class AgreementsInForce:
    """The current set, and how it is changed. Not for two event loops."""

    def __init__(self, directory: Path, current: AgreementSet, audit: AuditLog, connectors: Collection[str]) -> None:
        """`connectors`: their ids, to warn of agreements whose custodian is nobody here."""
        self._directory = directory
        self._current = current
        self._audit = audit
        self._connectors = connectors
        self._refused: tuple[str | None, tuple[str, ...]] | None = None  # the version that was, and where
        self._running: asyncio.Task[None] | None = None
        self._busy = asyncio.Lock()

    @property
    def current(self) -> AgreementSet:
        """The set in force at this moment; it never changes itself, so who holds it has one version."""
        return self._current

    async def look(self) -> bool:
        """Read a set that differs and has stopped changing; return whether another version is in force now.

        Files are copied one by one: a set is read when two looks, a second apart, see the same. Raises AuditError.
        """
        seen = await self._version_there()
        if seen == self._current.version or (self._refused is not None and seen == self._refused[0]):
            return False
        await asyncio.sleep(_SETTLED_SECONDS)
        return await self.reload() if await self._version_there() == seen else False

    async def reload(self) -> bool:
        """Read the directory now; return whether another version is in force.

        A set that cannot be read leaves the current one in force, with a record of where the fault is. Nothing is used
        before the log says so: raises AuditError, with the current set in force, if it cannot.
        """
        async with self._busy:
            try:
                found = await asyncio.to_thread(agreement_files.load, self._directory)
            except AgreementsUnreadable as fault:
                await self._refuse(fault.places)
                return False
            except Exception as fault:
                log.error("agreements_unreadable", exception=type(fault).__qualname__)
                await self._refuse((_CANNOT_BE_READ,))
                return False
            self._refused = None
            if found.version == self._current.version:
                return False
            await self._note_loaded(found)
            for name in unheld_agreements(found, self._connectors):
                log.warning("agreement_of_no_connector", agreement=name, advice="it opens nothing: see its custodian")
            self._current = found
            note_agreements("loaded")
            log.info("agreements_loaded", version=found.version)
            return True

    async def start(self) -> None:
        """Record which version is used from the first lookup on, and read again on SIGHUP. Raises AuditError."""
        await self._note_loaded(self._current)
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread, or no such signal
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_hangup)

    async def stop(self) -> None:
        """Listen no longer, and let a reading that is under way end."""
        with suppress(NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        if self._running is not None:
            await self._running

    def _on_hangup(self) -> None:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._reload_when_told())

    async def _reload_when_told(self) -> None:
        try:
            await self.reload()
        except Exception as fault:
            log.error("agreements_not_reloaded", exception=type(fault).__qualname__)

    async def _note_loaded(self, agreements: AgreementSet) -> None:
        payload = {"action": AdminAction.AGREEMENTS_LOADED, "version": agreements.version}
        await self._audit.append(EventKind.ADMIN, payload)

    async def _version_there(self) -> str | None:
        try:
            return await asyncio.to_thread(agreement_files.version_of, self._directory)
        except AgreementsUnreadable:
            return None

    async def _refuse(self, places: tuple[str, ...]) -> None:
        """Record once for each set where its faults are, and nothing of what stands there."""
        log.error("agreements_refused", at=list(places), advice="the former set stays; run check-config")
        note_agreements("refused")
        refused = (await self._version_there(), places)
        if refused == self._refused:
            return
        payload = {
            "action": AdminAction.AGREEMENTS_REFUSED,
            "version": self._current.version,
            "detail": ", ".join(places),
        }
        await self._audit.append(EventKind.ADMIN, payload)
        self._refused = refused
