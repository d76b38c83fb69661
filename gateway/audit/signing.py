"""Who signs the checkpoints of this gateway: an Ed25519 key and, beside it, an ML-DSA-44 key of the same owner.

One name for all shards: a shard is begun at any restart, and a witness must not have to be told of each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.audit.checkpoints import Checkpoint
from gateway.audit.cosignatures import MLDSA44Cosigner, post_quantum
from gateway.audit.keys import AuditKeys
from gateway.audit.notes import Note, NoteSigner, VerifierKey

LOG_KEY_NAME: Final = "contactpoint-gateway/audit"


class LogSigner:
    """The keys that sign checkpoints; shows nothing of them."""

    def __init__(self, seed: bytes, post_quantum_seed: bytes) -> None:
        self._signer = NoteSigner(LOG_KEY_NAME, seed)
        self._cosigner: MLDSA44Cosigner | None = post_quantum(LOG_KEY_NAME, post_quantum_seed)

    @classmethod
    def of(cls, keys: AuditKeys, separate: Path | None = None) -> LogSigner:
        """Return the signer of the audit key or, with a file, of the key in it, which is made if there is none.

        Raises KeyFileRefused.
        """
        if separate is not None:
            keys = AuditKeys.load_or_create(separate)
        return cls(keys.signing_seed, keys.post_quantum_seed)

    @property
    def key(self) -> VerifierKey:
        """The verifier key of every checkpoint."""
        return self._signer.key

    @property
    def cosigner(self) -> VerifierKey | None:
        """The verifier key of the post-quantum cosignatures, or None where `cryptography` offers none."""
        return None if self._cosigner is None else self._cosigner.key

    def sign(self, checkpoint: Checkpoint, *, cosigned_at: int | None = None) -> Note:
        """Return the signed note; with a POSIX time, our post-quantum cosignature of that time stands in it too."""
        text = checkpoint.text()
        signatures = [self._signer.sign(text)]
        if cosigned_at is not None and self._cosigner is not None:
            signatures.append(self._cosigner.cosign(checkpoint, cosigned_at))
        return Note(text, tuple(signatures))

    def announced(self) -> dict[str, str]:
        """Return the verifier keys as STARTED and OPENED hold them."""
        cosigner = self.cosigner
        return {"signer": str(self.key)} | ({} if cosigner is None else {"cosigner": str(cosigner)})
