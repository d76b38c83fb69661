"""The witnesses of a configuration."""

from __future__ import annotations

import httpx
import sqlalchemy as sa

from gateway.audit.log import AuditLog
from gateway.audit.notes import VerifierKey, parse_verifier_key
from gateway.audit.witnessing.client import WitnessClient
from gateway.audit.witnessing.watch import Patience, WitnessWatch
from gateway.metrics import note_witness_lag
from gateway.settings import AuditSection


def configured_keys(section: AuditSection) -> tuple[VerifierKey, ...]:
    """Return the verifier keys of the witnesses of `[audit]`."""
    return tuple(parse_verifier_key(witness.vkey) for witness in section.witnesses)


def witness_watch(
    engine: sa.Engine, log: AuditLog, key_id: str, log_key: VerifierKey, section: AuditSection
) -> WitnessWatch:
    """Return what keeps a log witnessed by the witnesses of `[audit]`; without any, it does nothing.

    `log_key` is that of whoever signs the log.
    """
    clients = [
        WitnessClient(
            engine,
            # no proxy and no credentials from the environment, and no address that an answer names
            httpx.Client(trust_env=False, follow_redirects=False),
            witness.url,
            parse_verifier_key(witness.vkey),
            log_key,
        )
        for witness in section.witnesses
    ]
    patience = Patience(section.alarm_after_seconds, section.refuse_after_seconds)
    return WitnessWatch(engine, log, key_id, clients, patience, note_witness_lag)
