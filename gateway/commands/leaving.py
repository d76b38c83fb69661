"""What leaves of the log: asked for by one person and approved by another where it names anybody, into a new file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from gateway.commands.errors import CommandError

_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Approval:
    """Who asks, who approves, and on what authority: each a line of text, and the two of them two people."""

    requested_by: str
    approved_by: str
    authority: str


def approval(requested_by: str, approved_by: str, authority: str) -> Approval:
    """Return the approval that was given on the command line. Raises CommandError."""
    found = Approval(
        _line(requested_by, "--requested-by"), _line(approved_by, "--approved-by"), _line(authority, "--authority")
    )
    if _words(found.requested_by) == _words(found.approved_by):
        raise CommandError("--approved-by must be another person than --requested-by")
    return found


@contextmanager
def new_file(out: Path) -> Iterator[TextIO]:
    """Open a file that was not there, and that nobody else may read from its first moment on. Raises CommandError."""
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            yield opened
    except OSError as error:
        raise CommandError(f"--out: {error.strerror}") from None


def _line(text: str, option: str) -> str:
    found = " ".join(text.split())
    if not 1 <= len(found) <= _LONGEST or not found.isprintable() or not _words(found):
        raise CommandError(f"{option} needs 1 to {_LONGEST} characters")
    return found


def _words(name: str) -> list[str]:
    """Return the words of a name in one order: the same for one person's name, however it is written."""
    return sorted("".join(c if c.isalnum() else " " for c in name.casefold()).split())
