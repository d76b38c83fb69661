"""Brings a log's checkpoints to one witness, and keeps what it cosigns."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import Final

import httpx
import sqlalchemy as sa

from gateway.audit.checkpoints import parse_checkpoint, parse_size
from gateway.audit.cosignatures import verify_cosignature
from gateway.audit.errors import AuditDamaged
from gateway.audit.merkle import consistency_proof
from gateway.audit.notes import NoteRefused, SignatureRefused, VerifierKey, parse_note, parse_signatures
from gateway.audit.recovery import origin_of
from gateway.audit.sealed import cosigned_size, last_note, store_cosignature, stored_nodes
from gateway.audit.witnessing.evidence import WitnessContradicts, check_held, held_size, shown
from gateway.audit.witnessing.protocol import MOST_BYTES, format_submission
from gateway.storage.engine import writing

_TRIES: Final = 3
_SECONDS: Final = 5.0
_HEADERS: Final = {"Accept-Encoding": "identity", "Content-Type": "text/plain; charset=utf-8"}


class WitnessUnavailable(Exception):
    """There was no cosignature this time; the message names the cause and nothing of the log."""


class WitnessClaims(WitnessUnavailable):
    """It says that the log was rolled back or rewritten, and shows nothing signed that the log does not bear out."""


class WitnessClient:
    """One witness, as one log sees it. Used by one thread."""

    def __init__(
        self, engine: sa.Engine, client: httpx.Client, url: str, key: VerifierKey, log_key: VerifierKey
    ) -> None:
        """`key` is the witness's, `log_key` that of whoever signs this log."""
        self._engine = engine
        self._client = client
        self._url = url.rstrip("/")
        self.key = key
        self._log_key = log_key
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
                cosigned = cosigned_size(connection, shard, [self.key.label])
                if cosigned > checkpoint.size and cosigned > held_size(connection, shard):
                    # what it has cosigned was here when it did, and is not any more
                    raise WitnessContradicts("a witness has cosigned more than is stored: it was rolled back", cosigned)
                if cosigned >= checkpoint.size:
                    return False
                if old > checkpoint.size:
                    self._known[shard] = cosigned
                    raise WitnessUnavailable("it has seen a later checkpoint, of another process")
                try:
                    proof = (
                        consistency_proof(old, checkpoint.size, stored_nodes(connection, shard))
                        if 0 < old < checkpoint.size
                        else []
                    )
                except AuditDamaged:
                    raise WitnessUnavailable("the stored tree cannot be proven from") from None
            status, body = self._asked("POST", "/add-checkpoint", format_submission(old, proof, raw))
            if status == httpx.codes.CONFLICT:
                size = _size(body)
                with self._engine.connect() as connection:
                    held = held_size(connection, shard)
                self._known[shard] = size if size <= held else self._shown(shard)
                continue
            if status == httpx.codes.UNPROCESSABLE_ENTITY:
                self._known[shard] = self._shown(shard)
                continue
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
        raise WitnessUnavailable("it goes on refusing what continues the checkpoint that it has seen")

    def _shown(self, shard: str) -> int:
        """Return the size of what the witness can show that it has cosigned of the log, which the log bears out.

        Raises WitnessContradicts if the log does not, and WitnessClaims if nothing that both have signed is shown.
        """
        self._known.pop(shard, None)
        origin = origin_of(shard)
        status, raw = self._asked("GET", f"/{sha256(origin.encode()).hexdigest()}/checkpoint")
        try:
            cosigned = shown(raw if status == httpx.codes.OK else b"", origin, self._log_key, self.key)
        except (NoteRefused, SignatureRefused):
            raise WitnessClaims("it says that the log was rolled back or rewritten, and shows no proof") from None
        try:
            with self._engine.connect() as connection:
                check_held(connection, shard, cosigned)
        except AuditDamaged:
            raise WitnessUnavailable("the stored tree cannot be compared with what it has cosigned") from None
        return cosigned.size

    def _asked(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        give_up = time.monotonic() + _SECONDS
        url = self._url + path
        try:
            with self._client.stream(method, url, content=body, headers=_HEADERS, timeout=_SECONDS) as response:
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
