"""How settings are read: a TOML file, and over it the environment as CONTACTPOINT_SECTION__KEY.

Faults are reported all at once, each with its key and never with its value.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from gateway.settings import PREFIX, Fault, Settings, SettingsFault

_ENVIRONMENT: Final = "environment"


def load(path: Path) -> Settings:
    """Return the settings of a file with the environment over it. Raises SettingsFault with every fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsFault([Fault.of(None, "no such file", str(path))]) from None
    except IsADirectoryError:
        raise SettingsFault([Fault.of(None, "is a directory, and a file is needed", str(path))]) from None
    except PermissionError:
        raise SettingsFault([Fault.of(None, "may not be read by this user", str(path))]) from None
    except (OSError, UnicodeDecodeError):
        raise SettingsFault([Fault.of(None, "cannot be read as UTF-8 text", str(path))]) from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise SettingsFault([Fault.of(None, str(fault), str(path))]) from None
    return from_values(values, str(path), relative_to=path.parent)


def from_values(values: Mapping[str, Any], name: str, *, relative_to: Path) -> Settings:
    """Return the settings of a mapping; relative paths are read from `relative_to`. Raises SettingsFault."""
    strays = _strays()
    try:
        settings = Settings(**values)
    except ValidationError as fault:
        faults = [Fault.of(_where(e["loc"]), _what(e), name) for e in fault.errors()] + strays
        rest = _without(values, {str(e["loc"][0]) for e in fault.errors() if e["loc"]}, relative_to)
        raise SettingsFault(faults, rest) from None
    except Exception as fault:
        # pydantic-settings refuses an environment value that is not the JSON it expects
        raise SettingsFault([Fault.of(_variable(fault), "cannot be read", _ENVIRONMENT)]) from None
    if strays:
        raise SettingsFault(strays)
    return settings.model_copy(
        update={
            "issuers": tuple(
                i.model_copy(update={"jwks_file": _beside(relative_to, i.jwks_file)}) for i in settings.issuers
            ),
            "audit": settings.audit.model_copy(
                update={
                    "key_file": _beside(relative_to, settings.audit.key_file),
                    "signing_key_file": _beside(relative_to, settings.audit.signing_key_file),
                }
            ),
            "agreements": settings.agreements.model_copy(
                update={"directory": _beside(relative_to, settings.agreements.directory)}
            ),
            "detection": settings.detection.model_copy(
                update={
                    "workforce_file": _beside(relative_to, settings.detection.workforce_file),
                    "canaries_file": _beside(relative_to, settings.detection.canaries_file),
                }
            ),
            "database": settings.database.model_copy(update={"url": _database(relative_to, settings.database.url)}),
            "connectors": tuple(_entry(relative_to, entry) for entry in settings.connectors),
        }
    )


def _strays() -> list[Fault]:
    """Return a fault for each variable that has the form of a setting and names no section: a budget misspelt is none.

    Without two underscores it may be anybody's: Kubernetes sets CONTACTPOINT_PORT and the like for a service named so.
    """
    sections = {section.upper() for section in Settings.model_fields}
    names = (name for name in sorted(os.environ) if name.upper().startswith(PREFIX) and "__" in name)
    return [
        Fault.of(name, "is not a setting", _ENVIRONMENT)
        for name in names
        if name.upper().removeprefix(PREFIX).partition("__")[0] not in sections
    ]


def _without(values: Mapping[str, Any], faulty: set[str], relative_to: Path) -> Settings | None:
    """Return the settings without the sections that are at fault, or None if the environment is what is at fault."""
    if "connectors" in faulty:
        # they speak of connectors, which nobody knows now
        faulty = faulty | {"brokers", "agreements"}
    left = {section: value for section, value in values.items() if section not in faulty}
    if "resource" in faulty or "resource" not in left:
        left["resource"] = {"identifier": "https://unknown.invalid/"}
    try:
        return from_values(left, "", relative_to=relative_to)
    except SettingsFault:
        return None


def _beside(folder: Path, path: Path | None) -> Path | None:
    return None if path is None else Path(os.path.normpath(folder / path))


def _database(folder: Path, url: str) -> str:
    file = url.removeprefix("sqlite:///")
    return url if file == url else f"sqlite:///{os.path.normpath(folder / file)}"


_FILES = frozenset({"records", "client_certificate", "client_key"})


def _entry(folder: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a connector's entry with the files it names read from `folder`, also those of its `auth`."""
    return {
        key: _entry(folder, value)
        if isinstance(value, dict)
        else os.path.normpath(folder / value)
        if isinstance(value, str) and (key in _FILES or key.endswith("_file"))
        else value
        for key, value in entry.items()
    }


def _where(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _what(error: Any) -> str:
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "extra_forbidden":
        return "is not a setting"
    return str(error["msg"])


def _variable(fault: Exception) -> str:
    words = str(fault).split('"')
    return PREFIX + (words[1].upper() if len(words) > 2 else "...")
