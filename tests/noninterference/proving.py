"""A proof of many pairs: two processes, each with two gateways of its own and a part of the pairs."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import structlog

from tests.noninterference.runner import Report, run_pairs

PROCESSES = 2
PART = 2_500
"""Pairs to a pair of gateways. Each part has a seed of its own, and so its own operations."""
ALONE = 1_000
"""A run of no more than this is made in this process."""


def prove(folder: Path, seed: int, pairs: int) -> Report:
    """Return the report of so many pairs from a seed on."""
    parts = [(folder / str(at), seed + at // PART, min(PART, pairs - at)) for at in range(0, pairs, PART)]
    whole = Report()
    if pairs <= ALONE:
        for part in parts:
            whole.add(_part(*part))
        return whole
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        for report in pool.map(_part, *zip(*parts, strict=True)):
            whole.add(report)
    return whole


def _part(folder: Path, seed: int, pairs: int) -> Report:
    # two gateways log what they meet in sources that are wrong on purpose; nobody reads it here
    before = structlog.get_config()
    structlog.configure(processors=[_dropped])
    try:
        return asyncio.run(run_pairs(folder, seed, pairs))
    finally:
        structlog.configure(**before)


def _dropped(_logger: object, _method: str, _event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    raise structlog.DropEvent
