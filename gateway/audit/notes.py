"""Signed notes: text with the signatures of whoever vouches for it (C2SP signed-note v1.0.0).

Pure and strict: what is not exactly in the format is refused, and what is parsed is written again byte for byte.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_DASH: Final = "— "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NOT_IN_A_NAME: Final = re.compile(r"[+\s\x00-\x1f]")
_KEY_ID_SIZE: Final = 4
_MOST_BYTES: Final = 1 << 20
_MOST_SIGNATURES: Final = 64  # the specification asks for 16 at least


class NoteRefused(ValueError):
    """This is not a note, a verifier key or a signature in the format; the message names the kind of fault."""


class SignatureRefused(Exception):
    """A signature of a known key does not verify, or no known key has signed at all."""


class SignatureType(IntEnum):
    """The signature types of C2SP signed-note that are used here."""

    ED25519 = 0x01
    ED25519_COSIGNATURE = 0x04
    ML_DSA_44_COSIGNATURE = 0x06


_PUBLIC_SIZES: Final = {
    SignatureType.ED25519: 32,
    SignatureType.ED25519_COSIGNATURE: 32,
    SignatureType.ML_DSA_44_COSIGNATURE: 1312,
}


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: whose it says it is, and the bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Return the line, with its newline."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends in a newline, and its signatures in their order."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        return f"{self.text}\n{''.join(each.line() for each in self.signatures)}".encode()


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name and what it signs: a vkey."""

    name: str
    kind: SignatureType
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Return SHA-256(name || 0x0A || type || public key)[:4]."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:_KEY_ID_SIZE]

    @property
    def label(self) -> str:
        """Return name and key id, which together name the key: the vkey without its key material."""
        return f"{self.name}+{self.key_id.hex()}"

    def __str__(self) -> str:
        return f"{self.label}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"

    def made(self, signature: Signature) -> bool:
        """Return whether a signature says that it is of this key; whether it verifies is another question."""
        return signature.name == self.name and signature.key_id == self.key_id


def parse_verifier_key(text: str) -> VerifierKey:
    """Return the key of a vkey line. Raises NoteRefused for any other text, and for a type that is not used here."""
    # a name holds no plus; base64 may
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise NoteRefused("a verifier key has three parts: name, key id and key")
    name, key_id, material = parts
    _check_name(name)
    raw = _decoded(material)
    try:
        kind = SignatureType(raw[0]) if raw else None
    except ValueError:
        kind = None
    if kind is None or len(raw) != 1 + _PUBLIC_SIZES[kind]:
        raise NoteRefused("the verifier key is of a type that is not used here")
    key = VerifierKey(name, kind, raw[1:])
    if key_id != key.key_id.hex():
        raise NoteRefused("the key id of the verifier key is not that of its key")
    return key


def parse_note(raw: bytes) -> Note:
    """Return the parts of a signed note. Raises NoteRefused. Verifies nothing."""
    if len(raw) > _MOST_BYTES:
        raise NoteRefused("the note is too large")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteRefused("the note is not UTF-8") from None
    if _CONTROL.search(whole):
        raise NoteRefused("the note holds a control character")
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise NoteRefused("the note has no signatures")
    return Note(text + "\n", parse_signatures(lines))


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """Return the signatures of one line or more, each ended by a newline. Raises NoteRefused."""
    if not lines.endswith("\n"):
        raise NoteRefused("a signature line does not end in a newline")
    found = lines[:-1].split("\n")
    if len(found) > _MOST_SIGNATURES:
        raise NoteRefused("the note has too many signatures")
    return tuple(_signature(line) for line in found)


def _signature(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise NoteRefused("a signature line does not begin with a dash")
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not space:
        raise NoteRefused("a signature line has no signature")
    _check_name(name)
    raw = _decoded(encoded)
    if len(raw) <= _KEY_ID_SIZE:
        raise NoteRefused("a signature is too short")
    return Signature(name, raw[:_KEY_ID_SIZE], raw[_KEY_ID_SIZE:])


class NoteSigner:
    """Signs the text of notes with Ed25519 (type 0x01). Shows nothing of its key."""

    __slots__ = ("_private", "key")

    def __init__(self, name: str, seed: bytes) -> None:
        _check_name(name)
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = VerifierKey(name, SignatureType.ED25519, self._private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"NoteSigner({self.key.label!r})"

    def sign(self, text: str) -> Signature:
        """Return the signature over a text, which must end in a newline. Raises NoteRefused."""
        if not text.endswith("\n"):
            raise NoteRefused("the text of a note ends in a newline")
        return Signature(self.key.name, self.key.key_id, self._private.sign(text.encode()))


def verify_signature(key: VerifierKey, text: str, signature: Signature) -> None:
    """Return if an Ed25519 key (type 0x01) made the signature over the text. Raises SignatureRefused."""
    if key.kind is not SignatureType.ED25519 or not key.made(signature):
        raise SignatureRefused("the signature is of another key")
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature.signature, text.encode())
    except (InvalidSignature, ValueError):
        raise SignatureRefused("a signature of a known key does not verify") from None


def verify_note(note: Note, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Return which of the keys have signed. Raises SignatureRefused if none has, or if one that says so has not.

    Signatures of other keys are ignored, as the specification asks, and so are keys of cosignatures.
    """
    signed = []
    for key in keys:
        made = [each for each in note.signatures if key.made(each)]
        for signature in made:
            verify_signature(key, note.text, signature)
        if made:
            signed.append(key)
    if not signed:
        raise SignatureRefused("no known key has signed this")
    return tuple(signed)


def _check_name(name: str) -> None:
    if not name or _NOT_IN_A_NAME.search(name):
        raise NoteRefused("a key name is empty, or holds a space or a plus")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise NoteRefused("a key name has no UTF-8 form") from None


def _decoded(text: str) -> bytes:
    """Return the bytes of standard base64, of which every byte has one text only. Raises NoteRefused."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteRefused("this is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise NoteRefused("this is not base64 in its one form")
    return raw
