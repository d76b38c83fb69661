"""`contactpoint access`: who may see what, for those who answer for it."""

from __future__ import annotations

import csv
import html
import io
import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import click

from auth import agreement_files
from auth.access_matrix import COLUMNS, Asked, Verdict, difference, explain, row_of
from auth.paths import SCOPES
from auth.sharing import AgreementSet, open_cells
from gateway.commands.errors import CommandError, OneLineCommand, OneLineGroup
from gateway.commands.serve import loaded
from gateway.settings import Settings
from schema.vocabulary import AgencyKind, Assurance, Purpose, Relationship, Role

_PAGE_COLUMNS, _ORGANISATIONS_COLUMNS, _FIELDS_COLUMNS = 160, 20, 28  # a path is 26 at most

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
    """Who may see what, and why."""


@access.command("matrix", cls=OneLineCommand)
@click.option("--format", "form", type=click.Choice(["text", "csv", "html"]), default="text", show_default=True)
@_CONFIG
@_AGREEMENTS
def matrix(form: str, file: Path | None, directory: Path | None) -> None:
    """Print every open cell: custodian, organisation kind, role, purpose, relationship, assurance, field.

    What is not printed is closed. Neither --config nor --agreements: the set shipped with this version.

    \b
    Examples:
      contactpoint access matrix
      contactpoint access matrix --format csv --agreements ./agreements
    """
    agreements = _set(file, directory)
    rows = [row_of(cell) for cell in open_cells(agreements, _today())]
    if form == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
        click.echo(out.getvalue(), nl=False)
    elif form == "html":
        click.echo(_html(agreements, rows))
    else:
        _print_text(agreements, rows)


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
    as_json: bool,
    file: Path | None,
    directory: Path | None,
) -> None:
    """Say of one field, for one asker, whether it is open, and each condition's verdict.

    With --config a connector without an agreement of its own is judged by those of its kind, as a lookup is.

    \b
    Example:
      contactpoint access explain --organisation northshire-council --role social_worker --purpose CP_S47
        --custodian kind:POLICE --field police.events --agreements ./agreements
    """
    agreements, settings = _set_and_settings(file, directory)
    holder = _named_by_agreements(custodian, agreements, settings)
    asked = Asked(
        organisation, Role(role), Purpose(purpose), Relationship(relationship), Assurance(assurance), holder, path
    )
    is_open, verdicts = explain(agreements, asked, _today())
    if holder != custodian:
        verdicts.insert(0, Verdict("custodian", True, f"no agreement of its own: those of {holder}"))
    if not any(a.custodian == holder for a in agreements.agreements):
        verdicts.append(Verdict("custodian", False, f"no agreement speaks of {holder}"))
    if as_json:
        listed = [{"about": v.about, "holds": v.holds, "why": v.why} for v in verdicts]
        click.echo(json.dumps({"open": is_open, "scope": SCOPES[path], "verdicts": listed}))
        return
    width = max(len(v.about) for v in verdicts)
    for verdict in verdicts:
        click.echo(f"{'yes' if verdict.holds else 'NO ':<3}  {verdict.about:<{width}}  {verdict.why}")
    click.echo(f"{path} is {'open' if is_open else 'closed'}; a token also needs the scope {SCOPES[path]}")


@access.command("diff", cls=OneLineCommand)
@click.argument("before", type=click.Path(path_type=Path), metavar="BEFORE")
@click.argument("after", type=click.Path(path_type=Path), metavar="AFTER")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def diff(before: Path, after: Path, as_json: bool) -> None:
    """Compare two directories of agreements. Exit 1 when something opens, else 0.

    \b
    Example:
      contactpoint access diff agreements-in-force agreements-proposed
    """
    found = difference(_read(before), _read(after), _today())
    if as_json:
        opens, closes = (
            [dict(zip(COLUMNS, row_of(c), strict=True)) for c in cells] for cells in (found.opens, found.closes)
        )
        click.echo(json.dumps({"opens": opens, "closes": closes}))
    else:
        for word, cells in (("opens", found.opens), ("closes", found.closes)):
            for cell in cells:
                click.echo(f"{word:<6}  {'  '.join(row_of(cell))}")
        click.echo(f"{len(found.opens)} open, {len(found.closes)} close")
    raise SystemExit(1 if found.opens else 0)


def _today() -> date:
    return datetime.now(UTC).date()


def _set(file: Path | None, directory: Path | None) -> AgreementSet:
    return _set_and_settings(file, directory)[0]


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
    kinds = {str(c.get("id")): str(c.get("kind")) for c in settings.connectors} if settings else {}
    if custodian in named or custodian in {f"kind:{kind.value}" for kind in AgencyKind}:
        return custodian
    if custodian in kinds:
        return f"kind:{kinds[custodian]}"
    there = ", ".join(sorted(named | kinds.keys())) or "no agreement and no connector"
    hint = "" if settings else "; --config FILE knows its connectors too"
    raise CommandError(f"no such custodian; there are: {there}{hint}")


def _read(directory: Path) -> AgreementSet:
    try:
        return agreement_files.load(directory)
    except agreement_files.AgreementsUnreadable as fault:
        raise CommandError(str(fault)) from None


def _grouped(rows: Iterable[Sequence[str]]) -> dict[tuple[str, ...], list[str]]:
    """Rows that differ in the field alone, as one: a governance lead reads askers, not cells."""
    found: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        found.setdefault((*row[:6], row[8]), []).append(row[6])
    return found


def _print_text(agreements: AgreementSet, rows: Sequence[Sequence[str]]) -> None:
    heads = ("custodian", "organisation kind", "role", "purpose", "relationship", "assurance", "organisations")
    grouped = _grouped(rows)
    widths = [max([len(head), *(len(key[i]) for key in grouped)]) for i, head in enumerate(heads)]
    widths[-1] = min(widths[-1], _ORGANISATIONS_COLUMNS)
    left = max(_FIELDS_COLUMNS, _PAGE_COLUMNS - sum(widths) - 2 * len(widths))
    click.echo("  ".join(f"{head:<{width}}" for head, width in zip(heads, widths, strict=True)) + "  fields")
    for (*cells, organisations), fields in grouped.items():
        # what does not fit stands under itself, so that an asker stays one entry
        named, opened = (
            textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
            for text, width in ((organisations, widths[-1]), (" ".join(fields), left))
        )
        for i in range(max(len(named), len(opened))):
            line = [*(cells if i == 0 else [""] * len(cells)), named[i] if i < len(named) else ""]
            text = "  ".join(f"{v:<{w}}" for v, w in zip(line, widths, strict=True))
            click.echo(f"{text}  {opened[i] if i < len(opened) else ''}".rstrip())
    click.echo(f"\n{len(rows)} open cells; agreements {agreements.version}; what is not printed is closed")
    sys.stdout.flush()


def _html(agreements: AgreementSet, rows: Sequence[Sequence[str]]) -> str:
    heads = (
        "Custodian",
        "Organisation kind",
        "Role",
        "Purpose",
        "Relationship",
        "Assurance",
        "Organisations",
        "Fields",
    )
    body = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in (*key, " ".join(fields))) + "</tr>"
        for key, fields in _grouped(rows).items()
    )
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heads)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Who may see what</title>'
        "<style>body{font:16px/1.5 sans-serif;margin:2rem}table{border-collapse:collapse}"
        "th,td{text-align:left;vertical-align:top;padding:.25rem .75rem;border-bottom:1px solid #505a5f}</style>"
        "</head>\n"
        f"<body><h1>Who may see what</h1>\n<p>{len(rows)} open cells; agreements {html.escape(agreements.version)}. "
        "What is not in the table is closed. A token also needs the scope of each field.</p>\n"
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></body></html>"
    )
