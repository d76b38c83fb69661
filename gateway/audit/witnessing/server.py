"""A witness: takes checkpoints of the logs it knows, and cosigns those that continue what it has cosigned before.

C2SP tlog-witness, `add-checkpoint` and the monitors' `checkpoint`, status for status.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.audit.merkle import EMPTY_ROOT, ProofRefused, verify_consistency
from gateway.audit.notes import Note, NoteRefused, SignatureRefused, VerifierKey, parse_note, verify_note
from gateway.audit.witnessing.keys import WitnessKeys
from gateway.audit.witnessing.protocol import MOST_BYTES, SIZE_TYPE, Submission, parse_submission
from gateway.audit.witnessing.store import Newest, Stale, WitnessStore


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets."""

    status: int
    body: str = ""
    media_type: str = "text/plain"


class Witness:
    """Decides on submissions. Blocks; may be used from any thread."""

    def __init__(self, keys: WitnessKeys, store: WitnessStore, logs: Iterable[tuple[str, VerifierKey]]) -> None:
        """`logs` says for which prefix of origins which key signs; for one prefix, several may."""
        self._keys = keys
        self._store = store
        self._logs = tuple(logs)

    def add_checkpoint(self, body: bytes) -> Answer:
        """Return the answer to a submission; a cosignature only once the checkpoint is on disk."""
        try:
            submission = parse_submission(body)
        except NoteRefused as refused:
            return Answer(400, f"{refused}\n")
        trusted = [key for prefix, key in self._logs if submission.checkpoint.origin.startswith(prefix)]
        if not trusted:
            return Answer(404, "this witness does not know the log\n")
        try:
            verify_note(submission.note, trusted)
        except SignatureRefused as refused:
            return Answer(403, f"{refused}\n")
        if submission.old > submission.checkpoint.size:
            return Answer(400, "the old size is above the checkpoint's\n")
        lines: list[str] = []

        def seal(newest: Newest | None) -> bytes:
            if newest is not None:
                _check_signer(submission, parse_note(newest.note), trusted)
            _check(submission, None if newest is None else newest.root)
            at = int(time.time())
            made = tuple(each.cosign(submission.checkpoint, at) for each in self._keys.cosigners)
            lines.extend(each.line() for each in made)
            signed = tuple(s for s in submission.note.signatures if any(key.made(s) for key in trusted))
            return Note(submission.note.text, signed + made).encode()

        try:
            self._store.advance(submission.old, submission.checkpoint, seal)
        except Stale as stale:
            return Answer(409, f"{stale.size}\n", SIZE_TYPE)
        except SignatureRefused as refused:
            return Answer(403, f"{refused}\n")
        except ProofRefused as refused:
            self._store.refuse(body)
            return Answer(422, f"{refused}\n")
        return Answer(200, "".join(lines))

    def checkpoint(self, origin_hash: str) -> Answer:
        """Return the newest cosigned checkpoint of the log whose origin has this SHA-256 in hex."""
        note = self._store.note(origin_hash, lambda origin: sha256(origin.encode()).hexdigest())
        return Answer(404) if note is None else Answer(200, note.decode())


def _check_signer(submission: Submission, newest: Note, trusted: Sequence[VerifierKey]) -> None:
    """Raise SignatureRefused if another log's key signs what continues a log, and that log's own key is still known.

    Gateways have keys of one name, and their logs names of one prefix: the key alone tells them apart.
    """
    own = [key for key in trusted if any(key.made(each) for each in newest.signatures)]
    if own:
        verify_note(submission.note, own)


def _check(submission: Submission, root: bytes | None) -> None:
    """Raise ProofRefused unless the checkpoint continues the tree with this root, or begins one."""
    checkpoint, old = submission.checkpoint, submission.old
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise ProofRefused("an empty log has the root of the empty tree")
    if old == 0 or root is None:
        if submission.proof:
            raise ProofRefused("the empty tree needs no proof")
        return
    verify_consistency(old, root, checkpoint.size, checkpoint.root, submission.proof)


def witness_application(witness: Witness) -> Starlette:
    """Return the ASGI application of a witness."""

    async def add_checkpoint(request: Request) -> Response:
        body = b""
        try:
            async for part in request.stream():
                body += part
                if len(body) > MOST_BYTES:
                    return PlainTextResponse("the request is too large\n", 413)
        except ClientDisconnect:
            return Response(status_code=400)
        return _response(await run_in_threadpool(witness.add_checkpoint, body))

    async def checkpoint(request: Request) -> Response:
        return _response(await run_in_threadpool(witness.checkpoint, request.path_params["origin"]))

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{origin}/checkpoint", checkpoint, methods=["GET"]),
        ]
    )


def _response(answer: Answer) -> Response:
    headers = {"Cache-Control": "no-store"}
    if answer.media_type == SIZE_TYPE:
        # exactly this type: Starlette would add a character set to a text type
        return Response(answer.body, answer.status, {**headers, "Content-Type": SIZE_TYPE})
    return PlainTextResponse(answer.body, answer.status, headers)
