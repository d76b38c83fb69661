"""What every report of `contactpoint audit report` has in common: its options, and where it goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gateway.audit.reports.rendering import FORMS
from gateway.commands.leaving import new_file
from gateway.commands.log_reading import config_option, data_option
from gateway.commands.progress_bar import progress_bar
from gateway.progress import Progress


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that every report has."""
    for option in (
        click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="Into a new file, mode 0600."),
        click.option("--format", "form", type=click.Choice(list(FORMS)), default="text", show_default=True),
        data_option,
        config_option,
    ):
        command = option(command)
    return command


def reading(form: str) -> AbstractContextManager[Progress]:
    """Show on a terminal that a report takes long to read, and how far that is; never where it is for machines."""
    return progress_bar("records", shown=for_people(form))


def for_people(form: str) -> bool:
    """Return whether people read a report of this form."""
    return form != "json"


def put(printed: str, out: Path | None) -> None:
    """Print a report, or write it to a new file, mode 0600. Raises CommandError."""
    if out is None:
        click.echo(printed, nl=False)
        return
    with new_file(out) as written:
        written.write(printed)


def now() -> str:
    """Return the moment as an RFC 3339 text in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
