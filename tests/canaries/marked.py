"""Canaries: texts, numbers and days that stand nowhere but in what must not be told, and how they are looked for.

A text is looked for as it is, without regard to case, percent-encoded, in base64 at each of its three alignments and in
hexadecimal; an identifier also in its 3-3-4 form and as a plain digest, which can be found by trying.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final
from urllib.parse import quote

PREFIX: Final = "cnry7qzk"
"""Every text that is made for these tests begins with it."""


@dataclass
class Canaries:
    """What is looked for, each with its kind: `child.number`, `token`, `reason` ..."""

    kind_of: dict[str, str] = field(default_factory=dict)  # the text, in lower case -> its kind
    _forms: dict[bytes, str] = field(default_factory=dict)  # a form of it, in lower case -> the text
    _coded: dict[bytes, str] = field(default_factory=dict)  # a form of it in base64, as it is -> the text

    def __post_init__(self) -> None:
        self._coded |= dict.fromkeys(_in_base64(PREFIX), PREFIX)
        self._forms[PREFIX.encode().hex().encode()] = PREFIX

    def add(self, kind: str, text: str) -> str:
        """Look for this text; return it. One that begins with the prefix is found by the prefix."""
        self.kind_of[text.lower()] = kind
        if _is_marked(text):
            return text
        forms = {text.lower(), quote(text, safe="").lower()}
        if kind != "token":
            forms.add(text.encode().hex())
            self._coded |= dict.fromkeys(_in_base64(text), text)
            self._forms |= dict.fromkeys(_digests(text), text)
        if re.fullmatch(r"[0-9]{10}", text):
            forms |= {f"{text[:3]}{gap}{text[3:6]}{gap}{text[6:]}" for gap in (" ", "-", "%20", "+")}
        self._forms |= {form.encode(): text for form in forms}
        return text

    def add_plain(self, kind: str, text: str) -> None:
        """Look for this text as it is, unless it is looked for already."""
        if text.lower() not in self.kind_of:
            self.kind_of[text.lower()] = kind
            self._forms[text.lower().encode()] = text

    def forget(self, named: str) -> None:
        """Look no longer for what stands in this text."""
        for form, text in list(self._forms.items()):
            if text.lower() in named.lower() and text != PREFIX:
                del self._forms[form]
                self.kind_of.pop(text.lower(), None)

    def add_digests(self, text: str) -> None:
        """Look for plain digests of a text too."""
        self._forms |= dict.fromkeys(_digests(text), text)

    def add_all(self, kind: str, held: object) -> None:
        """Look for every marked text and every identifier of a record; its kind is the name of its field."""
        for path, value in leaves(kind, held):
            secret = isinstance(value, str) and (_is_marked(value) or _is_identifier(value))
            if secret and value.lower() not in self.kind_of:
                self.add(path, str(value))

    def found_in(self, content: bytes) -> set[str]:
        """Return the kinds of all canaries in this; `?` for a marked text that nobody registered."""
        lowered, marked = content.lower(), PREFIX.encode()
        found = {f"{self.kind_of.get(t.lower(), 'a text')}, encoded" for p, t in self._coded.items() if p in content}
        found |= {self.kind_of.get(t.lower(), "a text, encoded") for p, t in self._forms.items() if p in lowered}
        lengths = sorted({len(text) for text in self.kind_of if _is_marked(text)}, reverse=True)
        at = lowered.find(marked)
        while at >= 0:
            window = lowered[at : at + 200].decode("utf-8", "replace")
            found.add(next((self.kind_of[window[:n]] for n in lengths if window[:n] in self.kind_of), "?"))
            at = lowered.find(marked, at + 1)
        return found

    @property
    def count(self) -> int:
        """How many canaries there are."""
        return len(self.kind_of)

    @property
    def kinds(self) -> Mapping[str, int]:
        """How many there are of each kind."""
        found: dict[str, int] = {}
        for kind in self.kind_of.values():
            found[kind] = found.get(kind, 0) + 1
        return found


def leaves(kind: str, held: object) -> Iterator[tuple[str, Any]]:
    """Yield every leaf of a record, with its path."""
    if dataclasses.is_dataclass(held) and not isinstance(held, type):
        for each in dataclasses.fields(held):
            yield from leaves(f"{kind}.{each.name}", getattr(held, each.name))
    elif isinstance(held, Mapping):
        for inner in held.values():
            yield from leaves(kind, inner)
    elif isinstance(held, tuple | list | set | frozenset):
        for inner in held:
            yield from leaves(kind, inner)
    elif held is not None:
        yield kind, held


def _is_marked(text: str) -> bool:
    return text.lower().startswith(PREFIX)


def _is_identifier(value: str) -> bool:
    """Return whether a text is an identifier of `schema.identifiers`: a str by another name, and no word of a list."""
    return type(value) is not str and not isinstance(value, Enum)


def _in_base64(text: str) -> Iterator[bytes]:
    """Yield what is the same in base64 whatever stands before and after, at each of the three alignments."""
    raw = text.encode()
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw)
        yield coded[-(-8 * shift // 6) : 8 * (shift + len(raw)) // 6]


def _digests(text: str) -> Iterator[bytes]:
    """Yield plain digests: what a careless log might hold in place of an identifier."""
    for name in ("md5", "sha1", "sha256", "blake2b"):
        digest = hashlib.new(name, text.encode(), usedforsecurity=False).digest()
        yield digest.hex().encode()
        yield base64.b64encode(digest).lower()[:22]
