"""Brings a log's checkpoints to one witness, and keeps what it cosigns."""

from __future__ import annotations

import time
from typing import Final

import httpx
import sqlalchemy as sa

from gateway.audit.checkpoints import parse_checkpoint, parse_size
from gateway.audit.cosignatures import verify_cosignature
from gateway.audit.errors import AuditDamaged
from gateway.audit.merkle import consistency_proof
from gateway.audit.notes import NoteRefused, SignatureRefused, VerifierKey, parse_note, parse_signatures
from gateway.audit.sealed import cosigned_size, last_note, store_cosignature, stored_nodes
from gateway.audit.tables import audit_leaf
from gateway.audit.witnessing.protocol import MOST_BYTES, format_submission
from gateway.storage.engine import writing

_TRIES: Final = 3
_SECONDS: Final = 5.0
_HEADERS: Final = {"Accept-Encoding": "identity", "Content-Type": "text/plain; charset=utf-8"}


class WitnessUnavailable(Exception):
    """There was no cosignature this time; the message names the cause and nothing of the log."""


class WitnessContradicts(Exception):
    """The witness has cosigned what this log no longer holds: it was rolled back or rewritten. `size` is where."""

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class WitnessClient:
    """One witness, as one log sees it. Used by one thread."""

    def __init__(self, engine: sa.Engine, client: httpx.Client, url: str, key: VerifierKey) -> None:
        self._engine = engine
        self._client = client
        self._url = url.rstrip("/") + "/add-checkpoint"
        self.key = key
        self._known: dict[str, int] = {}

    def submit(self, shard: str) -> bool:
        """Have the newest stored checkpoint of a shard cosigned; return whether there was one to bring.

        Raises WitnessUnavailable and WitnessContradicts, and sqlalchemy errors.
        """
        for _ in range(_TRIES):
            with self._engine.connect() as connection:
                if shard not in self._known:
                    self._known[shard] = cosigned_size(connection, shard, [self.key.label])
                raw = last_note(connection, shard)
                if raw is None:
                    return False
                note = parse_note(raw)
                checkpoint = parse_checkpoint(note.text)
                old = self._known[shard]
                if cosigned_size(connection, shard, [self.key.label]) >= checkpoint.size:
                    return False
                if old > checkpoint.size:
                    self._known[shard] = self._believed(connection, shard, old)
                    raise WitnessUnavailable("it has seen a later checkpoint, of another process")
                try:
                    proof = (
                        consistency_proof(old, checkpoint.size, stored_nodes(connection, shard))
                        if 0 < old < checkpoint.size
                        else []
                    )
                except AuditDamaged:
                    raise WitnessUnavailable("the stored tree cannot be proven from") from None
            status, body = self._post(format_submission(old, proof, raw))
            if status == httpx.codes.CONFLICT:
                with self._engine.connect() as connection:
                    self._known[shard] = self._believed(connection, shard, _size(body))
                continue
            if status == httpx.codes.UNPROCESSABLE_ENTITY:
                raise WitnessContradicts("a witness has cosigned another log under this name", old)
            if status != httpx.codes.OK:
                raise WitnessUnavailable(f"it answered {status}")
            try:
                made = [each for each in parse_signatures(body.decode("utf-8")) if self.key.made(each)]
                if not made:
                    raise SignatureRefused("it signed with another key")  # noqa: TRY301
                verify_cosignature(self.key, checkpoint, made[0])
            except (ValueError, SignatureRefused):
                raise WitnessUnavailable("its cosignature does not verify") from None
            with writing(self._engine).begin() as connection:
                line = made[0].line().encode()
                store_cosignature(connection, shard, checkpoint.size, self.key.label, line)
            self._known[shard] = checkpoint.size
            return True
        raise WitnessUnavailable("it goes on seeing other checkpoints")

    def _believed(self, connection: sa.Connection, shard: str, size: int) -> int:
        """Return the size that the witness has seen. Raises WitnessContradicts if the log does not hold as many."""
        last = connection.scalar(sa.select(sa.func.max(audit_leaf.c.seq)).where(audit_leaf.c.shard == shard))
        if size > (0 if last is None else int(last) + 1):
            raise WitnessContradicts("a witness has cosigned more than this log holds: it was rolled back", size)
        return size

    def _post(self, body: bytes) -> tuple[int, bytes]:
        give_up = time.monotonic() + _SECONDS
        try:
            with self._client.stream("POST", self._url, content=body, headers=_HEADERS, timeout=_SECONDS) as response:
                answer = b""
                for part in response.iter_bytes(1024):
                    answer += part
                    # httpx's own time is of each part alone
                    if len(answer) > MOST_BYTES or time.monotonic() > give_up:
                        raise WitnessUnavailable("its answer was too long")
                return response.status_code, answer
        except httpx.HTTPError as error:
            raise WitnessUnavailable(type(error).__name__) from None


def _size(body: bytes) -> int:
    try:
        return parse_size(body.decode("ascii").removesuffix("\n"))
    except (UnicodeDecodeError, NoteRefused):
        raise WitnessUnavailable("it did not say which size it has seen") from None
