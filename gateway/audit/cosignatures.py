"""Cosignatures: a witness's signature on a checkpoint, with the time at which it was made (C2SP tlog-cosignature).

Ed25519 (type 0x04) and ML-DSA-44 (type 0x06, FIPS 204), the latter where the installed `cryptography` offers it.
"""

from __future__ import annotations

import struct
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from gateway.audit.checkpoints import Checkpoint
from gateway.audit.notes import NoteRefused, Signature, SignatureRefused, SignatureType, VerifierKey

_TIME_SIZE: Final = 8
_LARGEST_TIME: Final = 2**63 - 1
_LABEL: Final = b"subtree/v1\n\0"
_SIGNATURE_SIZES: Final = {SignatureType.ED25519_COSIGNATURE: 64, SignatureType.ML_DSA_44_COSIGNATURE: 2420}


class Cosigner(Protocol):
    """Cosigns checkpoints with one key."""

    @property
    def key(self) -> VerifierKey: ...

    def cosign(self, checkpoint: Checkpoint, at: int) -> Signature:
        """Return the cosignature of a checkpoint, made at a POSIX time. Raises NoteRefused for a time not above 0."""
        ...


class Ed25519Cosigner:
    """Signs `cosignature/v1`, the time and the checkpoint's text."""

    __slots__ = ("_private", "key")

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.key = VerifierKey(name, SignatureType.ED25519_COSIGNATURE, public)

    def cosign(self, checkpoint: Checkpoint, at: int) -> Signature:
        """Return the cosignature."""
        return _signature(self.key, at, self._private.sign(_ed25519_message(checkpoint, at)))


class MLDSA44Cosigner:
    """Signs the `cosigned_message` structure over the whole tree; the name of the key is part of it."""

    __slots__ = ("_private", "key")

    def __init__(self, name: str, seed: bytes) -> None:
        """Raises UnsupportedAlgorithm where the installed `cryptography` cannot do it; see `post_quantum`."""
        self._private = MLDSA44PrivateKey.from_seed_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.key = VerifierKey(name, SignatureType.ML_DSA_44_COSIGNATURE, public)

    def cosign(self, checkpoint: Checkpoint, at: int) -> Signature:
        """Return the cosignature."""
        return _signature(self.key, at, self._private.sign(_ml_dsa_message(self.key.name, checkpoint, at)))


def post_quantum(name: str, seed: bytes) -> MLDSA44Cosigner | None:
    """Return the ML-DSA-44 cosigner of a seed, or None where the installed `cryptography` offers none."""
    try:
        return MLDSA44Cosigner(name, seed)
    except UnsupportedAlgorithm:
        return None


def time_of(signature: Signature) -> int:
    """Return the POSIX time that a cosignature says it was made at. Raises NoteRefused when it holds none."""
    if len(signature.signature) <= _TIME_SIZE:
        raise NoteRefused("a cosignature holds no time")
    at = int.from_bytes(signature.signature[:_TIME_SIZE])
    if not 0 < at <= _LARGEST_TIME:
        raise NoteRefused("the time of a cosignature is out of range")
    return at


def verify_cosignature(key: VerifierKey, checkpoint: Checkpoint, signature: Signature) -> int:
    """Return the POSIX time at which the key's owner cosigned the checkpoint.

    Raises SignatureRefused when it did not, and NoteRefused for a cosignature out of form.
    """
    size = _SIGNATURE_SIZES.get(key.kind)
    if size is None or not key.made(signature):
        raise SignatureRefused("the cosignature is of another key")
    at = time_of(signature)
    raw = signature.signature[_TIME_SIZE:]
    if len(raw) != size:
        raise NoteRefused("a cosignature has the wrong length")
    try:
        if key.kind is SignatureType.ED25519_COSIGNATURE:
            Ed25519PublicKey.from_public_bytes(key.public).verify(raw, _ed25519_message(checkpoint, at))
        else:
            MLDSA44PublicKey.from_public_bytes(key.public).verify(raw, _ml_dsa_message(key.name, checkpoint, at))
    except (InvalidSignature, ValueError):
        raise SignatureRefused("a cosignature of a known key does not verify") from None
    return at


def _signature(key: VerifierKey, at: int, raw: bytes) -> Signature:
    return Signature(key.name, key.key_id, at.to_bytes(_TIME_SIZE) + raw)


def _ed25519_message(checkpoint: Checkpoint, at: int) -> bytes:
    _check_time(at)
    return f"cosignature/v1\ntime {at}\n{checkpoint.text()}".encode()


def _ml_dsa_message(name: str, checkpoint: Checkpoint, at: int) -> bytes:
    _check_time(at)
    cosigner, origin = name.encode(), checkpoint.origin.encode()
    if not 0 < len(cosigner) < 256 or not 0 < len(origin) < 256:
        raise NoteRefused("a name or an origin is too long to be cosigned")
    return (
        _LABEL
        + bytes([len(cosigner)])
        + cosigner
        + at.to_bytes(_TIME_SIZE)
        + bytes([len(origin)])
        + origin
        + struct.pack(">QQ", 0, checkpoint.size)
        + checkpoint.root
    )


def _check_time(at: int) -> None:
    if not 0 < at <= _LARGEST_TIME:
        raise NoteRefused("the time of a cosignature is out of range")
