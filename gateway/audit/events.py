"""The words of the log: the kinds of record, what an ADMIN record can report, and which keys each kind may hold."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final


class EventKind(StrEnum):
    """What a leaf says happened. Every kind is public within the log: it stays when the payload is purged."""

    INTENT = "INTENT"
    """Agencies are about to be asked about a child. Durable before the first is."""

    OUTCOME = "OUTCOME"
    """What a lookup disclosed, or that it disclosed nothing. Durable before a byte of it leaves."""

    DENIED = "DENIED"
    """A lookup was refused before any agency was asked; there is no INTENT."""

    ADMIN = "ADMIN"
    """Something was done to the gateway itself; `action` is an AdminAction."""

    OVERRIDE = "OVERRIDE"
    """Break-glass is used for the lookup of an INTENT, and waits for review. Durable before any agency is asked."""

    REVIEW = "REVIEW"
    """Somebody read the queue of reviews, or decided one."""

    READ = "READ"
    """Somebody read the log. Durable before anything of it is shown."""

    HEARTBEAT = "HEARTBEAT"
    """The log can be written. One for each minute without another record, so that silence is a sign; and at the end of
    an outage, so that readiness does not wait for a caller."""

    SHARD = "SHARD"
    """On the master log alone: what became of another shard; `event` is a ShardEvent."""


class ShardEvent(StrEnum):
    """What the master log says of a shard."""

    OPENED = "OPENED"
    CHECKPOINT = "CHECKPOINT"
    CLOSED = "CLOSED"
    FROZEN = "FROZEN"


class Reading(StrEnum):
    """How the log was read: `reading` of a READ record."""

    AUDIT_EVENTS = "AUDIT_EVENTS"
    EVENTS = "EVENTS"
    SUBJECT = "SUBJECT"
    PRACTITIONER = "PRACTITIONER"
    RATES = "RATES"
    PEERS = "PEERS"
    BREAK_GLASS = "BREAK_GLASS"
    INTEGRITY = "INTEGRITY"
    EXPORT = "EXPORT"
    PROOF = "PROOF"
    DETECTION = "DETECTION"


class AdminAction(StrEnum):
    STARTED = "STARTED"
    STOPPED = "STOPPED"
    OPEN_INTENTS_FOUND = "OPEN_INTENTS_FOUND"
    SHIELD_ADDED = "SHIELD_ADDED"
    SHIELD_REMOVED = "SHIELD_REMOVED"
    SHIELDS_LOADED = "SHIELDS_LOADED"
    AGREEMENTS_LOADED = "AGREEMENTS_LOADED"
    AGREEMENTS_REFUSED = "AGREEMENTS_REFUSED"
    PAYLOAD_PURGED = "PAYLOAD_PURGED"
    SHARD_FROZEN = "SHARD_FROZEN"
    INVALID_ANSWER_ALARM = "INVALID_ANSWER_ALARM"
    APPOINTMENT_REGISTERED = "APPOINTMENT_REGISTERED"
    APPOINTMENT_ENDED = "APPOINTMENT_ENDED"
    TOKENS_REVOKED = "TOKENS_REVOKED"


_WHO: Final = frozenset(
    # pseudonyms and identifiers of people in the gateway's own namespace; never a child's
    {
        "caller",  # sub, client, organisation, team, on behalf of, roles, scopes, assurance, sign-in, token hash
        "request",  # correlation id
        "operation",  # name and document digest
    }
)
_WHY: Final = frozenset({"purpose", "reason", "caseReference", "override"})
_SUBJECT: Final = frozenset({"subject", "key"})  # the child's pseudonym; the encrypted child key

PAYLOAD_KEYS: Final[Mapping[EventKind, frozenset[str]]] = MappingProxyType(
    {
        EventKind.INTENT: _WHO
        | _WHY
        | _SUBJECT
        | {
            "receipt",
            "ask",  # the request id that agencies see
            "fields",  # what the first wave asks each source for
            "silent",  # the sources whose agreements ask for a silent read
            "evidence",  # the appointment on which the lookup rests
            "further",  # what a relationship, once known, may have it asked for in the second wave
            "sources",
            "agreements",
        },
        EventKind.OUTCOME: _WHO
        | _SUBJECT
        | {
            "intent",  # seq of the INTENT in the same shard that this closes; every OUTCOME has it
            "receipt",
            "asked",  # what each source was asked for, over both waves
            "override",
            "outcome",
            "complete",
            "sources",
            "disclosed",
            "withheld",
            "rules",  # the policy that permitted, and which grants opened what was open, by source
            "agreements",
            "response",
            "shields",
            "relationship",
            "evidence",  # on what the relationship rests: an entry's source, an appointment, the OVERRIDE record
            "ms",  # from the request's lookup to this record
            "fault",  # of a lookup without an answer: the code of its error
            "heldBack",  # how many rows of which source were not told, and why
            "identity",
        },
        EventKind.DENIED: _WHO
        | _WHY
        | _SUBJECT
        | {
            "receipt",
            "code",
            "rule",
            "agreements",
            "count",  # how many more refusals of the same cause, and person if known, were counted only
        },
        EventKind.ADMIN: _WHO
        | frozenset(
            {
                "action",
                "key",  # STARTED: id of the audit key
                "origin",  # STARTED: name of the shard to the outside
                "signer",  # STARTED: verifier key of the checkpoints (C2SP vkey)
                "cosigner",  # STARTED: verifier key of their post-quantum cosignatures
                "witnesses",  # STARTED: verifier keys of the witnesses
                "count",
                "intents",  # OPEN_INTENTS_FOUND, STOPPED: seqs of the INTENTs that no OUTCOME closed
                "shard",  # PAYLOAD_PURGED: whose payloads; SHARD_FROZEN: which
                "first",  # PAYLOAD_PURGED: first seq, included
                "last",  # PAYLOAD_PURGED: last seq, included
                "source",
                "replaced",  # SHIELDS_LOADED: whether the list also lifted what it lacks
                "subject",
                "version",
                "by",
                "authority",  # PAYLOAD_PURGED: under which retention schedule or order
                "before",  # PAYLOAD_PURGED: what is older than this
                "detail",
                "revoked",  # TOKENS_REVOKED: of whom or which, as a pseudonym, and issued until when
                "appointment",  # APPOINTMENT_REGISTERED, _ENDED: whose, for what, on what evidence, until when
            }
        ),
        EventKind.OVERRIDE: _WHO
        | _WHY
        | _SUBJECT
        | {
            "of",  # seq of the INTENT in the same shard
            "receipt",
            "review",  # id of the item in the queue
            "due",
        },
        EventKind.REVIEW: _WHO
        | {
            "of",  # a verdict: seq of the OVERRIDE, in the shard of that name
            "shard",
            "review",
            "verdict",
            "note",
            "filter",  # a reading: which states were asked for
            "count",  # a reading: how many items were shown
            "detection",  # an item that detection opened: rules, severity, explanation, words, receipts
        },
        EventKind.READ: _WHO
        | {
            "reading",  # a Reading
            "filter",  # what was asked for; people and children as pseudonyms
            "count",  # how many events were shown
            "from",  # receipt or place of the first that was shown, and
            "to",  # of the last
            "requestedBy",  # a report about somebody: who asked for it,
            "approvedBy",  # who approved it, another person,
            "authority",  # and on what
            "copy",  # whose copy it was: the subject's, or the approver's
            "withheld",  # how many events were kept out of it, by exemption
            "released",  # receipts that the approver let out all the same
            "digest",  # SHA-256 of what was shown
            "detection",  # a run of detection: how much was explained and found, and with which rules
        },
        EventKind.HEARTBEAT: frozenset(),
        EventKind.SHARD: frozenset(
            {
                "event",
                "shard",
                "size",
                "root",
                "signer",  # OPENED: verifier key of the checkpoints
                "cosigner",  # OPENED: verifier key of their post-quantum cosignatures
                "sizes",  # CHECKPOINT: the sizes signed since the last record of this shard
                "cosigned",  # CHECKPOINT: the sizes that each witness cosigned since then
                "detail",  # FROZEN: what did not fit
            }
        ),
    }
)
"""The closed list of payload keys. The builders' tests hold them to it; the log itself writes what it is given."""


def unlisted_keys(kind: EventKind, payload: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of a payload that its kind may not hold."""
    return frozenset(payload) - PAYLOAD_KEYS[kind]
