"""What a witness remembers: of each log the newest checkpoint that it has cosigned, on disk before it answers.

A database of its own, in a folder of its own, that no gateway needs to reach.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.audit.checkpoints import Checkpoint

FILE: Final = "witness.db"
_SQLITE: Final = b"SQLite format 3\0"
_MOST_REFUSED: Final = 1_000
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS witnessed (
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL, at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS refused (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, request BLOB NOT NULL);
"""


class WitnessStoreRefused(Exception):
    """The store cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Stale(Exception):
    """The log does not build on the newest checkpoint of it that this witness has cosigned, which has this size."""

    size: int


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest checkpoint of a log that was cosigned: its root, and the note with every signature."""

    root: bytes
    note: bytes


class WitnessStore:
    """One witness's memory; may be used from any thread, one at a time."""

    def __init__(self, folder: Path) -> None:
        """Raises WitnessStoreRefused."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._database = sqlite3.connect(folder / FILE, isolation_level=None, check_same_thread=False, timeout=10)
            # a rollback journal, synced with its directory: what is answered has survived a power cut
            self._database.execute("PRAGMA journal_mode=DELETE")
            self._database.execute("PRAGMA synchronous=EXTRA")
            self._database.executescript(_TABLES)
        except (OSError, sqlite3.Error):
            raise WitnessStoreRefused(f"{folder}: the witness's store cannot be made or opened there") from None
        self._turn = threading.Lock()

    def advance(self, old: int, checkpoint: Checkpoint, seal: Callable[[Newest | None], bytes]) -> None:
        """Put a checkpoint in the place of the newest one of its log, which must have `old` leaves; on disk on return.

        `seal` is given the newest (None if there is none) and returns the note to keep; what it raises is
        raised, with nothing changed. Raises Stale. Check and change are one transaction: of two that come at once, the
        second finds the first.
        """
        with self._turn:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                row = self._database.execute(
                    "SELECT size, root, note FROM witnessed WHERE origin = ?", (checkpoint.origin,)
                ).fetchone()
                size, newest = (0, None) if row is None else (row[0], Newest(bytes(row[1]), bytes(row[2])))
                if size != old:
                    raise Stale(size)  # noqa: TRY301 - rolled back below, like what `seal` raises
                note = seal(newest)
                self._database.execute(
                    "INSERT OR REPLACE INTO witnessed VALUES (?, ?, ?, ?, ?)",
                    (checkpoint.origin, checkpoint.size, checkpoint.root, note, int(time.time())),
                )
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def refuse(self, request: bytes) -> None:
        """Keep a request that contradicts what was cosigned: it is signed by the log, and proof of its misbehaviour."""
        with self._turn:
            self._database.execute("INSERT INTO refused (at, request) VALUES (?, ?)", (int(time.time()), request))
            # the first ones are the evidence; a flood of later ones does not push them out
            self._database.execute(
                "DELETE FROM refused WHERE id NOT IN (SELECT id FROM refused ORDER BY id LIMIT ?)", (_MOST_REFUSED,)
            )

    def note(self, origin_hash: str, hashed: Callable[[str], str]) -> bytes | None:
        """Return the newest note of the log whose origin has this hash, or None."""
        with self._turn:
            origins = [origin for (origin,) in self._database.execute("SELECT origin FROM witnessed")]
            for origin in origins:
                if hashed(origin) == origin_hash:
                    found = self._database.execute("SELECT note FROM witnessed WHERE origin = ?", (origin,)).fetchone()
                    return bytes(found[0])
        return None

    def close(self) -> None:
        self._database.close()


def is_store(place: Path) -> bool:
    """Return whether a witness's folder or database is there, rather than a single note. Raises WitnessStoreRefused."""
    try:
        with _file(place).open("rb") as opened:
            return opened.read(len(_SQLITE)) == _SQLITE
    except (OSError, ValueError):
        raise WitnessStoreRefused(f"{place}: there is no witness's store and no note") from None


def witnessed_notes(place: Path) -> list[bytes]:
    """Return the newest notes that a witness keeps: of its folder or its database, or of one note in a file.

    Raises WitnessStoreRefused when nothing of the kind is there, or the store holds none.
    """
    if not is_store(place):
        return [_file(place).read_bytes()]
    try:
        database = sqlite3.connect(f"{_file(place).resolve().as_uri()}?mode=ro", uri=True)
        try:
            found = [bytes(note) for (note,) in database.execute("SELECT note FROM witnessed ORDER BY origin")]
        finally:
            database.close()
    except sqlite3.Error:
        raise WitnessStoreRefused(f"{place}: there is no witness's store and no note") from None
    if not found:
        raise WitnessStoreRefused(f"{place}: this witness has not seen any log yet")
    return found


def _file(place: Path) -> Path:
    return place / FILE if place.is_dir() else place
