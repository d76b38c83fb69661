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

from auth import agreement_files, agreement_folder
from auth.agreement_files import AgreementsUnreadable
from auth.agreement_folder import FilesRead
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
        self._refused: str | None = None  # the version of exactly what was read
        self._running: asyncio.Task[None] | None = None
        self._told_again = False
        self._busy = asyncio.Lock()

    @property
    def current(self) -> AgreementSet:
        """The set in force at this moment; it never changes itself, so who holds it has one version."""
        return self._current

    async def look(self) -> bool:
        """Read a set that differs and has stopped changing; return whether another version is in force now.

        Files are copied one by one: a set is read when two looks, a second apart, see the same. Raises AuditError.
        """
        seen = (await self._read()).version
        if seen in (self._current.version, self._refused):
            return False
        await asyncio.sleep(_SETTLED_SECONDS)
        async with self._busy:
            found = await self._read()
            return await self._take(found) if found.version == seen else False

    async def reload(self) -> bool:
        """Read the directory now; return whether another version is in force.

        A set that cannot be read leaves the current one in force, with a record of where the fault is. Nothing is used
        before the log says so: raises AuditError, with the current set in force, if it cannot.
        """
        async with self._busy:  # read inside: a reading never takes the place of a later one
            return await self._take(await self._read())

    async def _take(self, files: FilesRead) -> bool:
        """Put what was read in force, or refuse it: the bytes that were judged, and no others."""
        try:
            found = await asyncio.to_thread(agreement_files.parsed, files)
        except AgreementsUnreadable as fault:
            await self._refuse(files, fault.places)
            return False
        except Exception as fault:
            log.error("agreements_unreadable", exception=type(fault).__qualname__)
            await self._refuse(files, (_CANNOT_BE_READ,))
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
        self._told_again = True  # also while a reading is under way: it may have begun before the files were in place
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._reload_when_told())

    async def _reload_when_told(self) -> None:
        while self._told_again:
            self._told_again = False
            try:
                await self.reload()
            except Exception as fault:
                log.error("agreements_not_reloaded", exception=type(fault).__qualname__)

    async def _note_loaded(self, agreements: AgreementSet) -> None:
        payload = {"action": AdminAction.AGREEMENTS_LOADED, "version": agreements.version}
        await self._audit.append(EventKind.ADMIN, payload)

    async def _read(self) -> FilesRead:
        return await asyncio.to_thread(agreement_folder.read, self._directory)

    async def _refuse(self, files: FilesRead, places: tuple[str, ...]) -> None:
        """Record once for each set where its faults are, and nothing of what stands there."""
        log.error("agreements_refused", at=list(places), advice="the former set stays; run check-config")
        note_agreements("refused")
        if files.version == self._refused:
            return
        payload = {
            "action": AdminAction.AGREEMENTS_REFUSED,
            "version": self._current.version,
            "detail": ", ".join(places),
        }
        await self._audit.append(EventKind.ADMIN, payload)
        self._refused = files.version
