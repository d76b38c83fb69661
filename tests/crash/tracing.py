"""The preloaded library of `trace.c`: how it is built, how a process is run under it, and what it wrote down."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("trace.c")
COMPILER = shutil.which("cc")
NO_COMPILER = "a C compiler (cc) builds the library that watches the database's files"
_HEAD = struct.Struct("<IIQqq")


def build(folder: Path) -> Path:
    """Return the library, built in `folder`; a warning of the compiler is an error."""
    library = folder / "trace.so"
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", "-fPIC"]
    subprocess.run([str(COMPILER), *flags, "-o", str(library), str(SOURCE), "-ldl", "-lpthread"], check=True)
    return library


def environment(
    library: Path, database: Path, trace: Path, *, marks: Path | None = None, fault: Path | None = None
) -> Mapping[str, str]:
    """Return the environment in which a process is watched; each process writes to `trace`, a dot and its own id."""
    watched = {"LD_PRELOAD": str(library), "CRASH_FILE": str(database), "CRASH_TRACE": str(trace)}
    if marks is not None:
        watched["CRASH_MARKS"] = str(marks)
    if fault is not None:
        watched["CRASH_FAULT"] = str(fault)
    return os.environ | watched


@dataclass(frozen=True, slots=True)
class Call:
    """One record of a trace; the letters are those of `trace.c`."""

    operation: str
    inode: int
    a: int
    b: int
    data: bytes


class NotModelled(Exception):
    """The process changed a file in a way that the replay does not know."""


def read_trace(file: Path) -> list[Call]:
    """Return the calls in order; a record that was cut off by a kill ends the list. Raises NotModelled."""
    text = file.read_bytes()
    calls: list[Call] = []
    place = 0
    while place + _HEAD.size <= len(text):
        operation, length, inode, a, b = _HEAD.unpack_from(text, place)
        place += _HEAD.size
        if place + length > len(text):
            break
        calls.append(Call(chr(operation), inode, a, b, text[place : place + length]))
        place += length
        if calls[-1].operation == "X":
            raise NotModelled(f"the traced process used {chr(a)} on a file of the database")
    return calls
