"""The settings of a command's configuration file."""

from __future__ import annotations

from pathlib import Path

from gateway.commands.errors import CommandError
from gateway.settings import Settings, SettingsFault
from gateway.settings_reading import load


def loaded(file: Path) -> Settings:
    """Return the settings of a file. Raises CommandError with the first fault, one line."""
    try:
        return load(file)
    except SettingsFault as fault:
        raise CommandError(fault.faults[0]) from None
