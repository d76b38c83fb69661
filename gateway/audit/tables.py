"""The tables of the log, and the triggers that refuse to rewrite it.

A leaf says that something happened and binds the payload by a salted hash; the payload says what. They are apart so
that a payload can be purged when its retention ends without breaking a single proof.

The triggers stop mistakes and ordinary code; somebody who may change the schema can drop them. What shows that person's
work is the tree, so `gateway.audit.verify` checks the data and the triggers both.

A DELETE of a payload is refused as well, but for rows that a committed PAYLOAD_PURGED record announces.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa

from gateway.storage.tables import metadata

# Bodies are bytes, not text: what is hashed is exactly what is stored, and a damaged byte can still be read back.

audit_shard = sa.Table(
    "audit_shard",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("opened", sa.BigInteger, nullable=False),
    sa.Column("closed", sa.BigInteger),
    sa.Column("state", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
"""One log with one writer: OPEN, CLOSED or FROZEN. `opened` is the time of its first leaf, `closed` of its last."""

audit_leaf = sa.Table(
    "audit_leaf",
    metadata,
    sa.Column("shard", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""The canonical leaf and its hash, which is level 0 of the tree."""

audit_payload = sa.Table(
    "audit_payload",
    metadata,
    sa.Column("shard", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    # with a rowid: without one, a row above a quarter of a page goes to a page of its own
)
"""What happened, in canonical JSON, with the salt that keeps its hash from being found by trying."""

audit_node = sa.Table(
    "audit_node",
    metadata,
    sa.Column("shard", sa.Text, primary_key=True),
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("ix", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""The root of every complete subtree of two leaves or more: node `ix` of `level` covers leaves [ix << level, ...)."""

audit_checkpoint = sa.Table(
    "audit_checkpoint",
    metadata,
    sa.Column("shard", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("note", sa.LargeBinary, nullable=False),
    # with a rowid: a note with a post-quantum signature is above a quarter of a page
)
"""The signed note of size and root that this gateway stands by."""

audit_cosignature = sa.Table(
    "audit_cosignature",
    metadata,
    sa.Column("shard", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("witness", sa.Text, primary_key=True),
    sa.Column("line", sa.LargeBinary, nullable=False),
)
"""A witness's signature line on a checkpoint; `witness` is the name and key id of its verifier key."""


announced_purge = sa.Table(
    "announced_purge",
    metadata,
    sa.Column("shard", sa.Text, primary_key=True),
    sa.Column("from_seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("to_seq", sa.BigInteger, nullable=False),
    sa.Column("by_shard", sa.Text, nullable=False),
    sa.Column("by_seq", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Which payloads may be deleted, and the PAYLOAD_PURGED record that says so. No evidence: that is the record."""

_UNANNOUNCED: Final = (
    "coalesce((SELECT to_seq FROM announced_purge WHERE shard = OLD.shard AND from_seq <= OLD.seq "
    "ORDER BY from_seq DESC LIMIT 1), -1) < OLD.seq"
)
_UNTRUE: Final = (
    "NOT EXISTS (SELECT 1 FROM audit_payload AS p WHERE p.shard = NEW.by_shard AND p.seq = NEW.by_seq "
    """AND substr(p.body, 1, 27) = CAST('{"action":"PAYLOAD_PURGED",' AS BLOB) AND """
    """instr(p.body, CAST('"first":' || NEW.from_seq || ',"last":' || NEW.to_seq """
    """|| ',"shard":"' || NEW.shard || '"}' AS BLOB)) > 0)"""
)

POSTGRESQL_CONDITIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "audit_payload_keep": "NOT contactpoint_announced(OLD.shard, OLD.seq)",
        "announced_purge_true": (
            "NOT contactpoint_announces(NEW.by_shard, NEW.by_seq, NEW.shard, NEW.from_seq, NEW.to_seq)"
        ),
    }
)
"""What takes the place of a trigger's condition on PostgreSQL, where it may hold no query but call a function."""

POSTGRESQL_FUNCTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "contactpoint_refuse": " BEGIN RAISE integrity_constraint_violation USING MESSAGE = TG_ARGV[0]; END ",
        "contactpoint_announced": (
            " SELECT coalesce((SELECT a.to_seq FROM announced_purge AS a WHERE a.shard = $1 AND a.from_seq <= $2 "
            "ORDER BY a.from_seq DESC LIMIT 1), -1) >= $2 "
        ),
        "contactpoint_announces": (
            " SELECT EXISTS (SELECT FROM audit_payload AS p, LATERAL (SELECT convert_from(p.body, 'UTF8')::jsonb AS b) "
            "AS c WHERE p.shard = $1 AND p.seq = $2 AND b ->> 'action' = 'PAYLOAD_PURGED' AND b ->> 'shard' = $3 "
            "AND (b ->> 'first')::bigint = $4 AND (b ->> 'last')::bigint = $5) "
        ),
    }
)
"""Name and body of every function that a trigger calls."""


def _refuse(name: str, when: str, table: str, why: str, rows: str = "") -> tuple[str, str]:
    return name, f"CREATE TRIGGER {name} BEFORE {when} ON {table} BEGIN SELECT RAISE(ABORT, '{why}'){rows}; END"


TRIGGERS: Final[Mapping[str, str]] = MappingProxyType(
    dict(
        [
            _refuse("audit_shard_keep", "DELETE", "audit_shard", "a shard of the log is kept"),
            _refuse("audit_shard_fixed", "UPDATE OF id, origin, opened", "audit_shard", "a shard keeps its identity"),
            _refuse("audit_leaf_keep", "DELETE", "audit_leaf", "the log is only added to"),
            _refuse("audit_leaf_fixed", "UPDATE", "audit_leaf", "the log is only added to"),
            _refuse("audit_node_keep", "DELETE", "audit_node", "the log is only added to"),
            _refuse("audit_node_fixed", "UPDATE", "audit_node", "the log is only added to"),
            _refuse(
                "audit_payload_keep",
                "DELETE",
                "audit_payload",
                "no purge announces this row",
                f" WHERE {_UNANNOUNCED}",
            ),
            _refuse("audit_payload_fixed", "UPDATE", "audit_payload", "the log is only added to"),
            _refuse(
                "audit_shard_ended",
                "UPDATE",
                "audit_shard",
                "a shard that has ended stays so",
                " WHERE OLD.state <> 'OPEN'",
            ),
            _refuse("audit_checkpoint_keep", "DELETE", "audit_checkpoint", "the log is only added to"),
            _refuse("audit_checkpoint_fixed", "UPDATE", "audit_checkpoint", "the log is only added to"),
            _refuse("audit_cosignature_keep", "DELETE", "audit_cosignature", "the log is only added to"),
            _refuse("audit_cosignature_fixed", "UPDATE", "audit_cosignature", "the log is only added to"),
            _refuse("announced_purge_keep", "DELETE", "announced_purge", "the log is only added to"),
            _refuse("announced_purge_fixed", "UPDATE", "announced_purge", "the log is only added to"),
            _refuse(
                "announced_purge_true",
                "INSERT",
                "announced_purge",
                "no record announces this purge",
                f" WHERE {_UNTRUE}",
            ),
        ]
    )
)
"""Name and text of every trigger that the schema must hold, as SQLite keeps them."""
