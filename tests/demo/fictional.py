"""Whether everything in a world is of the ranges that belong to nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from gateway.demo.families import World
from schema.identifiers import InvalidIdentifier, NHSNumber

PHONE = re.compile(r"01632 960[0-9]{3}")
PHONE_LIKE = re.compile(r"\+?[0-9][0-9 ]{8,}[0-9]")
EMAIL = re.compile(r"[a-z0-9.-]+@[a-z0-9.-]+\.example")


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a value made of dataclasses and tuples."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from texts(one)
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name))


def strays(world: World) -> list[str]:
    """Return what is not fictional: the kind of each text that could be somebody's. Empty for a good world."""
    found = [f"nhs number {child.story}" for child in world.children if not _is_fictional_number(child.nhs_number)]
    numbers = {child.nhs_number for child in world.children}
    for text in {text for person in (*world.children, *world.adults) for text in texts(person)}:
        if text in numbers:
            continue
        if "@" in text and not EMAIL.fullmatch(text):
            found.append("e-mail")
        if PHONE_LIKE.fullmatch(text) and not PHONE.fullmatch(text):
            found.append("telephone")
    return found


def _is_fictional_number(text: str) -> bool:
    try:
        return NHSNumber(text).startswith("999")
    except InvalidIdentifier:
        return False
