"""What the leaves of one stretch of a shard give, and what its records say that others must fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from gateway.audit.events import AdminAction, EventKind, ShardEvent
from gateway.audit.verification.findings import Findings

STRETCH_LEVEL: Final = 13
STRETCH: Final = 1 << STRETCH_LEVEL
LONGEST_SILENCE_MS: Final = 120_000

KINDS: Final = frozenset(kind.value for kind in EventKind)
INTENT: Final = EventKind.INTENT.value
LINKING: Final = frozenset({EventKind.OUTCOME.value, EventKind.ADMIN.value, EventKind.SHARD.value})
"""The kinds whose payloads say something that other records must fit."""


class Said(msgspec.Struct, gc=False):
    """The keys of a payload that verification reads."""

    intent: int | None = None
    action: str | None = None
    shard: str | None = None
    first: int | None = None
    last: int | None = None
    signer: str | None = None
    cosigner: str | None = None
    witnesses: tuple[str, ...] = ()
    event: str | None = None
    size: int | None = None
    root: str | None = None
    sizes: tuple[int, ...] = ()
    cosigned: dict[str, tuple[int, ...]] = {}


parse_said = msgspec.json.Decoder(Said).decode
"""Return what a payload says. Raises ValueError or RecursionError for what is no payload of ours."""


@dataclass(frozen=True, slots=True)
class Start:
    """A STARTED record: from where on somebody promised checkpoints and heartbeats, and whose keys are named."""

    seq: int
    signer: str | None
    cosigner: str | None
    witnesses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Purge:
    """A PAYLOAD_PURGED record: which payloads of which shard are to go."""

    seq: int
    shard: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Told:
    """A record of the master log."""

    seq: int
    event: str
    shard: str
    size: int
    root: str
    sizes: tuple[int, ...]
    cosigned: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(slots=True)
class Stretch:
    """What the leaves of [first, end) give."""

    first: int
    end: int
    peaks: tuple[bytes, ...] = ()
    """The roots of the complete subtrees that make it up, largest first; empty if they cannot be known."""
    cuts: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    """The same for a stretch that ended at each of the sizes that were asked for."""
    findings: Findings = field(default_factory=Findings)
    opened_at: int | None = None
    closed_at: int | None = None
    intents: set[int] = field(default_factory=set)
    """The INTENTs that no record of the stretch closes."""
    closes: set[int] = field(default_factory=set)
    """What its records close elsewhere."""
    absent: list[int] = field(default_factory=list)
    payloads: int = 0
    purges: list[Purge] = field(default_factory=list)
    silences: list[tuple[int, int]] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    def note(self, seq: int, said: Said) -> None:
        """Keep what a record says that others must fit."""
        if said.intent is not None:
            self.closes.add(said.intent)
        if said.action == AdminAction.STARTED:
            self.starts.append(Start(seq, said.signer, said.cosigner, said.witnesses))
        elif said.action == AdminAction.PAYLOAD_PURGED and said.shard and said.first is not None:
            last = said.first if said.last is None else said.last
            self.purges.append(Purge(seq, said.shard, said.first, last))
        elif said.event is not None and said.shard and said.size is not None and said.root is not None:
            cosigned = tuple(said.cosigned.items())
            self.told.append(Told(seq, said.event, said.shard, said.size, said.root, said.sizes, cosigned))
            if said.event == ShardEvent.OPENED:
                self.starts.append(Start(seq, said.signer, said.cosigner, ()))

    def note_payload(self, seq: int, payload: bytes) -> None:
        """Keep what a payload says; one that cannot be read is as it was written, since its leaf binds it."""
        try:
            said = parse_said(payload)
        except (ValueError, RecursionError):
            return  # it just closes nothing
        self.note(seq, said)

    def settle(self) -> None:
        """Leave out the INTENTs that records of this stretch close: nobody else needs to know of them."""
        self.intents, self.closes = self.intents - self.closes, self.closes - self.intents
