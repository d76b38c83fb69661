"""Taking up a shard again after a stop or a crash: whether its end is sound, and what it left open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import sqlalchemy as sa

from gateway.audit import merkle
from gateway.audit.errors import AnotherKey, AuditDamaged
from gateway.audit.events import AdminAction, EventKind
from gateway.audit.keys import AuditKeys, KeyFileRefused
from gateway.audit.leaves import parse_leaf, payload_hash
from gateway.audit.sealed import last_checkpoint, verified_frontier
from gateway.audit.signing import LogSigner
from gateway.audit.tables import audit_leaf, audit_node, audit_payload, audit_shard

_TAIL: Final = 256


def origin_of(shard: str) -> str:
    """Return the name of a shard to the outside; it needs no storage to be checked."""
    return f"contactpoint-gateway/audit/{shard}"


def keys_of_log(engine: sa.Engine, file: Path) -> AuditKeys:
    """Return the keys of the log in a migrated database: new ones, in a new file, only while the log has no record.

    A new key beside an old log would fit none of its pseudonyms and shields. Raises KeyFileRefused.
    """
    return AuditKeys.load_or_create(file, create=not _begun(engine))


def signer_of_log(engine: sa.Engine, keys: AuditKeys, separate: Path | None) -> LogSigner:
    """Return who signs the log in a migrated database, for a command: `separate` is the file of a key of its own.

    As with `keys_of_log`, a new key is made only while the log has no record: the gateway may take one up beside an old
    log when it starts, but nobody expects that of a command that reads. Raises KeyFileRefused.
    """
    if separate is not None and not separate.exists() and _begun(engine):
        raise KeyFileRefused(
            f"the signing key file {separate} is missing, and the database holds a log: put it back; "
            "only `contactpoint serve` makes another"
        )
    return LogSigner.of(keys, separate)


def _begun(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(sa.select(sa.exists(sa.select(audit_leaf.c.seq)))))


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a stored shard: enough to go on from."""

    tree: merkle.Frontier
    open_intents: tuple[int, ...]


def recover(connection: sa.Connection, shard: str, key_id: str) -> Tail:
    """Return where a shard ends, having recomputed its last leaves and every hash that the next leaf builds on.

    `open_intents` are the INTENTs of the last run that no OUTCOME closes: to be treated as disclosed.
    Raises AuditDamaged if anything read contradicts anything else, and AnotherKey.
    """
    size = _size(connection, shard)
    if size == 0:
        if connection.scalar(sa.select(audit_shard.c.id).where(audit_shard.c.id == shard)) is not None:
            raise AuditDamaged("a shard has lost its leaves")
        return Tail(merkle.Frontier(), ())
    _check_sealed(connection, shard, size)
    try:
        leaves = _checked_leaves(connection, shard, size)
        _check_key(connection, shard, key_id)
        stored = _checked_nodes(connection, shard, size, leaves)
        return Tail(merkle.Frontier(size, stored), tuple(_open_intents(connection, shard)))
    except ValueError:
        raise AuditDamaged("a record cannot be read") from None


def _size(connection: sa.Connection, shard: str) -> int:
    last = connection.scalar(sa.select(sa.func.max(audit_leaf.c.seq)).where(audit_leaf.c.shard == shard))
    if last is None:
        last = -1
    beyond = connection.scalar(
        sa.select(sa.func.count())
        .select_from(audit_payload)
        .where(audit_payload.c.shard == shard, audit_payload.c.seq > last)
    )
    if beyond:
        raise AuditDamaged("payloads are stored beyond the last leaf")
    size = int(last) + 1
    # a level of the tree has a node where the leaves fill one; above the highest of them there is none
    levels = max(size.bit_length(), 1)
    stored = connection.scalar(sa.select(sa.func.max(audit_node.c.level)).where(audit_node.c.shard == shard))
    if stored is not None and stored >= levels:
        raise AuditDamaged("the stored tree and the stored leaves differ in size")
    for level in range(1, levels):
        highest = connection.scalar(
            sa.select(sa.func.max(audit_node.c.ix)).where(audit_node.c.shard == shard, audit_node.c.level == level)
        )
        if (-1 if highest is None else highest) != (size >> level) - 1:
            raise AuditDamaged("the stored tree and the stored leaves differ in size")
    return size


def _check_sealed(connection: sa.Connection, shard: str, size: int) -> None:
    """Raise AuditDamaged unless the stored tree begins with the tree of the newest checkpoint."""
    checkpoint = last_checkpoint(connection, shard)
    if checkpoint is not None and checkpoint.size > size:
        raise AuditDamaged("the shard is shorter than its checkpoint")
    verified_frontier(connection, shard)


def _check_key(connection: sa.Connection, shard: str, key_id: str) -> None:
    first = connection.scalar(
        sa.select(audit_payload.c.body).where(audit_payload.c.shard == shard, audit_payload.c.seq == 0)
    )
    if first is not None and _content(first).key != key_id:
        raise AnotherKey("this log was begun with another audit key; use that key, or another database")


def _checked_leaves(connection: sa.Connection, shard: str, size: int) -> dict[int, bytes]:
    """Return the hashes of the last leaves by seq, each recomputed from the leaf, and that from its payload."""
    hashes: dict[int, bytes] = {}
    first = max(0, size - _TAIL)
    query = (
        sa.select(audit_leaf.c.seq, audit_leaf.c.body, audit_leaf.c.hash, audit_payload.c.salt, audit_payload.c.body)
        .outerjoin_from(
            audit_leaf,
            audit_payload,
            sa.and_(audit_payload.c.shard == audit_leaf.c.shard, audit_payload.c.seq == audit_leaf.c.seq),
        )
        .where(audit_leaf.c.shard == shard, audit_leaf.c.seq >= first)
        .order_by(audit_leaf.c.seq)
    )
    for expected, (seq, body, stored, salt, payload) in enumerate(connection.execute(query), start=first):
        # a value of another type is not what was written, even if it reads the same
        if not isinstance(body, bytes) or not isinstance(salt, bytes | None) or not isinstance(payload, bytes | None):
            raise AuditDamaged("a record is not stored as bytes")
        leaf = parse_leaf(body)
        if seq != expected or leaf.seq != seq or leaf.shard != shard or merkle.leaf_hash(body) != stored:
            raise AuditDamaged("a leaf is not the one that was written there")
        if payload is not None and salt is not None and payload_hash(salt, payload) != leaf.ph:
            raise AuditDamaged("a payload is not the one that its leaf binds")
        hashes[seq] = stored
    if len(hashes) != size - first:
        raise AuditDamaged("leaves are missing")
    return hashes


def _checked_nodes(connection: sa.Connection, shard: str, size: int, leaves: dict[int, bytes]) -> list[bytes]:
    """Return the peaks of the tree: recomputed where their leaves were read, and taken as stored beyond that."""

    def fetch(level: int, ix: int) -> bytes:
        stored = (
            leaves[ix]
            if level == 0
            else connection.scalar(
                sa.select(audit_node.c.hash).where(
                    audit_node.c.shard == shard, audit_node.c.level == level, audit_node.c.ix == ix
                )
            )
        )
        if not isinstance(stored, bytes) or len(stored) != merkle.HASH_SIZE:
            raise AuditDamaged("a node of the tree is missing")
        if (
            level
            and ix << level in leaves
            and merkle.node_hash(fetch(level - 1, 2 * ix), fetch(level - 1, 2 * ix + 1)) != stored
        ):
            raise AuditDamaged("a node of the tree is not what its leaves give")
        return stored

    return [fetch(level, ix) for level, ix in merkle.peak_positions(size)]


class _Content(msgspec.Struct):
    """The keys of a payload that this module reads."""

    key: str | None = None
    intent: int | None = None
    action: str | None = None
    intents: list[int] = []


_content = msgspec.json.Decoder(_Content).decode


def _open_intents(connection: sa.Connection, shard: str) -> list[int]:
    """Return the INTENTs of the last run that no OUTCOME closes, oldest first.

    A clean stop names them itself; after a crash they are looked for, back to the last STARTED.
    """
    query = (
        sa.select(audit_leaf.c.body, audit_payload.c.body)
        .join_from(
            audit_leaf,
            audit_payload,
            sa.and_(audit_payload.c.shard == audit_leaf.c.shard, audit_payload.c.seq == audit_leaf.c.seq),
        )
        .where(audit_leaf.c.shard == shard)
        .order_by(audit_leaf.c.seq.desc())
        .execution_options(yield_per=500)
    )
    closed: set[int] = set()
    opened: list[int] = []
    with connection.execute(query) as rows:
        for leaf_body, payload in rows:
            leaf = parse_leaf(leaf_body)
            match leaf.kind:
                case EventKind.INTENT:
                    if leaf.seq not in closed:
                        opened.append(leaf.seq)
                case EventKind.OUTCOME:
                    if (intent := _content(payload).intent) is not None:
                        closed.add(intent)
                case EventKind.ADMIN:
                    content = _content(payload)
                    if content.action == AdminAction.STOPPED:
                        return content.intents
                    if content.action == AdminAction.STARTED:
                        break
    return opened[::-1]
