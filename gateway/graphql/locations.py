"""Takes the places, and with them the text, off a document that is going to be kept."""

from __future__ import annotations

from typing import Any

from graphql import DocumentNode, Node


def take_locations_off(document: DocumentNode) -> None:
    """Leave no location in any node of a document that nothing else holds: each one points to the whole text."""
    waiting: list[Any] = [document]
    while waiting:
        each = waiting.pop()
        if isinstance(each, tuple):
            waiting.extend(each)
        elif isinstance(each, Node):
            # nodes are frozen, for they are shared; this tree is not shared yet, and parsing it again costs far more
            object.__setattr__(each, "loc", None)
            waiting.extend(getattr(each, key) for key in each.keys if key != "loc")
