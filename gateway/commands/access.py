"""`contactpoint access`: who may see what, for those who answer for it."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from datetime import datetime
from pathlib import Path

import click

from auth import agreement_files
from auth.access_changes import difference
from auth.access_matrix import COLUMNS, Asked, Verdict, explain, row_of
from auth.access_page import page_of
from auth.paths import SCOPES
from auth.sharing import AgreementSet, open_cells
from gateway.commands.access_diff import changes_as_json, changes_as_text
from gateway.commands.access_printing import as_html, as_markdown, as_text, cells_as_text
from gateway.commands.access_sheet import sheet_of
from gateway.commands.errors import CommandError, OneLineCommand, OneLineGroup
from gateway.commands.settings_file import loaded
from gateway.explaining import explain_child
from gateway.legal_day import legal_today
from gateway.settings import Settings
from schema.access_types import ChildState
from schema.vocabulary import AgencyKind, Assurance, Purpose, Relationship, Role, Scope

CHILDREN = tuple(state.value.lower().replace("_", "-") for state in ChildState)

_CONFIG = click.option(
    "--config", "file", metavar="FILE", type=click.Path(path_type=Path), help="The agreements of this configuration."
)
_AGREEMENTS = click.option(
    "--agreements",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The agreements of this directory.",
)


@click.group(cls=OneLineGroup)
def access() -> None:
    """Who may see what, and why.

    \b
    Examples:
      contactpoint access matrix --config gateway.toml --page
      contactpoint access explain --help
      contactpoint access diff agreements/ proposed/
    """


@access.command("matrix", cls=OneLineCommand)
@click.option(
    "--format", "form", type=click.Choice(["text", "csv", "html", "markdown"]), default="text", show_default=True
)
@click.option("--page", is_flag=True, help="Text as one page in words; html and markdown are that page always.")
@click.option("--on", "day", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), help="As it will be on that day.")
@_CONFIG
@_AGREEMENTS
def matrix(form: str, page: bool, day: datetime | None, file: Path | None, directory: Path | None) -> None:
    """Print who may see what: every open cell (text, csv), or one page in words (html, markdown, --page).

    A cell is custodian, organisation kind, role, purpose, relationship, assurance and field. What is not printed is
    closed. Neither --config nor --agreements: the set shipped with this version.

    \b
    Examples:
      contactpoint access matrix --page
      contactpoint access matrix --format csv --agreements ./agreements
      contactpoint access matrix --format html --on 2027-10-01 > who-sees-what.html
    """
    agreements, settings = _set_and_settings(file, directory)
    kinds = _kinds(settings) if settings else {}
    on = day.date() if day else legal_today()
    rows = [row_of(cell) for cell in open_cells(agreements, on, kinds)]
    if form == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
        click.echo(out.getvalue(), nl=False)
    elif form == "text" and not page:
        click.echo("\n".join(cells_as_text(agreements.version, rows)))
    else:
        printed = {"text": as_text, "html": as_html, "markdown": as_markdown}[form]
        click.echo(printed(sheet_of(page_of(agreements, on, kinds))).rstrip("\n"))
    sys.stdout.flush()


@access.command("explain", cls=OneLineCommand)
@click.option("--organisation", required=True, metavar="ID", help="The `org` claim of the caller's token.")
@click.option("--role", required=True, type=click.Choice([r.value for r in Role], case_sensitive=False), metavar="ROLE")
@click.option(
    "--purpose",
    required=True,
    type=click.Choice([p.value for p in Purpose], case_sensitive=False),
    metavar="PURPOSE",
)
@click.option("--custodian", required=True, metavar="ID|kind:KIND", help="A connector, or a kind.")
@click.option("--field", "path", required=True, type=click.Choice(sorted(SCOPES)), metavar="FIELD")
@click.option("--relationship", default="NONE", show_default=True, type=click.Choice([r.value for r in Relationship]))
@click.option("--assurance", default="STRONG", show_default=True, type=click.Choice([a.value for a in Assurance]))
@click.option("--child", type=click.Choice(CHILDREN), metavar="STATE", help=f"What is held: {', '.join(CHILDREN)}.")
@click.option("--appointed", is_flag=True, help="The asker is appointed to the child's case.")
@click.option("--override", is_flag=True, help="The asker uses break-glass and accepts its review.")
@click.option("--machine", is_flag=True, help="The asker is a system that names no practitioner.")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="A scope of the token; default: every scope.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@_CONFIG
@_AGREEMENTS
def explain_one(
    organisation: str,
    role: str,
    purpose: str,
    custodian: str,
    path: str,
    relationship: str,
    assurance: str,
    child: str | None,
    appointed: bool,
    override: bool,
    machine: bool,
    scopes: tuple[str, ...],
    as_json: bool,
    file: Path | None,
    directory: Path | None,
) -> None:
    """Say of one field, for one asker, whether a grant opens it; with --child, whether it would be told.

    Every rule gives its verdict, in the order of a lookup: token, policy, agreement and hard rules, corroboration,
    shield, what the row itself allows, and the door. With --config a connector without an agreement of its own is
    judged by those of its kind, as a lookup is. Exit 0 whatever the verdict, 2 for a mistake.

    \b
    Examples:
      contactpoint access explain --organisation northshire-council --role social_worker --purpose CP_S47 \\
        --custodian kind:POLICE --field police.events --agreements ./agreements
      contactpoint access explain --organisation northshire-nhs --role health_visitor --purpose CP_S47 \\
        --custodian kind:HEALTH --field involvements.sensitive --child sensitive --agreements ./agreements
    """
    agreements, settings = _set_and_settings(file, directory)
    holder = _named_by_agreements(custodian, agreements, settings)
    kinds = _kinds(settings) if settings else {}
    asked = Asked(
        organisation,
        Role(role),
        Purpose(purpose),
        Relationship(relationship),
        Assurance(assurance),
        holder,
        path,
        appointed=appointed,
        override=override,
    )
    if unknown := set(scopes) - set(Scope):
        raise CommandError(f"{len(unknown)} of the scopes are none; there are {', '.join(Scope)}")
    explained = explain_child(
        agreements,
        asked,
        ChildState(child.upper().replace("-", "_")) if child else ChildState.ORDINARY,
        legal_today(),
        now=time.time(),
        kinds=kinds,
        scopes=frozenset(scopes) or None,
        machine=machine,
    )
    verdicts = list(explained.verdicts) if child else explain(agreements, asked, legal_today(), kinds)[1]
    is_open = explained.open if child else explain(agreements, asked, legal_today(), kinds)[0]
    if holder != custodian:
        verdicts.insert(0, Verdict("custodian", True, f"no agreement of its own: those of {holder}"))
    if not any(a.custodian == holder for a in agreements.agreements):
        verdicts.append(Verdict("custodian", False, f"no agreement speaks of {holder}"))
    told = {"told": explained.told} if child else {}
    if as_json:
        listed = [{"about": v.about, "holds": v.holds, "why": v.why} for v in verdicts]
        click.echo(json.dumps({"open": is_open, **told, "scope": SCOPES[path], "verdicts": listed}))
        return
    width = max(len(v.about) for v in verdicts)
    for verdict in verdicts:
        click.echo(f"{'yes' if verdict.holds else 'NO ':<3}  {verdict.about:<{width}}  {verdict.why}")
    click.echo(f"{path} is {'open' if is_open else 'closed'}; a token also needs the scope {SCOPES[path]}")
    if child:
        click.echo(f"{path} is {'told' if explained.told else 'not told'} of such a child")


@access.command("diff", cls=OneLineCommand)
@click.argument("before", type=click.Path(path_type=Path), metavar="BEFORE")
@click.argument("after", type=click.Path(path_type=Path), metavar="AFTER")
@click.option("--cells", is_flag=True, help="A line for every cell, in place of the summary.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--config", "file", metavar="FILE", type=click.Path(path_type=Path), help="Knows each connector's kind.")
def diff(before: Path, after: Path, cells: bool, as_json: bool, file: Path | None) -> None:
    """Compare two directories of agreements: what opens and closes, today and on every later day that they name.

    Exit 1 when something opens, or is read silently, or may be appointed to; else 0.

    \b
    Examples:
      contactpoint access diff agreements-in-force agreements-proposed
      contactpoint access diff agreements-in-force agreements-proposed --config gateway.toml --json
    """
    kinds = _kinds(loaded(file)) if file else {}
    found = difference(_read(before), _read(after), legal_today(), kinds)
    if as_json:
        click.echo(json.dumps(changes_as_json(found)))
    else:
        for line in changes_as_text(found, each=cells, today=legal_today()):
            click.echo(line)
    raise SystemExit(1 if found.widens else 0)


def _set_and_settings(file: Path | None, directory: Path | None) -> tuple[AgreementSet, Settings | None]:
    if file is not None and directory is not None:
        raise CommandError("give one of --config and --agreements")
    settings = loaded(file) if file is not None else None
    if settings is not None:
        directory = settings.agreements.directory
    return _read(directory or agreement_files.SHIPPED), settings


def _named_by_agreements(custodian: str, agreements: AgreementSet, settings: Settings | None) -> str:
    """Return the custodian as the agreements that count for it name it: an id beats its kind.

    Raises CommandError, with the custodians that there are, if it is none of them.
    """
    named = {agreement.custodian for agreement in agreements.agreements}
    kinds = _kinds(settings) if settings else {}
    if custodian in named or custodian in {f"kind:{kind.value}" for kind in AgencyKind}:
        return custodian
    if custodian in kinds:
        return f"kind:{kinds[custodian]}"
    there = ", ".join(sorted(named | kinds.keys())) or "no agreement and no connector"
    hint = "" if settings else "; --config FILE knows its connectors too"
    raise CommandError(f"no such custodian; there are: {there}{hint}")


def _kinds(settings: Settings) -> dict[str, AgencyKind]:
    words = {str(c.get("id")): str(c.get("kind")) for c in settings.connectors}
    return {name: AgencyKind(kind) for name, kind in words.items() if kind in AgencyKind.__members__}


def _read(directory: Path) -> AgreementSet:
    try:
        return agreement_files.load(directory)
    except agreement_files.AgreementsUnreadable as fault:
        raise CommandError(str(fault)) from None
