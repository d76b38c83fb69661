"""The integrity report: whether the log verifies, what is open in it, and how far checkpoints and witnesses are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from gateway.audit.index_tables import Flag, event_index
from gateway.audit.leaves import parse_leaf
from gateway.audit.reports.report import Report, Table, moment
from gateway.audit.tables import audit_checkpoint, audit_cosignature, audit_leaf, audit_shard


@dataclass(frozen=True, slots=True)
class Shard:
    """How far one shard is. `last_ms` is the time of its last record; sizes count records from its first."""

    id: str
    state: str
    records: int
    last_ms: int | None
    checkpoints: int
    signed: int
    witnessed: int


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """A look-up whose outcome nobody recorded."""

    at_ms: int
    organisation: str
    receipt: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verification said, and how many rows of the index differ from the log."""

    status: str
    findings: Sequence[str]
    differences: int | None
    """None where the log cannot be read so far as to say."""
    witnesses: int


def shards(connection: sa.Connection) -> list[Shard]:
    """Return every shard, the oldest first."""
    found = []
    for shard, state in connection.execute(
        sa.select(audit_shard.c.id, audit_shard.c.state).order_by(audit_shard.c.opened, audit_shard.c.id)
    ).all():
        last = connection.execute(
            sa.select(audit_leaf.c.seq, audit_leaf.c.body)
            .where(audit_leaf.c.shard == shard)
            .order_by(audit_leaf.c.seq.desc())
            .limit(1)
        ).first()
        checkpoints, signed = connection.execute(
            sa.select(sa.func.count(), sa.func.coalesce(sa.func.max(audit_checkpoint.c.size), 0)).where(
                audit_checkpoint.c.shard == shard
            )
        ).one()
        witnessed = connection.scalar(
            sa.select(sa.func.coalesce(sa.func.max(audit_cosignature.c.size), 0)).where(
                audit_cosignature.c.shard == shard
            )
        )
        found.append(
            Shard(
                shard,
                state,
                last.seq + 1 if last else 0,
                _time(last.body) if last else None,
                int(checkpoints),
                int(signed),
                int(witnessed or 0),
            )
        )
    return found


def _time(body: bytes) -> int | None:
    """Return the time of a leaf, None if it cannot be read: that is among the findings."""
    try:
        return parse_leaf(body).t
    except (ValueError, TypeError):
        return None


def open_intents(connection: sa.Connection, *, before_ms: int, most: int) -> tuple[list[OpenIntent], int]:
    """Return the oldest look-ups without an outcome that began before a time, and how many there are."""
    of = event_index.c
    condition = (of.flags.op("&")(int(Flag.OPEN)) != 0) & (of.at_ms < before_ms)
    query = sa.select(of.at_ms, of.organisation, of.receipt).where(condition).order_by(of.at_ms).limit(most)
    found = [OpenIntent(at_ms, org or "", receipt or "") for at_ms, org, receipt in connection.execute(query)]
    return found, int(connection.scalar(sa.select(sa.func.count()).where(condition)) or 0)


def integrity_report(
    verdict: Verdict, found: Sequence[Shard], opened: Sequence[OpenIntent], opened_count: int, made_at: str
) -> Report:
    """Return the report."""
    unsigned = sum(max(0, shard.records - shard.signed) for shard in found)
    notes = [
        "An open INTENT is a look-up of unknown outcome: treat it as disclosed. Records beyond the last checkpoint are "
        "ordinary for a second; records that no witness has seen can still be rewritten by whoever holds the key.",
    ]
    if not verdict.witnesses:
        notes.append("No witness has signed anything: nobody outside could tell that the whole log was rewritten.")
    return Report(
        "integrity",
        "Whether the audit log is what was written",
        made_at,
        [
            ("Verification", verdict.status),
            ("Records", sum(shard.records for shard in found)),
            ("Shards", len(found)),
            ("Frozen shards", sum(shard.state == "FROZEN" for shard in found)),
            ("Open INTENTs", opened_count),
            ("Beyond a checkpoint", unsigned),
            ("Witnesses", verdict.witnesses),
            ("Rows of the index that differ", "cannot be told" if verdict.differences is None else verdict.differences),
        ],
        notes,
        [
            Table("Findings", ("Finding",), [(finding,) for finding in verdict.findings], "none"),
            Table(
                "Shards",
                (
                    "Shard",
                    "State",
                    "Records",
                    "Last record (UTC)",
                    "Checkpoints",
                    "Signed",
                    "Behind",
                    "Witnessed",
                    "Lag",
                ),
                [
                    (
                        s.id,
                        s.state,
                        s.records,
                        moment(s.last_ms),
                        s.checkpoints,
                        s.signed,
                        max(0, s.records - s.signed),
                        s.witnessed,
                        max(0, s.signed - s.witnessed),
                    )
                    for s in found
                ],
            ),
            Table(
                "Open INTENTs, the oldest first",
                ("When (UTC)", "Organisation", "Receipt"),
                [(moment(o.at_ms), o.organisation, o.receipt) for o in opened],
            ),
        ],
    )


def witnesses(connection: sa.Connection) -> int:
    """Return how many witnesses have signed anything."""
    query = sa.select(sa.func.count(sa.distinct(audit_cosignature.c.witness)))
    return int(connection.scalar(query) or 0)
