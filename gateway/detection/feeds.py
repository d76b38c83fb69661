"""The files that detection reads: the workforce feed and the list of canaries; read again when they change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.audit.keys import AuditKeys
from gateway.detection.workforce import NOBODY, PSEUDONYM, Workforce, WorkforceFault, read_workforce
from schema.identifiers import NHSNumber

_MOST_BYTES: Final = 512 * 1024 * 1024


class FeedFault(Exception):
    """A file cannot be used; `faults` has one line for each fault: file, line and rule, and no value."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Feeds:
    """Who works, and which children are fictitious."""

    workforce: Workforce
    canaries: frozenset[str]  # pseudonyms


def read_feeds(workforce_file: Path | None, canaries_file: Path | None, keys: AuditKeys) -> Feeds:
    """Return what the files say; a file that is not configured says nothing. Raises FeedFault."""

    def person_of(issuer: str, subject: str) -> str:
        return keys.opaque_id("person", issuer, subject)

    workforce, canaries = NOBODY, frozenset[str]()
    if workforce_file is not None:
        workforce = _workforce(workforce_file, person_of, keys.pseudonym)
    if canaries_file is not None:
        canaries = _canaries(canaries_file, keys.pseudonym)
    return Feeds(workforce, canaries)


def check_feeds(workforce_file: Path | None, canaries_file: Path | None) -> None:
    """Raise FeedFault with every fault of both files, as `read_feeds` would find them; needs no key.

    Nobody gets a pseudonym: that one person stands in the feed by name and again by pseudonym is not seen here.
    """

    def person_of(issuer: str, subject: str) -> str:
        return f"{issuer}\n{subject}"

    faults: list[str] = []
    for file, check in (
        (workforce_file, lambda found: _workforce(found, person_of, str)),
        (canaries_file, lambda found: _canaries(found, str)),
    ):
        if file is not None:
            try:
                check(file)
            except FeedFault as fault:
                faults += fault.faults
    if faults:
        raise FeedFault(faults)


def stamp(*files: Path | None) -> tuple[object, ...]:
    """Return what changes when one of the files does."""
    found: list[object] = []
    for file in files:
        try:
            stat = file.stat() if file is not None else None
        except OSError:
            stat = None
        found.append(None if stat is None else (stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)


def _workforce(file: Path, person_of: Callable[[str, str], str], child_of: Callable[[str], str]) -> Workforce:
    try:
        return read_workforce(_text(file), person_of, child_of)
    except WorkforceFault as fault:
        raise FeedFault([f"{file}: {each}" for each in fault.faults]) from None


def _canaries(file: Path, child_of: Callable[[str], str]) -> frozenset[str]:
    found: set[str] = set()
    faults: list[str] = []
    for line, text in enumerate(_text(file).splitlines(), start=1):
        word = text.partition("#")[0].strip()
        if not word:
            continue
        if PSEUDONYM.fullmatch(word):
            found.add(word)
            continue
        try:
            found.add(child_of(NHSNumber(word)))
        except ValueError:
            faults.append(f"{file}: line {line}: must be an NHS number or a pseudonym")
    if faults:
        raise FeedFault(faults)
    return frozenset(found)


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise FeedFault([f"{file}: is too large"])
        return file.read_text(encoding="utf-8")
    except OSError as fault:
        raise FeedFault([f"{file}: {fault.strerror}"]) from None
    except UnicodeDecodeError:
        raise FeedFault([f"{file}: is not UTF-8"]) from None
