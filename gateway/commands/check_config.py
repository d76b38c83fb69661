"""`contactpoint check-config`: whether a configuration can be served, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from auth.idle_grants import IdleGrants, idle_grants
from gateway import configured
from gateway.commands.errors import OneLineCommand
from gateway.detection.feeds import FeedFault, check_feeds
from gateway.legal_day import legal_today
from gateway.settings import Fault, Settings, SettingsFault, audit_key_file
from gateway.settings_reading import load
from gateway.storage.errors import StorageError
from gateway.storage.urls import parsed_url, sqlite_file
from gateway.tracing.configured import check_tracing

_AGREEMENTS = "agreements.directory"


@click.command("check-config", cls=OneLineCommand)
@click.option(
    "--config", "file", required=True, metavar="FILE", type=click.Path(path_type=Path), help="TOML configuration."
)
@click.option("--json", "as_json", is_flag=True, help="For machines: faults and warnings too, on standard output.")
def check_config(file: Path, as_json: bool) -> None:
    """Say what is wrong with a configuration, its agreements and feeds, a line for each fault; exit 2 if anything is.

    Warns of grants that can open nothing, which is no fault: a hard rule stands over them, or no purpose has commenced.
    Opens no database and asks no agency.

    \b
    Examples:
      contactpoint check-config --config gateway.toml
      contactpoint check-config --config gateway.toml --json
    """
    settings, faults = _checked(file)
    good = None if faults else settings
    warnings = [] if good is None else _warnings(good)
    if as_json:
        click.echo(json.dumps(_machine(file, good, faults, warnings)))
    else:
        for fault in faults:
            click.echo(fault.line, err=True)
        for warning in warnings:
            click.echo(f"{file}: warning: agreements: {warning}", err=True)
    if good is None:
        raise SystemExit(2)
    if not as_json:
        click.echo(f"{file}: good")


def _machine(
    file: Path, good: Settings | None, faults: Sequence[Fault], warnings: Sequence[IdleGrants]
) -> dict[str, Any]:
    """Return what people are told, and how much was found: in numbers, so that no name or address is said back."""
    return {
        "file": str(file),
        "good": good is not None,
        "found": None if good is None else _found(good),
        "warnings": [{"code": each.idleness.value, "setting": _AGREEMENTS, "message": str(each)} for each in warnings],
        "faults": [{"setting": each.setting, "message": each.what} for each in faults],
    }


def _found(good: Settings) -> dict[str, int]:
    """Return how many of each a good configuration has. The shipped templates are left out: nobody is a party."""
    own = good.agreements.directory is not None
    return {
        "sources": len(good.connectors),
        "issuers": len(good.issuers),
        "agreements": len(configured.load_agreements(good).agreements) if own else 0,
    }


def _checked(file: Path) -> tuple[Settings | None, list[Fault]]:
    """Return what could be read of a configuration, and every fault of it, each with its file."""
    faults: list[Fault] = []
    settings: Settings | None
    try:
        settings = load(file)
    except SettingsFault as fault:
        faults, settings = list(fault.found), fault.rest
    if settings is not None:
        for check in _CHECKS:
            try:
                check(settings)
            except SettingsFault as fault:
                faults += [f if f.line.startswith("/") else replace(f, line=f"{file}: {f.line}") for f in fault.found]
    return settings, faults


def _warnings(settings: Settings) -> list[IdleGrants]:
    """Return what is no fault but should be known: grants that open nothing. The shipped templates are left out."""
    if settings.agreements.directory is None:
        return []
    kinds = {s.id: s.custodian.kind for s in configured.build_sources(settings)}
    return idle_grants(configured.load_agreements(settings), legal_today(), kinds)


def _check_custodians(settings: Settings) -> None:
    """Raise SettingsFault for agreements whose custodian is nobody here; serving warns of them."""
    try:
        agreements = configured.load_agreements(settings)
    except SettingsFault:
        return  # told already
    connectors = {str(entry.get("id")) for entry in settings.connectors}
    if unheld := configured.unheld_agreements(agreements, connectors):
        told = [f"{name}: its custodian is neither kind: nor the id of a connector" for name in unheld]
        raise SettingsFault([Fault(_AGREEMENTS, what, f"agreements: {what}") for what in told])


def _check_database(settings: Settings) -> None:
    """Raise SettingsFault for a database that is none of ours or cannot be made where it is to be. Opens nothing."""
    faults = []
    for name, url in (("url", settings.database.url), ("migrate_url", settings.database.migrate_url)):
        try:
            parsed = None if url is None else parsed_url(url)
        except StorageError as fault:
            faults.append(Fault.of(f"database.{name}", str(fault)))
            continue
        if parsed is not None and parsed.get_backend_name() == "sqlite" and not sqlite_file(parsed).parent.is_dir():
            faults.append(Fault.of(f"database.{name}", f"{sqlite_file(parsed).parent}: no such directory"))
    if not faults:
        audit_key_file(settings)
    if faults:
        raise SettingsFault(faults)


def _check_feeds(settings: Settings) -> None:
    """Raise SettingsFault for a workforce feed or a list of canaries that detection could not use."""
    faults: list[Fault] = []
    for name, files in (
        ("workforce_file", (settings.detection.workforce_file, None)),
        ("canaries_file", (None, settings.detection.canaries_file)),
    ):
        try:
            check_feeds(*files)
        except FeedFault as fault:
            faults += [Fault.in_another_file(f"detection.{name}", each) for each in fault.faults]
    if faults:
        raise SettingsFault(faults)


_CHECKS: tuple[Callable[[Settings], object], ...] = (
    configured.build_sources,
    configured.load_agreements,
    configured.key_sources,
    _check_custodians,
    _check_database,
    _check_feeds,
    check_tracing,
)
