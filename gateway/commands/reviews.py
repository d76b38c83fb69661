"""`contactpoint reviews`: what waits for review, with what a reviewer needs to judge each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import sqlalchemy as sa

from gateway.audit.checkpointer import Checkpointer
from gateway.audit.errors import AuditError
from gateway.audit.events import EventKind
from gateway.audit.keys import KeyFileRefused
from gateway.audit.log import AuditLog
from gateway.audit.recovery import keys_of_log, signer_of_log
from gateway.audit.tables import audit_payload
from gateway.commands.errors import CommandError, OneLineCommand
from gateway.commands.rendering import plain
from gateway.commands.settings_file import loaded
from gateway.migrate import migrate
from gateway.reviews import WAITING, found_of, pressing, severity_of
from gateway.settings import Settings, audit_key_file
from gateway.storage.engine import open_engine
from gateway.storage.errors import StorageError
from gateway.storage.tables import review
from schema.vocabulary import ReviewState

_SHOWN: Final = ("id", "kind", "state", "organisation", "purpose", "opened_at", "due_at", "decided_at", "note")


@click.command(name="reviews", cls=OneLineCommand)
@click.option("--config", "file", metavar="FILE", type=click.Path(path_type=Path), help="TOML configuration.")
@click.option("--organisation", metavar="ID", help="Only of this organisation's people.")
@click.option("--all", "everything", is_flag=True, help="Also those that were decided.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def reviews(file: Path | None, organisation: str | None, everything: bool, as_json: bool) -> None:
    """List what waits for review, break-glass and what detection found: who, when, and why.

    What nothing explains comes first, then what presses most.
    The child is not named. That somebody read the list is put on the log. The running server is not needed.

    \b
    Example:
      contactpoint reviews --config gateway.toml --organisation northshire-council
    """
    if file is None:
        raise CommandError("give --config")
    states = frozenset(ReviewState) if everything else WAITING
    try:
        found = asyncio.run(_read(loaded(file), states, organisation))
    except (StorageError, AuditError, KeyFileRefused) as fault:
        raise CommandError(str(fault)) from None
    except sa.exc.SQLAlchemyError:
        raise CommandError("the queue of reviews cannot be read") from None
    if as_json:
        click.echo(json.dumps(found))
        return
    for item in found:
        click.echo(_lines(item))
    click.echo(f"{len(found)} {'listed' if everything else 'waiting'}")


async def _read(settings: Settings, states: frozenset[ReviewState], organisation: str | None) -> list[dict[str, Any]]:
    engine = open_engine(settings.database.url, create=False)
    migrate(engine)
    keys = keys_of_log(engine, audit_key_file(settings))
    signer = signer_of_log(engine, keys, settings.audit.signing_key_file)
    log = AuditLog.open(engine, keys, on_fatal=lambda: None, signer=signer)
    try:
        wanted = sorted(state.value for state in states)
        query = sa.select(review, audit_payload.c.body).outerjoin_from(
            review,
            audit_payload,
            sa.and_(audit_payload.c.shard == review.c.shard, audit_payload.c.seq == review.c.seq),
        )
        query = query.where(review.c.state.in_(wanted)).order_by(review.c.due_at, review.c.id)
        if organisation is not None:
            query = query.where(review.c.organisation == organisation)
        with engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        found = [_item(row) for row in sorted(rows, key=pressing)]
        said = {"states": wanted, "organisation": organisation}
        payload = {"caller": {"command": "contactpoint reviews"}, "filter": said, "count": len(found)}
        await log.append(EventKind.REVIEW, payload)
        return found
    finally:
        log.close()
        # what this command recorded is not left for the next gateway to sign
        Checkpointer(engine, log, keys.key_id, signer).close()
        engine.dispose()


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item with what its record in the log says; nothing of the child, and nothing for a purged record."""
    recorded: Mapping[str, Any] = msgspec.json.decode(row["body"]) if row["body"] is not None else {}
    caller = recorded.get("caller") or {}
    named = caller.get("onBehalfOf") or {}
    found = found_of(row)
    return {name: row[name] for name in _SHOWN} | {
        "severity": severity_of(row).value,
        "rules": found["rules"],
        "findings": found["words"],
        "explainedBy": found["explained"],
        "receipt": row["receipt"],
        "relatedReceipts": found["receipts"],
        "person": named.get("subject") or caller.get("subject"),
        "name": caller.get("name"),
        "roles": caller.get("roles"),
        "reason": recorded.get("reason"),
        "caseReference": recorded.get("caseReference"),
        "justification": (recorded.get("override") or {}).get("justification"),
    }


def _lines(item: Mapping[str, Any]) -> str:
    who = f"{item['name'] or '(no name)'} ({item['person']}), {', '.join(item['roles'] or ())}, {item['organisation']}"
    lines = [
        f"{item['state']}  {item['severity']}  due {item['due_at']}  opened {item['opened_at']}  {item['id']}",
        f"  {item['kind']} {' '.join(item['rules'])}"
        + (f", explained by {item['explainedBy']}" if item["explainedBy"] else ""),
    ]
    if item["organisation"]:
        lines += [f"  {who}", f"  {item['purpose']}: {item['reason']}"]
    lines += [f"  {words}" for words in item["findings"]]
    if item["justification"]:
        lines.append(f"  Justification: {item['justification']}")
    if item["relatedReceipts"]:
        lines.append(f"  With {len(item['relatedReceipts'])} other lookups: see --json")
    return "\n".join(plain(line) for line in lines)
