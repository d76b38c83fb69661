"""A witness's own key: one secret in a private file, with the name under which it cosigns."""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.audit.cosignatures import Cosigner, Ed25519Cosigner, post_quantum
from gateway.audit.notes import NoteRefused

_VERSION: Final = 1
_SECRET_SIZE: Final = 32


class WitnessKeyRefused(Exception):
    """The key file cannot be used; the message says why and holds nothing of the key."""


class WitnessKeys:
    """Who cosigns: with Ed25519, and with ML-DSA-44 where `cryptography` offers it. Shows nothing of the keys."""

    def __init__(self, name: str, secret: bytes) -> None:
        """Raises WitnessKeyRefused for a name that no key may have, and for a secret of another length."""
        if len(secret) != _SECRET_SIZE:
            raise WitnessKeyRefused("the witness's key does not hold 32 bytes")
        try:
            first = Ed25519Cosigner(name, _seed(secret, b"ed25519"))
            str(first.key).encode()
        except (NoteRefused, UnicodeEncodeError):
            raise WitnessKeyRefused("the witness's name cannot be that of a key") from None
        if not name or "+" in name or any(c.isspace() for c in name):
            raise WitnessKeyRefused("a witness's name is not empty, and holds no space and no plus")
        second = post_quantum(name, _seed(secret, b"ml-dsa-44"))
        self.cosigners: tuple[Cosigner, ...] = (first,) if second is None else (first, second)

    @classmethod
    def load_or_create(cls, file: Path, name: str | None = None) -> WitnessKeys:
        """Return the keys of a file, or of a new one (mode 0600), whose name is `name` or made up.

        Raises WitnessKeyRefused when others may read the file, when it is none, or when it has another name.
        """
        try:
            if not file.exists():
                _create(file, name or f"contactpoint-witness/{secrets.token_hex(4)}")
            with file.open("rb") as opened:
                if os.fstat(opened.fileno()).st_mode & 0o077:
                    raise WitnessKeyRefused("the witness's key file may be read by others; its mode must be 0600")
                content = opened.read(4096)
        except OSError as error:
            raise WitnessKeyRefused(f"the witness's key file cannot be read or made: {error.strerror}") from None
        try:
            match json.loads(content):
                case {"version": 1, "name": str(stored), "secret": str(secret)}:
                    if name is not None and name != stored:
                        raise WitnessKeyRefused("the witness's key file has another name")
                    return cls(stored, base64.b64decode(secret, validate=True))
        except (ValueError, binascii.Error):
            pass
        raise WitnessKeyRefused("the witness's key file does not hold a witness's key")


def _seed(secret: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"contactpoint/witness/v1/" + use).derive(secret)


def _create(file: Path, name: str) -> None:
    secret = secrets.token_bytes(_SECRET_SIZE)
    WitnessKeys(name, secret)  # a name that cannot be used leaves no file behind
    content = {"version": _VERSION, "name": name, "secret": base64.b64encode(secret).decode()}
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        json.dump(content, opened)
        opened.flush()
        os.fsync(opened.fileno())
