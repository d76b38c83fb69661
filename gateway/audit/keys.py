"""The audit key: one master secret in a private file, and the subkeys drawn from it (HKDF-SHA256, RFC 5869).

Pseudonyms and opaque ids are keyed BLAKE2b (RFC 7693): a lookup makes one for each entry, and OpenSSL's HMAC costs
fifty times as much for the same promise.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import secrets
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.randomness import RANDOM

_VERSION: Final = 1
_SECRET_SIZE: Final = 32
_NONCE_SIZE: Final = 12
_OPAQUE_SIZE: Final = 18  # 144 bits: 24 characters without padding
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


class KeyFileRefused(Exception):
    """The key file cannot be used; the message says why and holds nothing of the key."""


class NotDecrypted(Exception):
    """A ciphertext is not one that this key made about this."""


class AuditKeys:
    """The subkeys in use. Holds no master secret, shows nothing of itself, and may be used from any thread."""

    __slots__ = ("_aead", "_opaque", "_pseudonym", "_siv", "created", "key_id", "post_quantum_seed", "signing_seed")

    def __init__(self, secret: bytes, key_id: str, *, created: bool) -> None:
        """`created` says that the key is new: records made under an earlier one cannot be matched or read with it."""
        if len(secret) != _SECRET_SIZE:
            raise KeyFileRefused("the audit key does not hold 32 bytes")
        self.key_id = key_id
        self.created = created
        # keyed once, and copied for each: a lookup names its child in the log and in the register of shields
        self._pseudonym = hashlib.blake2b(key=_subkey(secret, b"pseudonym"), digest_size=32)
        self._opaque = _subkey(secret, b"opaque-id")
        self._aead = AESGCM(_subkey(secret, b"encryption"))
        self._siv = AESSIV(_subkey(secret, b"cursor"))
        self.signing_seed = _subkey(secret, b"signing")
        self.post_quantum_seed = _subkey(secret, b"signing/ml-dsa-44")

    def __repr__(self) -> str:
        return f"AuditKeys(key_id={self.key_id!r})"

    @classmethod
    def load_or_create(cls, path: Path | str, *, create: bool = True) -> Self:
        """Return the keys of a file, or of a new one (mode 0600) if there is none: then `created` is true.

        With `create=False` there must be one. Raises KeyFileRefused when there is not, when others may read the file,
        or when it is not a key file.
        """
        file = Path(path)
        try:
            missing = not file.exists()
            if missing and not create:
                raise KeyFileRefused(
                    f"the audit key file {file} is missing, and the database holds a log: put back the key of that log"
                )
            created = missing and _create(file)
            return cls._load(file, created=created)
        except OSError as error:
            raise KeyFileRefused(f"the audit key file cannot be read or made: {error.strerror}") from None

    @classmethod
    def _load(cls, file: Path, *, created: bool) -> Self:
        with file.open("rb") as opened:
            # of the file that was opened, not of the name
            if os.fstat(opened.fileno()).st_mode & 0o077:
                raise KeyFileRefused("the audit key file may be read or written by others; its mode must be 0600")
            content = opened.read(4096)
        try:
            match json.loads(content):
                case {"version": version, "key_id": str(key_id), "secret": str(secret)} if key_id:
                    if version != _VERSION:
                        raise KeyFileRefused("the audit key file has a version that this program does not know")
                    return cls(base64.b64decode(secret, validate=True), key_id, created=created)
        except (ValueError, binascii.Error):
            pass
        raise KeyFileRefused("the audit key file does not hold an audit key")

    def pseudonym(self, nhs_number: str) -> str:
        """Return the pseudonym of an NHS number: keyed BLAKE2b-256 in hex. The number alone gives nothing away."""
        digest = self._pseudonym.copy()
        digest.update(nhs_number.encode())
        return digest.hexdigest()

    def encrypt(self, plaintext: str, *, about: bytes) -> str:
        """Return base64 of nonce and AES-256-GCM ciphertext, which opens only with the same `about`."""
        nonce = RANDOM.take(_NONCE_SIZE)
        return b2a_base64(nonce + self._aead.encrypt(nonce, plaintext.encode(), about), newline=False).decode()

    def decrypt(self, ciphertext: str, *, about: bytes) -> str:
        """Return what was encrypted. Raises NotDecrypted if any of text, key and `about` is not what it was."""
        try:
            raw = base64.b64decode(ciphertext, validate=True)
            return self._aead.decrypt(raw[:_NONCE_SIZE], raw[_NONCE_SIZE:], about).decode()
        except (InvalidTag, ValueError):
            raise NotDecrypted("this was not encrypted with this key about this") from None

    def seal(self, plaintext: str, *, about: bytes) -> str:
        """Return URL-safe base64 of an AES-SIV ciphertext (RFC 5297): the same for the same text and `about`.

        For what is sealed often and at anybody's wish: without nonces, none can be used up.
        """
        return base64.urlsafe_b64encode(self._siv.encrypt(plaintext.encode(), [about])).decode()

    def unseal(self, sealed: str, *, about: bytes) -> str:
        """Return what was sealed. Raises NotDecrypted if any of text, key and `about` is not what it was."""
        try:
            raw = base64.b64decode(sealed.encode("ascii"), b"-_", validate=True)
            return self._siv.decrypt(raw, [about]).decode()
        except (InvalidTag, ValueError):
            raise NotDecrypted("this was not sealed with this key about this") from None

    def opaque_id(self, *parts: str) -> str:
        """Return 24 URL-safe characters that depend on every part and its place, and tell nothing about them."""
        return self.opaque_ids()(*parts)

    def opaque_ids(self, *begin: str) -> Callable[..., str]:
        """Return `opaque_id` for parts that begin alike: the beginning is hashed once."""
        begun = hashlib.blake2b(_framed(begin), key=self._opaque, digest_size=_OPAQUE_SIZE)

        def of(*parts: str) -> str:
            digest = begun.copy()
            if len(parts) == 2:  # an entry's: each lookup makes as many as it has entries
                one, two = parts[0].encode(), parts[1].encode()
                digest.update(b"%d:%b%d:%b" % (len(one), one, len(two), two))
            else:
                digest.update(_framed(parts))
            return b2a_base64(digest.digest(), newline=False).translate(_URL_SAFE).decode()

        return of


def _framed(parts: Sequence[str]) -> bytes:
    # with its length before each part, ("ab", "c") and ("a", "bc") differ
    return b"".join([b"%d:%b" % (len(each), each) for each in map(str.encode, parts)])


def _subkey(secret: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"contactpoint/audit/v1/" + use).derive(secret)


def _create(file: Path) -> bool:
    """Write a new key file and return whether ours is the one that stands; another process may have been first."""
    content = {
        "version": _VERSION,
        "key_id": secrets.token_hex(8),
        "secret": base64.b64encode(secrets.token_bytes(_SECRET_SIZE)).decode(),
    }
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as opened:
            json.dump(content, opened)
            opened.flush()
            os.fsync(opened.fileno())
        try:
            # complete or absent under its name, and never over another's
            os.link(draft, file)
        except FileExistsError:
            return False
    finally:
        draft.unlink()
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return True
