"""Commands that are imported when they are needed: `--version` and `token` do not wait for the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

import click

from gateway.commands.errors import OneLineGroup


class LazyGroup(OneLineGroup):
    """A group that knows its commands by module and name, and imports the one that is asked for."""

    def __init__(self, *, commands: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(commands=_Modules(commands), **kwargs)


class _Modules(MutableMapping[str, click.Command]):
    """Commands by name; looking one up imports its module, listing the names imports nothing."""

    def __init__(self, places: Mapping[str, tuple[str, str]]) -> None:
        self._places = dict(places)
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        """Return the command. Raises KeyError if there is none, TypeError if the place holds something else."""
        if name not in self._loaded:
            module, attribute = self._places[name]
            command = getattr(import_module(module), attribute)
            if not isinstance(command, click.Command):
                raise TypeError(f"{module}.{attribute} is not a command")
            self._loaded[name] = command
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        self._places.pop(name, None)
        self._loaded.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._places or name in self._loaded

    def __iter__(self) -> Iterator[str]:
        return iter({**self._places, **self._loaded})

    def __len__(self) -> int:
        return len(self._places.keys() | self._loaded.keys())
