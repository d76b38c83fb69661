"""`contactpoint reviews`: the overrides that wait for review, with what a reviewer needs to judge each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import sqlalchemy as sa

from gateway.audit.errors import AuditError
from gateway.audit.events import EventKind
from gateway.audit.keys import KeyFileRefused
from gateway.audit.log import AuditLog
from gateway.audit.recovery import keys_of_log
from gateway.audit.tables import audit_payload
from gateway.commands.errors import CommandError, OneLineCommand
from gateway.commands.rendering import plain
from gateway.commands.serve import loaded
from gateway.migrate import migrate
from gateway.reviews import WAITING
from gateway.settings import Settings, audit_key_file
from gateway.storage.engine import open_engine
from gateway.storage.errors import StorageError
from gateway.storage.tables import review
from schema.vocabulary import ReviewState

_SHOWN: Final = ("id", "state", "organisation", "purpose", "opened_at", "due_at", "decided_at", "note")


@click.command(name="reviews", cls=OneLineCommand)
@click.option("--config", "file", metavar="FILE", type=click.Path(path_type=Path), help="TOML configuration.")
@click.option("--organisation", metavar="ID", help="Only overrides of this organisation's people.")
@click.option("--all", "everything", is_flag=True, help="Also those that were decided.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def reviews(file: Path | None, organisation: str | None, everything: bool, as_json: bool) -> None:
    """List the overrides that wait for review: who, when, for what purpose, with which justification.

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
    log = AuditLog.open(engine, keys_of_log(engine, audit_key_file(settings)), on_fatal=lambda: None)
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
            found = [_item(dict(row)) for row in connection.execute(query).mappings()]
        said = {"states": wanted, "organisation": organisation}
        payload = {"caller": {"command": "contactpoint reviews"}, "filter": said, "count": len(found)}
        await log.append(EventKind.REVIEW, payload)
        return found
    finally:
        log.close()
        engine.dispose()


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item with what its OVERRIDE record says; nothing of the child, and nothing for a purged record."""
    recorded: Mapping[str, Any] = msgspec.json.decode(row["body"]) if row["body"] is not None else {}
    caller = recorded.get("caller") or {}
    named = caller.get("onBehalfOf") or {}
    return {name: row[name] for name in _SHOWN} | {
        "person": named.get("subject") or caller.get("subject"),
        "name": caller.get("name"),
        "roles": caller.get("roles"),
        "reason": recorded.get("reason"),
        "caseReference": recorded.get("caseReference"),
        "justification": (recorded.get("override") or {}).get("justification"),
    }


def _lines(item: Mapping[str, Any]) -> str:
    who = f"{item['name'] or '(no name)'} ({item['person']}), {', '.join(item['roles'] or ())}, {item['organisation']}"
    return "\n".join(
        plain(line)
        for line in (
            f"{item['state']}  due {item['due_at']}  opened {item['opened_at']}  {item['id']}",
            f"  {who}",
            f"  {item['purpose']}: {item['reason']}",
            f"  Justification: {item['justification']}",
        )
    )
