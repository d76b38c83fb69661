"""A gateway process that is killed and started again: `contactpoint serve`, once for each line on standard input.

    python lives.py CONFIG PORT [--answers-early]

Forks for each life, so that what was imported once need not be imported again; a life is the whole command, with its
own event loop, log and connections. Prints the process id of each life, and its wait status when it has ended.

With `--answers-early` the gateway is broken on purpose: a body leaves before its OUTCOME is on disk.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import Any

from gateway.audit.events import EventKind
from gateway.audit.log import AuditLog, Receipt
from gateway.commands.serve import serve

_TASKS: set[asyncio.Task[Any]] = set()
_append = AuditLog.append


async def _append_later(self: AuditLog, kind: EventKind, payload: Mapping[str, Any], *, alongside: Any = ()) -> Receipt:
    if kind is not EventKind.OUTCOME:
        return await _append(self, kind, payload, alongside=alongside)

    async def later() -> None:
        await asyncio.sleep(0.05)
        await _append(self, kind, payload, alongside=alongside)

    task = asyncio.create_task(later())
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)
    return Receipt(self.shard, 0)


def main(config: str, port: str, *flags: str) -> None:
    if "--answers-early" in flags:
        AuditLog.append = _append_later  # type: ignore[method-assign]
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.close(0)
            serve.main(["--config", config, "--port", port])
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
