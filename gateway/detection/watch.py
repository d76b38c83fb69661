"""One watch over one log: reads forward, looks, and puts what it finds into the queue of reviews.

What the detector remembers is not stored: a new watch reads the last weeks again, in silence up to where the last one
stopped, and goes on from there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import sqlalchemy as sa
import structlog

from gateway.audit.events import EventKind, Reading
from gateway.audit.index import EventIndex
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.detection.detector import RULES, Alert, Detector
from gateway.detection.feeds import FeedFault, Feeds, read_feeds, stamp
from gateway.detection.findings import Findings
from gateway.detection.log_reader import LogReader, Read
from gateway.detection.lookups import LogFault
from gateway.detection.past import DAY
from gateway.detection.settings import DetectionSection
from gateway.metrics import note_detection, watch_rules
from gateway.progress import Progress, untold
from gateway.resting import Resting
from gateway.storage.tables import detection_position

log = structlog.get_logger("gateway.detection")

_INDEX_SECONDS: Final = 30.0
_ASIDE_READS: Final = 50
_LAST_RUN: Final = ""  # no shard has this name
_KEEP = sa.text(
    "INSERT INTO detection_position (shard, seq, at_ms) VALUES (:shard, :seq, :at_ms) "
    "ON CONFLICT (shard) DO UPDATE SET seq = excluded.seq, at_ms = excluded.at_ms"
)


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run did. `unexplained` has receipt and score of what is explained by nothing and opened no item."""

    looked_up: int
    explained: Mapping[str, int]
    opened: Sequence[Alert]
    escalated: int
    members: int
    unexplained: Sequence[tuple[int, str, float]]


class Watch:
    """Detection over one log. For one event loop; the reading itself is done in a thread."""

    def __init__(
        self,
        engine: sa.Engine,
        keys: AuditKeys,
        audit: AuditLog,
        settings: DetectionSection,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._keys = keys
        self._audit = audit
        self._settings = settings
        self._clock = clock
        self._findings = Findings(engine, keys, audit)
        self._reader = LogReader(engine, keys)
        self._index = EventIndex(engine, keys)
        self._unmarked: set[str] = set()
        self._detector: Detector | None = None
        self._stamp: tuple[object, ...] = ()
        self._seen_before: dict[str, int] = {}
        self._looked_until = 0
        self._by_time = False
        self._running = asyncio.Lock()
        watch_rules(RULES)

    async def turn(self) -> Ran | None:
        """Run, unless another process on this database has just done so. Raises as `run` does."""
        last = await asyncio.to_thread(self._last_run)
        if self._milliseconds() - last < self._settings.every_seconds * 900:
            return None
        return await self.run(aside=True)

    async def run(
        self,
        *,
        since: datetime | None = None,
        faults: Sequence[LogFault] = (),
        aside: bool = False,
        progress: Progress = untold,
    ) -> Ran:
        """Read what was written since the last run, open items for what is found, escalate what waits too long.

        `since` looks again at all from then on; `faults` are of the log, as its verification found them; `aside` is for
        a process that answers lookups. `progress` is told in records, from a thread. Raises FeedFault (with nothing
        read), AuditError, sqlalchemy errors.
        """
        async with self._running:
            now = self._clock()
            detector, alerts, before = await asyncio.to_thread(self._look, since, faults, progress, aside=aside)
            new = await asyncio.to_thread(self._findings.unknown, alerts)
            for alert in new:
                await self._findings.open(alert, now)
            escalated = await self._findings.escalate(now, self._settings.escalate_days)
            explained = Counter({ground.value: n for ground, n in detector.grounds.items()}) - before.grounds
            ran = Ran(
                looked_up=detector.looked_up - before.looked_up,
                explained=dict(explained),
                opened=new,
                escalated=escalated,
                members=len(detector.workforce.members),
                unexplained=[each for each in detector.unexplained if each[0] > before.at_ms],
            )
            if ran.looked_up or new or escalated:
                await self._record(ran)
            await asyncio.to_thread(self._tell_the_index, ran)
            note_detection([rule for alert in new for rule in alert.rules], self._clock().timestamp())
            return ran

    def _look(
        self, since: datetime | None, faults: Sequence[LogFault], progress: Progress, *, aside: bool
    ) -> tuple[Detector, list[Alert], _Before]:
        detector = self._with_feeds()
        if not self._reader.begun:
            self._begin(since)
        until = self._milliseconds()
        alerts: list[Alert] = []
        before: _Before | None = None
        resting = Resting()
        for number, read in enumerate(self._reader.read(until, progress), 1):
            if aside and number % _ASIDE_READS == 0:
                resting.rest()
            fresh = self._is_fresh(read)
            if fresh and before is None:
                before = _Before.of(detector)
            alerts.extend(
                alert
                for alert in detector.see(read.seen)
                if (alert.raised_ms > self._looked_until if alert.caused_by_time else fresh)
            )
        before = before or _Before.of(detector)
        alerts.extend(alert for alert in detector.advance(until) if alert.raised_ms > self._looked_until)
        alerts.extend(alert for fault in faults for alert in detector.see(fault))
        self._looked_until = until
        self._by_time = False
        self._seen_before = self._reader.positions()
        return detector, alerts, before

    def _is_fresh(self, read: Read) -> bool:
        """Whether no earlier run has told what this gives; what is older is read for what it says of what is new."""
        if self._by_time or read.known_seq is None:
            return read.known_ms > self._looked_until
        return read.known_seq > self._seen_before.get(read.seen.place.shard, -1)

    def _begin(self, since: datetime | None) -> None:
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(detection_position)).all()
        if since is None:
            self._seen_before = {shard: seq for shard, seq, _ in rows if shard != _LAST_RUN}
            self._looked_until = max([at_ms for shard, _, at_ms in rows if shard == _LAST_RUN], default=0)
        else:
            self._looked_until = round(since.timestamp() * 1000)
            self._by_time = True
        # the first run of all looks at the whole log
        before = self._looked_until - self._settings.lookback_days * DAY
        self._reader.begin(max(0, before))

    def _with_feeds(self) -> Detector:
        """Return the detector, with its files read again if they changed; a feed at fault leaves the last good one."""
        settings = self._settings
        now = stamp(settings.workforce_file, settings.canaries_file)
        if self._detector is None:
            feeds = self._feeds()
            self._detector = Detector(
                feeds.workforce, settings.thresholds(), feeds.canaries, off=frozenset(settings.rules_off)
            )
        elif now != self._stamp:
            try:
                feeds = self._feeds()
                self._detector.workforce = feeds.workforce
                self._detector.canaries = feeds.canaries
            except FeedFault as fault:
                log.error(
                    "detection_feed_refused", faults=len(fault.faults), advice="contactpoint audit detect says which"
                )
        self._stamp = now
        return self._detector

    def _feeds(self) -> Feeds:
        return read_feeds(self._settings.workforce_file, self._settings.canaries_file, self._keys)

    def _tell_the_index(self, ran: Ran) -> None:
        """Mark what nothing explains, so that auditors can ask for it; what is not in the index yet, the next time."""
        self._unmarked.update(receipt for _, receipt, _ in ran.unexplained)
        self._unmarked.update(alert.receipt for alert in ran.opened if alert.explained is None and alert.receipt)
        try:
            if self._unmarked and self._index.catch_up(seconds=_INDEX_SECONDS):
                self._index.mark_unexplained(self._unmarked)
                self._unmarked.clear()
        except msgspec.MsgspecError:
            # a leaf cannot be read: the item about it is open by now, and no auditor is shown a page beyond it
            log.error("detection_index_stopped", advice="contactpoint audit verify says where")

    async def _record(self, ran: Ran) -> None:
        """Put the run on the log, and with it how far it has come."""
        payload: dict[str, Any] = {
            "caller": {"command": "contactpoint detection"},
            "reading": Reading.DETECTION,
            "count": ran.looked_up,
            "detection": {
                "explained": dict(sorted(ran.explained.items())),
                "opened": len(ran.opened),
                "escalated": ran.escalated,
                "members": ran.members,
                "rulesOff": sorted(self._settings.rules_off),
            },
        }
        rows = [{"shard": shard, "seq": seq, "at_ms": self._looked_until} for shard, seq in self._seen_before.items()]
        rows.append({"shard": _LAST_RUN, "seq": 0, "at_ms": self._looked_until})
        await self._audit.append(EventKind.READ, payload, alongside=[(_KEEP, row) for row in rows])

    def _last_run(self) -> int:
        query = sa.select(detection_position.c.at_ms).where(detection_position.c.shard == _LAST_RUN)
        with self._engine.connect() as connection:
            return int(connection.scalar(query) or 0)

    def _milliseconds(self) -> int:
        return round(self._clock().timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class _Before:
    """The counts of a detector at the moment from which a run counts."""

    looked_up: int
    grounds: Counter[str]
    at_ms: int

    @classmethod
    def of(cls, detector: Detector) -> _Before:
        return cls(
            detector.looked_up,
            Counter({ground.value: n for ground, n in detector.grounds.items()}),
            max([at for at, _, _ in detector.unexplained], default=0),
        )
