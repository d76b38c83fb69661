"""`contactpoint check-config`: whether a configuration can be served, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from auth.idle_grants import idle_grants
from gateway import configured
from gateway.commands.errors import OneLineCommand
from gateway.detection.feeds import FeedFault, check_feeds
from gateway.legal_day import legal_today
from gateway.settings import Fault, Settings, SettingsFault, audit_key_file
from gateway.settings_reading import load
from gateway.storage.errors import StorageError
from gateway.storage.urls import parsed_url, sqlite_file
from gateway.tracing.configured import check_tracing


@click.command("check-config", cls=OneLineCommand)
@click.option(
    "--config", "file", required=True, metavar="FILE", type=click.Path(path_type=Path), help="TOML configuration."
)
def check_config(file: Path) -> None:
    """Say what is wrong with a configuration, its agreements and feeds, a line for each fault; exit 2 if anything is.

    Warns of grants that can open nothing, which is no fault: a hard rule stands over them, or no purpose has commenced.
    Opens no database and asks no agency.

    \b
    Example:
      contactpoint check-config --config gateway.toml
    """
    settings, faults = _checked(file)
    for fault in faults:
        click.echo(fault.line, err=True)
    if faults or settings is None:
        raise SystemExit(2)
    for line in _warnings(settings):
        click.echo(f"{file}: warning: agreements: {line}", err=True)
    click.echo(f"{file}: good")


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


def _warnings(settings: Settings) -> list[str]:
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
        raise SettingsFault([Fault("agreements.directory", what, f"agreements: {what}") for what in told])


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
