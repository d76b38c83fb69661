"""Takes the places, and with them the text, off a document that is going to be kept."""

from __future__ import annotations

from typing import Any

from graphql import DocumentNode, Node


def take_locations_off(document: DocumentNode) -> None:
    """Leave no location in any node of a document that nothing else holds: each one points to the whole text."""
    # nodes are frozen, for they are shared; this tree is not shared yet, and parsing it again costs far more
    put = object.__setattr__
    waiting: list[Any] = [document]
    while waiting:
        node = waiting.pop()
        put(node, "loc", None)
        for key in node.keys:
            value = getattr(node, key, None)
            if isinstance(value, Node):
                waiting.append(value)
            elif isinstance(value, tuple):
                waiting += value
