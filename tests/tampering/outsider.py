"""The witness of another organisation: the program itself, with its own key and its own store, asked in process.

It learns of the log what a log brings to it, and nothing else.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from gateway.audit.checkpoints import parse_checkpoint, parse_size
from gateway.audit.merkle import Fetch, consistency_proof
from gateway.audit.notes import VerifierKey, parse_note, parse_signatures
from gateway.audit.witnessing.keys import WitnessKeys
from gateway.audit.witnessing.protocol import format_submission
from gateway.audit.witnessing.server import Witness
from gateway.audit.witnessing.store import FILE, WitnessStore, witnessed_notes

NAME = "witness.example"
COSIGNED, STALE, CONTRADICTED = 200, 409, 422


class Outsider:
    """A witness that can be put back to what it remembered at one moment, for each attack is made on one same log."""

    def __init__(self, folder: Path) -> None:
        self._keys = WitnessKeys(NAME, bytes(range(32)))
        self._folder = folder
        self._remembered = folder / "remembered.db"
        self._logs: Sequence[tuple[str, VerifierKey]] = ()
        self._store: WitnessStore | None = None
        self._witness: Witness | None = None

    @property
    def key(self) -> VerifierKey:
        """The verifier key that the log names."""
        return self._keys.cosigners[0].key

    def know(self, log: VerifierKey) -> None:
        """Take checkpoints of every log that this key signs."""
        self._logs = [(f"{log.name}/", log)]
        self._open()

    def notes(self) -> dict[str, bytes]:
        """Return what its store holds, by the name of the log."""
        return {parse_checkpoint(parse_note(raw).text).origin: raw for raw in witnessed_notes(self._folder)}

    def ask(self, old: int, note: bytes, nodes: Fetch) -> tuple[int, str]:
        """Bring a note as a log does that was last cosigned at `old`; return the last answer's status and body.

        A log that the witness tells another size builds on that one, if it can.
        """
        assert self._witness is not None
        size = parse_checkpoint(parse_note(note).text).size
        while True:
            proof = consistency_proof(old, size, nodes) if 0 < old < size else []
            answer = self._witness.add_checkpoint(format_submission(old, proof, note))
            if answer.status != STALE or parse_size(answer.body.strip()) > size:
                return answer.status, answer.body
            old = parse_size(answer.body.strip())

    def cosign(self, old: int, note: bytes, nodes: Fetch) -> bytes:
        """Bring a note; return the line of its first key."""
        status, body = self.ask(old, note, nodes)
        assert status == COSIGNED, status
        return next(each for each in parse_signatures(body) if self.key.made(each)).line().encode()

    def remember(self) -> None:
        """Keep what is remembered now, for `again`."""
        self._close()
        shutil.copyfile(self._folder / FILE, self._remembered)
        self._open()

    def again(self) -> None:
        """Remember what was remembered then, as if nothing had been brought since."""
        self._close()
        shutil.copyfile(self._remembered, self._folder / FILE)
        self._open()

    def forget(self) -> None:
        """Lose the store, and go on with the key."""
        self._close()
        (self._folder / FILE).unlink()
        self._open()

    def close(self) -> None:
        self._close()

    def _open(self) -> None:
        self._store = WitnessStore(self._folder)
        self._witness = Witness(self._keys, self._store, self._logs)

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = self._witness = None
