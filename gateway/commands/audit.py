"""`contactpoint audit`: what is on record, whether it is what was written, and who can hold us to it.

A witness is another organisation's process: it imports nothing of the gateway's own.
"""

from __future__ import annotations

import click

from gateway.commands.lazy import LazyGroup

_COMMANDS = {
    "verify": ("gateway.commands.audit_verify", "verify_log"),
    "detect": ("gateway.commands.audit_detect", "detect"),
    "prove": ("gateway.commands.audit_prove", "prove"),
    "check": ("gateway.commands.audit_prove", "check"),
    "witness": ("gateway.commands.audit_witness", "witness"),
    "export": ("gateway.commands.audit_export", "export"),
    "events": ("gateway.commands.audit_index", "events"),
    "index": ("gateway.commands.audit_index", "index"),
    "purge": ("gateway.commands.audit_purge", "purge"),
    "report": ("gateway.commands.audit_report", "report"),
}


@click.group(cls=LazyGroup, commands=_COMMANDS)
def audit() -> None:
    """The audit log.

    \b
    Examples:
      contactpoint audit verify --config gateway.toml
      contactpoint audit events --config gateway.toml --flag OVERRIDE
      contactpoint audit report --help
    """
