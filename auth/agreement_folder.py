"""One reading of a directory of agreements: its bytes, and the version that exactly these bytes make."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_AT_ONCE = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe without a writer must not hold the reader


@dataclass(frozen=True, slots=True)
class FilesRead:
    """What a directory held when it was read; whatever could not be read stands in `faults`, a line each."""

    directory: Path
    version: str
    files: Mapping[str, bytes]
    faults: tuple[str, ...]


def read(directory: Path) -> FilesRead:
    """Return what a directory holds now, read once. Raises nothing: what is amiss has a version too, and faults."""
    files: dict[str, bytes] = {}
    faults: list[str] = []
    try:
        if not directory.is_dir():
            faults.append(f"{directory}: no such directory")
        paths = sorted(directory.glob("*.toml"))
    except OSError:
        paths, faults = [], [f"{directory}: cannot be read"]
    digest = hashlib.sha256()
    for path in paths:
        found = _content(path)
        if isinstance(found, str):
            faults.append(found)
        else:
            files[path.name] = found
        digest.update(os.fsencode(path.name) + b"\0" + files.get(path.name, b"") + b"\0")
    for fault in faults:
        digest.update(os.fsencode(fault) + b"\0")
    return FilesRead(directory, digest.hexdigest()[:16], files, tuple(faults))


def _content(path: Path) -> bytes | str:
    """Return the bytes of a regular file, or the fault."""
    try:
        path.name.encode("utf-8")
    except UnicodeEncodeError:
        return f"{path}: the name of the file is not UTF-8"
    try:
        with open(os.open(path, _AT_ONCE), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return f"{path}: is not a file"
            return file.read()
    except (OSError, ValueError):
        return f"{path}: cannot be read as UTF-8 text"
