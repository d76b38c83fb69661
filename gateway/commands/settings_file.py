"""The settings of a command's configuration file."""

from __future__ import annotations

from pathlib import Path

from gateway import settings as configuration
from gateway.commands.errors import CommandError
from gateway.settings import Settings, SettingsFault


def loaded(file: Path) -> Settings:
    """Return the settings of a file. Raises CommandError with the first fault, one line."""
    try:
        return configuration.load(file)
    except SettingsFault as fault:
        raise CommandError(fault.faults[0]) from None
